"""Reading the history: filters, pages, counts, and one follower's thread. Newest first is by id.

A page is a range of ids from where another one ended, so that its cost does not depend on its depth. What is
filtered by words, kind, event or origin is found through the search index, which has tokens for these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, Select, TextClause, case, func, literal, select

from ..models import UNSETTLED, Direction, Follower, FollowerTag, Hour, MessageLog, State
from .digest import hour_of
from .search import MESSAGES, Query, label, searchable

MAX_QUERY = 200
MAX_LIMIT = 200
MAX_STATEMENTS = 3
"""Of a page, when what the index finds has to be looked at. Such a page may be shorter than others."""
COUNTED = 10_000
"""So many of the newest messages that match are counted, of all messages or those of a follower …"""
COUNTED_FOUND = 2_000
"""… and so many of what the index finds, all over the table."""
COUNTED_READ = 500
"""… and so many when they have to be looked at."""
FACETS = ("direction", "kind", "event", "state", "origin")

_EARLIEST, _LATEST = date(1970, 1, 2), date(9000, 1, 1)
_LAST_ID = 1 << 62
_MARGIN = 24
"""Hours that a message may arrive before or after the platform's time."""


class Reason(StrEnum):
    """What is wrong with a part of a filter."""

    UNKNOWN = "there is no such value"
    TOO_LONG = "it is too long"
    NO_DATE = "it is no date such as 2026-11-01"
    REVERSED = "it is before the first day"
    NO_NUMBER = "it is no number"


class FilterError(ValueError):
    """A filter that makes no sense, and which part of it."""

    def __init__(self, field: str, reason: Reason) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True)
class MessageFilter:
    """Which messages are meant. Conditions that are empty hold for all."""

    q: str = ""
    direction: str = ""
    kind: str = ""
    """One, or several with commas between."""
    event: str = ""
    state: str = ""
    origin: str = ""
    follower: int | None = None
    tag: int | None = None
    since: date | None = None
    until: date | None = None
    """The last day. Days are those of `zone`."""
    zone: tzinfo = UTC

    @classmethod
    def parse(cls, values: Mapping[str, str], zone: tzinfo) -> MessageFilter:
        """The filter of a query string; FilterError."""
        since, until = _day(values, "from"), _day(values, "to")
        if since and until and since > until:
            raise FilterError("to", Reason.REVERSED)
        if len(values.get("q", "")) > MAX_QUERY:
            raise FilterError("q", Reason.TOO_LONG)
        return cls(
            q=values.get("q", "").strip(),
            direction=_one_of(Direction, values, "direction"),
            kind=_word(values, "kind"),
            event=_word(values, "event"),
            state=_one_of(State, values, "state"),
            origin=_word(values, "origin"),
            follower=_number(values, "follower"),
            tag=_number(values, "tag"),
            since=since,
            until=until,
            zone=zone,
        )

    @cached_property
    def query(self) -> Query:
        return Query.parse(self.q)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind in self.kind.split(",") if kind]

    @property
    def exact(self) -> bool:
        """Whether the database finds what matches, and nothing else."""
        return not self.query or (self.query.exact and not self._unsettled)

    @property
    def _unsettled(self) -> bool:
        """Only messages are meant that have an index for themselves: the few that wait or failed."""
        return bool(self.state) and self.state not in {State.ANSWERED, State.SENT}

    def groups(self) -> list[list[str]]:
        """The tokens to look for in the index, one of each group; none if another index serves better."""
        if self._unsettled:
            return []
        directions = [self.direction] if self.direction else list(Direction)
        groups = [[token] for token in self.query.tokens]
        if self.kinds:
            groups.append([label("kind", direction, kind) for direction in directions for kind in self.kinds])
        if self.event:
            groups.append([label("event", self.event)])
        if self.origin:
            groups.append([label("origin", direction, self.origin) for direction in directions])
        if self.direction and not (self.kinds or self.origin or self.follower):
            groups.append([label("direction", self.direction)])
        if groups and self.follower:
            groups.append([label("follower", str(self.follower))])
        return groups

    def conditions(self) -> Iterator[ColumnElement[bool] | TextClause]:
        """What the columns of a message must be, but for the ids."""
        follower_id = MessageLog.follower_id + 0 if self.groups() else MessageLog.follower_id
        for column, value in (
            (MessageLog.direction, self.direction),
            (MessageLog.event, self.event),
            (MessageLog.state, self.state),
            (MessageLog.origin, self.origin),
            (follower_id, self.follower),  # + 0: not by its own index, where the search index is used
        ):
            if value:
                yield column == value
        if self.kinds:
            yield MessageLog.kind.in_(self.kinds)
        if self._unsettled:
            yield UNSETTLED  # names the index to SQLite
        if self.tag:
            tagged = select(FollowerTag.follower_id).where(FollowerTag.tag_id == self.tag)
            yield MessageLog.follower_id.in_(tagged)
        if self.since:
            yield MessageLog.created_at >= midnight(self.since, self.zone)
        if self.until:
            yield MessageLog.created_at < midnight(self.until + timedelta(days=1), self.zone)

    def ids(self, first: int, last: int) -> tuple[ColumnElement[int], ColumnElement[int]]:
        """The part of a range of ids in which the messages of these days lie."""
        since: ColumnElement[int] = literal(first)
        until: ColumnElement[int] = literal(last)
        if self.since:
            hour = hour_of(midnight(self.since, self.zone)) - _MARGIN
            later = case((Hour.first_id > since, Hour.first_id), else_=since)
            found = select(later).where(Hour.hour <= hour).order_by(Hour.hour.desc()).limit(1)
            since = func.coalesce(found.scalar_subquery(), since)
        if self.until:
            hour = hour_of(midnight(self.until + timedelta(days=1), self.zone)) + _MARGIN
            earlier = case((Hour.first_id <= until, Hour.first_id - 1), else_=until)
            found = select(earlier).where(Hour.hour > hour).order_by(Hour.hour).limit(1)
            until = func.coalesce(found.scalar_subquery(), until)
        return since, until


def _one_of(values: type[StrEnum], given: Mapping[str, str], name: str) -> str:
    value = given.get(name, "")
    if value and value not in set(values):
        raise FilterError(name, Reason.UNKNOWN)
    return value


def _word(given: Mapping[str, str], name: str) -> str:
    value = given.get(name, "")
    if len(value) > MAX_QUERY:
        raise FilterError(name, Reason.TOO_LONG)
    if not value.isprintable():
        raise FilterError(name, Reason.UNKNOWN)
    return value


def _number(given: Mapping[str, str], name: str) -> int | None:
    value = given.get(name, "")
    if value and not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise FilterError(name, Reason.NO_NUMBER)
    return int(value) if value else None


def _day(given: Mapping[str, str], name: str) -> date | None:
    value = given.get(name, "")
    if not value:
        return None
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise FilterError(name, Reason.NO_DATE) from None
    if not _EARLIEST <= day <= _LATEST:
        raise FilterError(name, Reason.NO_DATE)
    return day


def midnight(day: date, zone: tzinfo) -> datetime:
    """When `day` begins in `zone`, in UTC."""
    day = min(max(day, _EARLIEST), _LATEST)
    # By its name, since zones of pytz cannot be used for this.
    return datetime.combine(day, time(), ZoneInfo(str(zone))).astimezone(UTC)


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
    """There may be more: only the newest `bound` that match were counted."""
    bound: int
    counts: Mapping[str, Mapping[str, int]]


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


def read(
    connection: Connection, chosen: MessageFilter, beyond: int | None, upwards: bool, limit: int
) -> tuple[Sequence[Row[Any]], int | None]:
    """Messages beyond an id, nearest first, and the id beyond which there may be more."""
    rows: list[Row[Any]] = []
    batch = limit + 1
    for _ in range(MAX_STATEMENTS):
        statement = _matching(connection, chosen, _ROW, beyond, upwards)
        found = connection.execute(statement.limit(batch)).all()
        rows += _checked(chosen, found)
        if len(rows) > limit:
            return rows[:limit], rows[limit - 1].id
        if len(found) < batch:
            return rows, None
        beyond = found[-1].id
        batch *= 4
    return rows, beyond


_ROW = (*MessageLog.__table__.columns, Follower.openid, Follower.alias)


def _matching(
    connection: Connection,
    chosen: MessageFilter,
    columns: Sequence[Any],
    beyond: int | None = None,
    upwards: bool = False,
) -> Select[Any]:
    """What `chosen` means beyond an id, nearest first, but for what `_checked` finds out."""
    key: Any = MessageLog.id
    found = select(*columns).outerjoin_from(MessageLog, Follower, Follower.id == MessageLog.follower_id)
    if groups := chosen.groups():
        dialect = connection.dialect.name
        key = MESSAGES.key(dialect)
        found = found.where(MessageLog.id == key, MESSAGES.has(dialect, *groups))
    first, last = 0, _LAST_ID
    if beyond is not None:
        first, last = (beyond + 1, last) if upwards else (first, beyond - 1)
    found = found.where(key.between(*chosen.ids(first, last)), *chosen.conditions())
    return found.order_by(key if upwards else key.desc())


def _checked(chosen: MessageFilter, found: Iterable[Row[Any]]) -> Iterable[Row[Any]]:
    """Those of `found` that match, where the database does not prove it."""
    if chosen.exact:
        return found
    return [row for row in found if chosen.query.matches(searchable(row.text, row.payload))]


def facets(connection: Connection, chosen: MessageFilter) -> Facets:
    """How many messages match, counted over the newest ones."""
    columns = [MessageLog.__table__.columns[name] for name in FACETS]
    if chosen.exact:
        bound = COUNTED_FOUND if chosen.groups() else COUNTED
        counted = _matching(connection, chosen, columns).limit(bound).subquery()
        grouped = select(*counted.c, func.count()).group_by(*counted.c)
        numbers = {tuple(values): n for *values, n in connection.execute(grouped)}
        found = sum(numbers.values())
    else:
        bound = COUNTED_READ
        read_too = [*columns, MessageLog.text, MessageLog.payload]
        rows = connection.execute(_matching(connection, chosen, read_too).limit(bound)).all()
        numbers = Counter(tuple(row[: len(FACETS)]) for row in _checked(chosen, rows))
        found = len(rows)
    counts: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    for values, n in numbers.items():
        for name, value in zip(FACETS, values, strict=True):
            counts[name][value] += n
    ordered = {name: dict(its.most_common()) for name, its in counts.items()}
    return Facets(sum(numbers.values()), capped=found >= bound, bound=bound, counts=ordered)


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
