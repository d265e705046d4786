"""How the pages of the rules get them."""

from __future__ import annotations

from collections.abc import Mapping

from flask import abort
from flask_babel import gettext as _

from ....extensions import db
from ....routing.definitions import Rule
from ....routing.rules import RuleSet
from ....routing.strict_json import InvalidDefinition
from ....services.rules import reading
from ....services.rules.reading import RuleEntry
from ....wiring import services


def readable(entry: RuleEntry) -> Rule | None:
    """Return a rule; None if another release of the program wrote it."""
    try:
        return entry.rule
    except InvalidDefinition:
        return None


def rule_set(rules: Mapping[int, Rule]) -> RuleSet:
    """Return the rules for the bench, whose replies have the ids of our files."""
    return RuleSet(rules, services().account.time_zone, str)


def entry_or_404(rule_id: int) -> RuleEntry:
    found = reading.entry(db.engine, services().account_id, rule_id)
    return found or abort(404, _("没有这条规则。"))
