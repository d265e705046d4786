"""The list of rules that the query string selects: filter, pages, and each rule in words.

The rules themselves are those that the process has compiled for its followers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....application import row_id
from ....extensions import db
from ....routing.conditions import clean
from ....routing.definitions import Rule, TriggerKind, advice
from ....routing.rules import RuleSet
from ....services.rules import reading
from ....services.rules.reading import Hits
from ....wiring import services
from ..answers.files import file_names
from . import words

PAGE_SIZE = 50
MAX_TEXT = 100
"""Characters that are looked for."""
STATES = {
    "on": lazy_gettext("启用的"),
    "off": lazy_gettext("停用的"),
    "shadowed": lazy_gettext("永远轮不到的"),
    "unused": lazy_gettext("30 天没有答过的"),
}


@dataclass(frozen=True)
class Line:
    """A rule in the list."""

    id: int
    position: int
    rule: Rule | None
    """None if another release of the program wrote it."""
    name: str
    hits: Hits
    trigger: str = ""
    answers: str = ""
    conditions: str = ""
    shadowed_by: Mapping[int, str] = field(default_factory=dict)
    """The rules that always answer instead, by their ids."""
    advice: Sequence[str] = ()

    @property
    def coverers(self) -> str:
        """The names of the rules that answer instead."""
        return "".join(map(words.quoted, self.shadowed_by.values()))


@dataclass(frozen=True)
class Listing:
    """A page of the list: first rules that are asked at their place, then those that are asked last."""

    groups: Sequence[Sequence[Line]]
    neighbours: Mapping[int, tuple[int | None, int | None]]
    """The positions of the rules above and below each rule, also on other pages, to which it is moved."""
    count: int
    """Rules of the account."""
    matching: int
    """Rules that the filter selects."""
    page: int
    pages: int

    @property
    def before(self) -> int:
        """Rules on the pages before."""
        return (self.page - 1) * PAGE_SIZE

    @property
    def after(self) -> int:
        """Rules on the pages after."""
        return max(0, self.matching - self.page * PAGE_SIZE)


@dataclass(frozen=True)
class _Rules:
    """All rules of the account."""

    account_id: int
    positions: Mapping[int, int]
    compiled: RuleSet

    @classmethod
    def read(cls, account_id: int) -> _Rules:
        _version, compiled = services().rules.latest(account_id)
        return cls(account_id, reading.positions(db.session.connection(), account_id), compiled)

    @property
    def readable(self) -> Mapping[int, Rule]:
        return self.compiled.rules

    def is_last(self, rule_id: int) -> bool:
        rule = self.readable.get(rule_id)
        return rule is not None and rule.trigger.type is TriggerKind.NOTHING_MATCHED


def listing(account_id: int) -> Listing:
    """Return the page of rules that the query string selects; abort with 400 if it is invalid."""
    rules = _Rules.read(account_id)
    matching = _matching(rules)
    first = [it for it in matching if not rules.is_last(it)]
    last = [it for it in matching if rules.is_last(it)]
    ordered = first + last
    pages = max(1, -(-len(ordered) // PAGE_SIZE))
    page = min(_page(ordered), pages)
    lines = _lines(rules, ordered[(page - 1) * PAGE_SIZE : page * PAGE_SIZE], file_names())
    groups = [[lines[it] for it in group if it in lines] for group in (first, last)]
    neighbours = {**_neighbours(rules, first), **_neighbours(rules, last)}
    return Listing(groups, neighbours, len(rules.positions), len(ordered), page, pages)


def kept(**changes: object) -> dict[str, object]:
    """Return the parameters of the filter and the page, with `changes`."""
    given = {name: request.args[name] for name in (*_FILTERS, "page") if request.args.get(name)}
    return given | changes


def _neighbours(rules: _Rules, ids: Sequence[int]) -> dict[int, tuple[int | None, int | None]]:
    positions = [None, *(rules.positions[it] for it in ids), None]
    return dict(zip(ids, zip(positions, positions[2:], strict=False), strict=False))


def matching_lines(account_id: int) -> list[Line]:
    """Return all rules that the query string selects, in their order; abort with 400 if it is invalid."""
    rules = _Rules.read(account_id)
    return [*_lines(rules, _matching(rules), file_names()).values()]


def _page(ordered: Sequence[int]) -> int:
    """Return the page that has the rule in the query string, or else the page that is asked for."""
    rule_id = request.args.get("rule", type=row_id)
    if rule_id in ordered:
        return ordered.index(rule_id) // PAGE_SIZE + 1
    return request.args.get("page", default=1, type=row_id) or 1


def _today() -> date:
    return datetime.now(services().account.time_zone).date()


# The filter


def _matching(rules: _Rules) -> list[int]:
    found: Iterable[int] = rules.positions
    for name, selected in _FILTERS.items():
        if value := request.args.get(name, "").strip():
            found = selected(rules, found, value)
    return [*found]


def _with_state(rules: _Rules, ids: Iterable[int], state: str) -> Iterable[int]:
    if state not in STATES:
        abort(400, _("没有这个状态。"))
    if state == "shadowed":
        return [it for it in ids if it in rules.compiled.shadowed]
    if state == "unused":
        used = reading.used(db.session.connection(), rules.account_id, _today())
        return [it for it in ids if it not in used]
    enabled = {it for it, rule in rules.readable.items() if rule.enabled}
    return [it for it in ids if (it in enabled) is (state == "on")]


def _with_trigger(rules: _Rules, ids: Iterable[int], trigger: str) -> Iterable[int]:
    if trigger not in set(TriggerKind):
        abort(400, _("没有这种触发。"))
    return [it for it in ids if (rule := rules.readable.get(it)) and rule.trigger.type == trigger]


def _with_text(rules: _Rules, ids: Iterable[int], text: str) -> Iterable[int]:
    wanted, files = _comparable(text[:MAX_TEXT]), file_names()
    return [
        it for it in ids if (rule := rules.readable.get(it)) and wanted in _comparable(_text(rule, files))
    ]


def _text(rule: Rule, files: Mapping[int, str]) -> str:
    """Return all that a rule is found by."""
    asked = [rule.trigger.scene, *rule.trigger.keys, *(pattern.text for pattern in rule.patterns)]
    return "\n".join([rule.name, *asked, words.answers(rule, files), rule.notes])


def _comparable(text: str) -> str:
    return clean(text).casefold()


_FILTERS: Mapping[str, Callable[[_Rules, Iterable[int], str], Iterable[int]]] = {
    "state": _with_state,
    "trigger": _with_trigger,
    "q": _with_text,
}


# Rules in words


def _lines(rules: _Rules, ids: Sequence[int], files: Mapping[int, str]) -> dict[int, Line]:
    counted = hits(ids)
    return {it: _line(rules, it, files, counted[it]) for it in ids}


def hits(rule_ids: Sequence[int]) -> dict[int, Hits]:
    """Return the hits of each of these rules on the last days of the account."""
    return reading.hits(db.session.connection(), services().account_id, rule_ids, _today())


def _line(rules: _Rules, rule_id: int, files: Mapping[int, str], hits: Hits) -> Line:
    rule, position = rules.readable.get(rule_id), rules.positions[rule_id]
    if rule is None:
        entry = reading.find(db.session.connection(), rules.account_id, rule_id)
        name = str(entry.definition.get("name", rule_id)) if entry else str(rule_id)
        return Line(rule_id, position, None, name, hits)
    return Line(
        rule_id,
        position,
        rule,
        rule.name,
        hits,
        words.trigger(rule),
        words.answers(rule, files),
        words.conditions(rule),
        {it: rules.readable[it].name for it in rules.compiled.shadowed.get(rule_id, ())},
        [words.advice(kind) for kind in dict.fromkeys(advice(rule).values())],
    )
