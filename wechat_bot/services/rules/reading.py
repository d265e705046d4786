"""Reads the rules of an account, their history and their hits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, func, select

from ...models import Change, RuleHits, RuleSetVersion, RuleVersion, StoredRule
from ...routing.definitions import Rule

RECENT = 30
"""The days whose hits are counted, today included."""


@dataclass(frozen=True)
class RuleEntry:
    """A rule as it is stored."""

    id: int
    position: int | None
    """None if it is deleted."""
    version: int
    definition: dict[str, Any]

    @cached_property
    def rule(self) -> Rule:
        """The rule that the definition describes.

        :raises InvalidDefinition: if another release of the program wrote it.
        """
        return Rule.from_json(self.definition)


@dataclass(frozen=True)
class ImportedRule:
    """The definition of a rule when it was imported, and now."""

    original: dict[str, Any]
    current: dict[str, Any] | None
    """None if the rule is deleted."""

    def comes_from(self, definition: dict[str, Any]) -> bool:
        """Whether `definition` is of what was imported, which may have changed since.

        It has the same trigger and name; a button of the menu is known by its key alone.
        """
        is_button = "keys" in definition["trigger"]
        return self.original["trigger"] == definition["trigger"] and (
            is_button or self.original["name"] == definition["name"]
        )


@dataclass(frozen=True)
class Hits:
    """How often a rule answered on each of the last days, today last, and when it answered last."""

    by_day: Mapping[date, int]
    last_at: datetime | None

    @property
    def total(self) -> int:
        return sum(self.by_day.values())


def entries(engine: Engine, account_id: int) -> list[RuleEntry]:
    """Return the rules of an account in their order."""
    with engine.connect() as connection:
        return load(connection, account_id)


def load(connection: Connection, account_id: int, only: Collection[int] | None = None) -> list[RuleEntry]:
    """Return the rules of an account in their order, or those with the ids `only`."""
    found = _ENTRY if only is None else _ENTRY.where(StoredRule.id.in_(only))
    return [RuleEntry(*row) for row in connection.execute(_in_order(found, account_id))]


def versions(connection: Connection, account_id: int) -> list[tuple[int, int]]:
    """Return the ids and versions of the rules of an account in their order."""
    found = _in_order(select(StoredRule.id, StoredRule.version), account_id)
    return [(row.id, row.version) for row in connection.execute(found)]


def positions(connection: Connection, account_id: int) -> dict[int, int]:
    """Return the positions of the rules of an account by their ids, in their order."""
    found = _in_order(select(StoredRule.id, StoredRule.position), account_id)
    return {row.id: row.position for row in connection.execute(found)}


def _in_order(found: Any, account_id: int) -> Any:
    current = StoredRule.account_id == account_id, StoredRule.position.is_not(None)
    return found.where(*current).order_by(StoredRule.position, StoredRule.id)


def by_key(connection: Connection, account_id: int, *, without: int | None = None) -> dict[str, RuleEntry]:
    """Return the rules that answer buttons of the menu, by the keys of the buttons.

    :param without: the id of a rule that is left out.
    """
    return {
        key: entry
        for entry in reversed(load(connection, account_id))  # the first one answers
        if entry.id != without and entry.definition.get("enabled", True)
        for key in entry.definition["trigger"].get("keys", ())
    }


def find(connection: Connection, account_id: int, rule_id: int) -> RuleEntry | None:
    """Return a rule of an account, also a deleted one."""
    this = StoredRule.account_id == account_id, StoredRule.id == rule_id
    row = connection.execute(_ENTRY.where(*this)).one_or_none()
    return RuleEntry(*row) if row else None


def entry(engine: Engine, account_id: int, rule_id: int) -> RuleEntry | None:
    """Return a rule of an account, also a deleted one."""
    with engine.connect() as connection:
        return find(connection, account_id, rule_id)


def set_version(connection: Connection, account_id: int) -> int:
    """Return how often the rules of an account and their order have changed."""
    found = select(RuleSetVersion.version).where(RuleSetVersion.account_id == account_id)
    return connection.scalar(found) or 0


def history(engine: Engine, account_id: int, rule_id: int) -> Sequence[Row[Any]]:
    """Return the versions of a rule, newest first, as rows with the columns of `RuleVersion`."""
    columns = RuleVersion.__table__.columns
    found = select(*columns).join(StoredRule, StoredRule.id == RuleVersion.rule_id)
    this = StoredRule.account_id == account_id, StoredRule.id == rule_id
    with engine.connect() as connection:
        return connection.execute(found.where(*this).order_by(RuleVersion.version.desc())).all()


def deleted(engine: Engine, account_id: int) -> list[RuleEntry]:
    """Return the deleted rules of an account, newest first."""
    gone = StoredRule.account_id == account_id, StoredRule.position.is_(None)
    with engine.connect() as connection:
        found = connection.execute(_ENTRY.where(*gone).order_by(StoredRule.id.desc()))
        return [RuleEntry(*row) for row in found]


def imported(connection: Connection, account_id: int) -> list[ImportedRule]:
    """Return the rules of an account that were imported, also those that are deleted."""
    found = (
        select(RuleVersion.definition, StoredRule.definition, StoredRule.position)
        .join(StoredRule, StoredRule.id == RuleVersion.rule_id)
        .where(StoredRule.account_id == account_id, RuleVersion.change == Change.IMPORTED)
    )
    return [
        ImportedRule(original, current if position else None)
        for original, current, position in connection.execute(found)
    ]


def hits(connection: Connection, account_id: int, rule_ids: Sequence[int], today: date) -> dict[int, Hits]:
    """Return the hits of each of these rules of an account; `today` is in its time zone."""
    days = [today - timedelta(days=ago) for ago in reversed(range(RECENT))]
    counted: dict[int, dict[date, int]] = {rule_id: dict.fromkeys(days, 0) for rule_id in rule_ids}
    theirs = _of_account(account_id), RuleHits.rule_id.in_(rule_ids)
    recent = select(RuleHits.rule_id, RuleHits.day, RuleHits.hits).where(
        *theirs, RuleHits.day.between(days[0], today)
    )
    for rule_id, day, count in connection.execute(recent):
        counted[rule_id][day] = count
    latest = func.max(RuleHits.last_at, type_=RuleHits.last_at.type)
    last = select(RuleHits.rule_id, latest.label("at")).where(*theirs).group_by(RuleHits.rule_id)
    last_at = {row.rule_id: row.at for row in connection.execute(last)}
    return {rule_id: Hits(by_day, last_at.get(rule_id)) for rule_id, by_day in counted.items()}


def used(connection: Connection, account_id: int, today: date) -> frozenset[int]:
    """Return the rules of an account that answered on one of the last days, today included."""
    first_day = today - timedelta(days=RECENT - 1)
    found = select(RuleHits.rule_id).where(_of_account(account_id), RuleHits.day >= first_day).distinct()
    return frozenset(connection.scalars(found))


def _of_account(account_id: int) -> ColumnElement[bool]:
    return RuleHits.rule_id.in_(select(StoredRule.id).where(StoredRule.account_id == account_id))


_ENTRY: Select[Any] = select(StoredRule.id, StoredRule.position, StoredRule.version, StoredRule.definition)
