"""Stores questions in their groups, and deletes groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ...models import QuestionExample, QuestionGroup, QuestionToken, QuestionWeek
from ...models.rows import new_row
from . import decisions
from .likeness import prefix
from .matching import Matching, Question

_CHANGEABLE = ("asked", "first_at", "last_at", "week", "week_asked", "state", "reopened_at")
_CHANGE = (
    update(QuestionGroup)
    .where(QuestionGroup.id == bindparam("number"))
    .values({name: bindparam(name) for name in _CHANGEABLE})
)
_MORE = (
    update(QuestionWeek)
    .where(QuestionWeek.group_id == bindparam("number"), QuestionWeek.week == bindparam("monday"))
    .values(asked=QuestionWeek.asked + bindparam("more"))
)


class GroupDeleted(LookupError):
    """A group was deleted after questions were found to belong to it."""


def store(connection: Connection, account_id: int, matching: Matching, zone: tzinfo) -> None:
    """Add questions to the groups that were found for them.

    :raises GroupDeleted: if one of these groups is no more.
    """
    groups = _load_groups(connection, {number for number in matching.groups.values() if number > 0})
    groups |= {
        number: _new_group(account_id, first, zone) for number, (first, _tokens) in matching.new.items()
    }
    weeks: dict[tuple[int, date], int] = defaultdict(int)
    for each, number in matching.groups.items():
        week = monday(each.at, zone)
        groups[number].update(decisions.after_question(groups[number], each.at, week).changes)
        weeks[number, week] += 1
    changed = [{**group, "number": number} for number, group in groups.items() if number > 0]
    if changed:
        connection.execute(_CHANGE, changed)
    ids = {number: number for number in groups if number > 0}
    ids |= {number: _insert(connection, group) for number, group in groups.items() if number < 0}
    entries = [
        entry
        for number, (_first, tokens) in matching.new.items()
        for entry in token_rows(account_id, ids[number], tokens)
    ]
    if entries:
        connection.execute(insert(QuestionToken), entries)
    examples = [{"message_id": each.message_id, "group_id": ids[n]} for each, n in matching.groups.items()]
    connection.execute(insert(QuestionExample), examples)
    _count_weeks(connection, {(ids[number], week): count for (number, week), count in weeks.items()})


def token_rows(account_id: int, group_id: int, tokens: frozenset[int]) -> list[dict[str, int]]:
    """Return the rows of `QuestionToken` of a group, whose text has these tokens."""
    values = {"account_id": account_id, "group_id": group_id, "size": len(tokens)}
    return [values | {"token": token} for token in prefix(tokens)]


def _load_groups(connection: Connection, numbers: Collection[int]) -> dict[int, dict[str, Any]]:
    """Lock and return the columns of groups.

    :raises GroupDeleted: if one of them is no more.
    """
    found = select(*QuestionGroup.__table__.columns).where(QuestionGroup.id.in_(numbers))
    rows = connection.execute(found.order_by(QuestionGroup.id).with_for_update()).all()
    if len(rows) < len(numbers):
        raise GroupDeleted
    return {row.id: dict(row._mapping) for row in rows}


def _new_group(account_id: int, first: Question, zone: tzinfo) -> dict[str, Any]:
    return new_row(
        QuestionGroup,
        account_id=account_id,
        text=first.text,
        message_id=first.message_id,
        first_at=first.at,
        last_at=first.at,
        week=monday(first.at, zone),
    )


def _insert(connection: Connection, group: Mapping[str, Any]) -> int:
    added = connection.execute(insert(QuestionGroup), group)
    return int(added.inserted_primary_key[0])  # type: ignore[index]


def _count_weeks(connection: Connection, counted: Mapping[tuple[int, date], int]) -> None:
    numbers, mondays = {key[0] for key in counted}, {key[1] for key in counted}
    existing = select(QuestionWeek.group_id, QuestionWeek.week)
    existing = existing.where(QuestionWeek.group_id.in_(numbers), QuestionWeek.week.in_(mondays))
    known = {(row.group_id, row.week) for row in connection.execute(existing)}
    more = [
        {"number": number, "monday": week, "more": count}
        for (number, week), count in counted.items()
        if (number, week) in known
    ]
    new = [
        {"group_id": number, "week": week, "asked": count}
        for (number, week), count in counted.items()
        if (number, week) not in known
    ]
    if more:
        connection.execute(_MORE, more)
    if new:
        connection.execute(insert(QuestionWeek), new)


def monday(at: datetime, zone: tzinfo) -> date:
    """Return the first day of the week of a time."""
    day = at.astimezone(zone).date()
    return day - timedelta(days=day.weekday())


def delete_groups(connection: Connection, group_ids: Collection[int]) -> None:
    """Delete groups with all that belongs to them."""
    for table in (QuestionExample, QuestionWeek, QuestionToken):
        connection.execute(delete(table).where(table.group_id.in_(group_ids)))
    connection.execute(delete(QuestionGroup).where(QuestionGroup.id.in_(group_ids)))
