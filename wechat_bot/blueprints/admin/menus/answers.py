"""The answers of a button, which are those of the rule that takes its key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import request
from sqlalchemy import Connection

from ....application import row_id
from ....extensions import db
from ....routing.definitions import TriggerKind
from ....services.rules import editing, reading
from ....services.rules.editing import RuleConflict
from ....services.rules.reading import RuleEntry
from ....wechat.api.menu import Button
from ....wiring import services
from ..access import actor
from ..answers import forms
from ..answers.files import file_names
from ..answers.forms import Form
from ..rules import words as rule_words

BLANK: Mapping[str, Any] = {"answers": [{"kind": "text", "text": ""}]}
"""What the form has while nobody has written an answer."""


@dataclass(frozen=True)
class ButtonAnswers:
    """The answers in the form of a button."""

    entry: RuleEntry | None
    """The rule that takes the button; None if there is none yet."""
    form: Form
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    conflict: list[tuple[str, str, str]] | None = None
    """In what the form and the stored rule differ, if somebody else has changed it: field, mine, theirs."""


def stored_answers(button: Button) -> ButtonAnswers:
    """Return the answers of the rule that takes a button, or the form for new ones."""
    connection, account_id = db.session.connection(), services().account_id
    entry = reading.by_key(connection, account_id).get(button.key) if button.key else None
    return ButtonAnswers(entry, _form_of(entry))


def _form_of(entry: RuleEntry | None) -> Form:
    form = Form()
    forms.fill_answers(form, entry.definition if entry else BLANK)
    return form


def posted_entry() -> RuleEntry | None:
    """Return the rule whose answers the form has."""
    rule_id = request.form.get("rule", type=row_id)
    return reading.find(db.session.connection(), services().account_id, rule_id) if rule_id else None


def changed_definition(button: Button, entry: RuleEntry | None, form: Form) -> dict[str, Any] | None:
    """Return the rule that the answers in a form make, named after the button if it is new.

    None if it is as it was.
    """
    if button.type != "click" or "answers[0].kind" not in form:
        return None
    answers = forms.answers_of(form)
    before: dict[str, Any] = dict(entry.definition) if entry else {"trigger": {"type": TriggerKind.MENU}}
    keys = before["trigger"].get("keys", ())
    if answers == forms.answers_of(_form_of(entry)) and (entry is None or button.key in keys):
        return None
    before.pop("pick", None)
    trigger = {**before["trigger"], "keys": [*dict.fromkeys([*keys, button.key])]}
    return {"name": button.name or button.key, **before, "trigger": trigger, **answers}


def with_conflict(form: Form, conflict: RuleConflict) -> ButtonAnswers:
    """Return the form with what differs from the stored rule. Saving it again replaces that rule."""
    current = conflict.current
    found = rule_words.differences(conflict.mine.to_json(), current.definition, file_names())
    return ButtonAnswers(current if current.position else None, form, conflict=found)


def store(entry: RuleEntry | None, definition: dict[str, Any], also: Callable[[Connection], None]) -> None:
    """Save the rule, and do `also` in the same transaction.

    :raises InvalidDefinition: if an answer is not valid.
    :raises RuleConflict: if somebody else has changed the rule.
    """
    account_id = services().account_id
    if entry is None:
        editing.create(db.engine, actor(), account_id, definition, also=also)
    else:
        version = request.form.get("rule_version", default=0, type=row_id)
        editing.save(db.engine, actor(), account_id, entry.id, version, definition, also=also)
