"""Reading the history: filters, pages, counts, and one follower's thread. Newest first is by id.

A page is a range of ids from where another one ended, so that its cost does not depend on its depth. What is
filtered by words, kind, event or origin is found through the search index, which has tokens for these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, Select, exists, func, null, select

from ..models import Follower, MessageLog
from .filters import FilterError, MessageFilter, Reason, midnight
from .search import MESSAGES, searchable

__all__ = [
    "Facets",
    "FilterError",
    "MessageFilter",
    "Page",
    "Reason",
    "around",
    "facets",
    "midnight",
    "page",
    "read",
    "thread",
]

MAX_LIMIT = 200
LOOKED_AT = 8
"""So many times more are read for a page when what the index finds has to be looked at, and few matched. The
page may be shorter than others even so."""
COUNTED = 10_000
"""So many messages that match are counted. Those are read for it, newest first, …"""
COUNTED_FOUND = 1_000
"""… or so many when they lie all over the table, …"""
COUNTED_READ = 500
"""… or so many when their texts have to be looked at."""
WINDOW = 10_000
"""PostgreSQL first looks at so many messages one by one: common words are there, and its index would list all
messages that have them. …"""
ENOUGH = 50
"""… When so many match there, no others are counted."""
FACETS = ("direction", "kind", "event", "state", "origin")

_LAST_ID = 1 << 62


@dataclass(frozen=True)
class Page:
    """Messages, newest first, and the ids that older and newer ones lie beyond, if there may be some."""

    rows: Sequence[Row[Any]]
    older: int | None
    newer: int | None


@dataclass(frozen=True)
class Facets:
    """How many messages match: in all, and by the values of each of `FACETS`."""

    total: int
    capped: bool
    """There may be more."""
    counts: Mapping[str, Mapping[str, int]]
    partial: bool
    """There may be more of each: only the newest that match were counted."""


def page(
    connection: Connection,
    chosen: MessageFilter,
    before: int | None = None,
    after: int | None = None,
    limit: int = 50,
) -> Page:
    """The newest messages that `chosen` means; or those before an id; or the oldest after an id."""
    limit = min(limit, MAX_LIMIT)
    upwards = after is not None
    rows, further = read(connection, chosen, after if upwards else before, upwards, limit)
    back = None
    if before is not None or after is not None:
        edge = before - 1 if before is not None else (after or 0) + 1
        back = rows[0].id if rows else edge
    if upwards:
        return Page(rows[::-1], older=back, newer=further)
    return Page(rows, older=further, newer=back)


def again(connection: Connection, follower_id: int, ids: Sequence[int]) -> Page:
    """Some of a follower's messages, as they are now."""
    found = select(*_ROW).join(Follower, Follower.id == MessageLog.follower_id)
    found = found.where(MessageLog.id.in_(ids), MessageLog.follower_id == follower_id)
    return Page(connection.execute(found.order_by(MessageLog.id.desc())).all(), None, None)


def read(
    connection: Connection, chosen: MessageFilter, beyond: int | None, upwards: bool, limit: int
) -> tuple[Sequence[Row[Any]], int | None]:
    """Messages beyond an id, nearest first, and the id beyond which there may be more."""
    rows: list[Row[Any]] = []
    for batch in (limit + 1, LOOKED_AT * (limit + 1)):
        for statement in _statements(connection, chosen, _ROW, beyond, upwards):
            found = connection.execute(statement.limit(batch)).all()
            if len(found) == batch:
                break
        rows += _checked(chosen, found)
        if len(rows) > limit:
            return rows[:limit], rows[limit - 1].id
        if len(found) < batch:
            return rows, None
        beyond = found[-1].id
    return rows, beyond


_ROW = (*MessageLog.__table__.columns, Follower.openid, Follower.alias)


def _statements(
    connection: Connection,
    chosen: MessageFilter,
    columns: Sequence[Any],
    beyond: int | None = None,
    upwards: bool = False,
) -> Iterator[Select[Any]]:
    """What `chosen` means beyond an id, nearest first, but for what `_checked` finds out.

    The first statement may find too few; so may all others but the last.
    """
    found = select(*columns).outerjoin_from(MessageLog, Follower, Follower.id == MessageLog.follower_id)
    found = found.where(*chosen.conditions())
    limits = (0, _LAST_ID) if beyond is None else (beyond + 1, _LAST_ID) if upwards else (0, beyond - 1)
    first, last = chosen.ids(*limits)
    groups, dialect = chosen.groups(), connection.dialect.name
    if not groups:
        yield found.where(MessageLog.id.between(first, last)).order_by(_order(MessageLog.id, upwards))
        return
    key, matching = MESSAGES.key(dialect), MESSAGES.has(dialect, *groups)
    direct = found.where(MessageLog.id == key, matching, key.between(first, last))
    if dialect != "postgresql":
        yield direct.order_by(_order(key, upwards))
        return
    if not chosen.follower:  # who has few
        near = key.between(first, first + WINDOW) if upwards else key.between(_window(key, last), last)
        yield direct.where(near).order_by(_order(key, upwards))
    # All that the index lists, sorted before their messages are read: + 0 keeps the database from the order
    # of the primary key, also when it plans for any words and ids, and OFFSET 0 from joining first.
    place = (key + 0).label("id")
    ids = select(place).where(matching, place.between(first, last)).order_by(_order(place, upwards))
    listed = ids.offset(0).subquery()
    yield found.where(MessageLog.id == listed.c.id).order_by(_order(listed.c.id, upwards))


def _window(key: ColumnElement[int], last: ColumnElement[int]) -> ColumnElement[int]:
    """Where the newest window up to `last` begins."""
    return func.least(last, select(func.max(key)).scalar_subquery()) - WINDOW


def _order(key: Any, upwards: bool) -> Any:
    return key if upwards else key.desc()


def _checked(chosen: MessageFilter, found: Iterable[Row[Any]]) -> Iterable[Row[Any]]:
    """Those of `found` that match, where the database does not prove it."""
    if chosen.exact:
        return found
    return [row for row in found if chosen.query.matches(searchable(row.text, row.payload))]


def facets(connection: Connection, chosen: MessageFilter) -> Facets:
    """How many messages match, and of which kinds the newest ones are."""
    columns: list[Any] = [MessageLog.__table__.columns[name] for name in FACETS]
    if chosen.exact:
        scattered = chosen.groups() or chosen.follower or chosen.tag
        bound = COUNTED_FOUND if scattered else COUNTED
    else:
        bound = COUNTED_READ
        columns += [MessageLog.text, MessageLog.payload]
    statements = list(_statements(connection, chosen, columns))
    for statement in statements:
        everywhere = statement is statements[-1]
        listed = _listed(connection, chosen) if everywhere and bound < COUNTED and chosen.listed else None
        found, numbers, total = _count(connection, chosen, statement.limit(bound), listed)
        if found >= ENOUGH:
            break
    partial = found >= bound or not (everywhere or _within_window(connection, chosen))
    capped = partial if listed is None else total >= COUNTED
    counts: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    for values, n in numbers.items():
        for name, value in zip(FACETS, values, strict=True):
            counts[name][value] += n
    return Facets(total, capped, {name: dict(its.most_common()) for name, its in counts.items()}, partial)


def _listed(connection: Connection, chosen: MessageFilter) -> ScalarSelect[int]:
    """How many messages an index lists, up to `COUNTED`."""
    groups, dialect = chosen.groups(), connection.dialect.name
    if groups:
        found: Select[Any] = select(MESSAGES.key(dialect)).where(MESSAGES.has(dialect, *groups))
    else:
        found = select(MessageLog.id).where(*chosen.conditions())
    return select(func.count()).select_from(found.limit(COUNTED).subquery()).scalar_subquery()


def _count(
    connection: Connection, chosen: MessageFilter, statement: Select[Any], listed: ScalarSelect[int] | None
) -> tuple[int, Mapping[tuple[str, ...], int], int]:
    """How many messages a statement finds, those that match by their values of `FACETS`, and in all.

    The last is what is `listed`, if that is given.
    """
    if not chosen.exact:
        rows = connection.execute(statement).all()
        numbers = Counter(tuple(row[: len(FACETS)]) for row in _checked(chosen, rows))
        return len(rows), numbers, numbers.total()
    found = statement.subquery()
    grouped = select(null() if listed is None else listed, func.count(), *found.c).group_by(*found.c)
    rows = connection.execute(grouped).all()
    n = sum(row[1] for row in rows)
    total = n if listed is None or not rows else rows[0][0]
    return n, {tuple(values): count for _, count, *values in rows}, total


def _within_window(connection: Connection, chosen: MessageFilter) -> bool:
    """Whether no message of these days lies before the window that PostgreSQL looks at first."""
    first, last = chosen.ids(0, _LAST_ID)
    key = MESSAGES.key(connection.dialect.name)
    return not connection.scalar(select(exists().where(key.between(first, _window(key, last) - 1))))


def around(connection: Connection, message_id: int, n: int = 3) -> Sequence[Row[Any]]:
    """A message and its neighbours in its follower's thread, oldest first."""
    follower = connection.scalar(select(MessageLog.follower_id).where(MessageLog.id == message_id))
    if follower is None:
        return connection.execute(select(*_ROW).outerjoin(Follower).where(MessageLog.id == message_id)).all()
    return _both_sides(connection, MessageFilter(follower=follower), message_id, n, n).rows[::-1]


def thread(
    connection: Connection,
    follower_id: int,
    *,
    before: int | None = None,
    after: int | None = None,
    at: int | None = None,
    day: date | None = None,
    zone: tzinfo = UTC,
    limit: int = 50,
) -> Page:
    """A page of a follower's messages: the newest; before or after an id; around one; or from a day on."""
    chosen = MessageFilter(follower=follower_id)
    if at is not None:
        return _both_sides(connection, chosen, at, limit // 2, limit - limit // 2)
    if day is not None:
        since = MessageFilter(follower=follower_id, since=day, zone=zone)
        first = connection.scalar(
            select(MessageLog.id).where(*since.conditions()).order_by(MessageLog.id).limit(1)
        )
        after = first - 1 if first else None
    return page(connection, chosen, before, after, limit)


def _both_sides(connection: Connection, chosen: MessageFilter, at: int, older: int, newer: int) -> Page:
    """`at` with so many `older` and `newer` messages."""
    below = page(connection, chosen, before=at + 1, limit=older + 1)
    above = page(connection, chosen, after=at, limit=newer)
    return Page([*above.rows, *below.rows], below.older, above.newer)
