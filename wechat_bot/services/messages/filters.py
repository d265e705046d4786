"""Filters of the message log: parsed from a query string, turned into conditions of a statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import cached_property
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, TextClause, case, func, literal, select

from ...application import row_id
from ...models import UNSETTLED, Direction, HourIndex, MessageLog, MessageState
from ...models.projections import hour_of
from ..search.tagged import is_tagged
from ..search.tokens import MAX_QUERY, Query, label

_EARLIEST, _LATEST = date(1970, 1, 2), date(9000, 1, 1)
_MARGIN = 24
"""Hours by which our time of a message may differ from the platform's."""


class FilterProblem(StrEnum):
    """What is wrong with a field of a filter."""

    UNKNOWN = "there is no such value"
    TOO_LONG = "it is too long"
    NO_DATE = "it is no date such as 2026-11-01"
    REVERSED = "it is before the first day"
    NO_NUMBER = "it is no number"


class FilterError(ValueError):
    """A field of a filter is not valid."""

    def __init__(self, field: str, reason: FilterProblem) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True)
class MessageFilter:
    """A filter of messages. Empty fields match all."""

    q: str = ""
    direction: str = ""
    kind: str = ""
    """One kind, or several separated by commas."""
    event: str = ""
    state: str = ""
    origin: str = ""
    follower: int | None = None
    tag: int | None = None
    since: date | None = None
    until: date | None = None
    """The last day, inclusive. Days are those of `zone`."""
    zone: tzinfo = UTC

    @classmethod
    def parse(cls, values: Mapping[str, str], zone: tzinfo) -> MessageFilter:
        """Return the filter of a query string.

        :raises FilterError: if a field is not valid.
        """
        since, until = _day(values, "from"), _day(values, "to")
        if since and until and since > until:
            raise FilterError("to", FilterProblem.REVERSED)
        if len(values.get("q", "")) > MAX_QUERY:
            raise FilterError("q", FilterProblem.TOO_LONG)
        return cls(
            q=values.get("q", "").strip(),
            direction=_one_of(Direction, values, "direction"),
            kind=_word(values, "kind"),
            event=_word(values, "event"),
            state=_one_of(MessageState, values, "state"),
            origin=_word(values, "origin"),
            follower=_row_id(values, "follower"),
            tag=_row_id(values, "tag"),
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
        """Whether the database finds all messages that match, and no others."""
        return not self.query or (self.query.exact and not self.unsettled)

    @property
    def listed(self) -> bool:
        """Whether an index alone lists the messages that match, so that they need not be read."""
        looked_at = self.state or self.tag or self.since or self.until
        return self.exact and not looked_at and bool(self.groups() or not self.direction)

    @property
    def unsettled(self) -> bool:
        """Whether only messages match that have an index of their own: the few that wait or failed."""
        return bool(self.state) and self.state not in {MessageState.ANSWERED, MessageState.SENT}

    def groups(self) -> list[list[str]]:
        """Groups of tokens for the search index, one of each must match; none if another index is better."""
        if self.unsettled:
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

    def conditions(
        self, account_id: int, few_tagged: bool = False
    ) -> Iterator[ColumnElement[bool] | TextClause]:
        """Yield the conditions on the columns of a message of an account, except its id.

        `few_tagged` tells whether few followers have the tag.
        """
        yield MessageLog.account_id == account_id
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
        if self.unsettled:
            yield UNSETTLED  # names the index to SQLite
        if self.tag:
            yield is_tagged(MessageLog.follower_id, self.tag, few_tagged)
        if self.since:
            yield MessageLog.created_at >= midnight(self.since, self.zone)
        if self.until:
            yield MessageLog.created_at < midnight(self.until + timedelta(days=1), self.zone)

    def ids(self, first: int, last: int) -> tuple[ColumnElement[int], ColumnElement[int]]:
        """Narrow a range of ids to that of the filter's days."""
        since: ColumnElement[int] = literal(first)
        until: ColumnElement[int] = literal(last)
        if self.since:
            hour = hour_of(midnight(self.since, self.zone)) - _MARGIN
            later = case((HourIndex.first_id > since, HourIndex.first_id), else_=since)
            found = select(later).where(HourIndex.hour <= hour).order_by(HourIndex.hour.desc()).limit(1)
            since = func.coalesce(found.scalar_subquery(), since)
        if self.until:
            hour = hour_of(midnight(self.until + timedelta(days=1), self.zone)) + _MARGIN
            earlier = case((HourIndex.first_id <= until, HourIndex.first_id - 1), else_=until)
            found = select(earlier).where(HourIndex.hour > hour).order_by(HourIndex.hour).limit(1)
            until = func.coalesce(found.scalar_subquery(), until)
        return since, until


def _one_of(values: type[StrEnum], given: Mapping[str, str], name: str) -> str:
    value = given.get(name, "")
    if value and value not in set(values):
        raise FilterError(name, FilterProblem.UNKNOWN)
    return value


def _word(given: Mapping[str, str], name: str) -> str:
    value = given.get(name, "")
    if len(value) > MAX_QUERY:
        raise FilterError(name, FilterProblem.TOO_LONG)
    if not value.isprintable():
        raise FilterError(name, FilterProblem.UNKNOWN)
    return value


def _row_id(given: Mapping[str, str], name: str) -> int | None:
    try:
        return row_id(given[name]) if given.get(name) else None
    except ValueError:
        raise FilterError(name, FilterProblem.NO_NUMBER) from None


def _day(given: Mapping[str, str], name: str) -> date | None:
    value = given.get(name, "")
    try:
        day = date.fromisoformat(value) if value else None
    except ValueError:
        raise FilterError(name, FilterProblem.NO_DATE) from None
    if day and not _EARLIEST <= day <= _LATEST:
        raise FilterError(name, FilterProblem.NO_DATE)
    return day


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the time, in UTC, at which `day` begins in `zone`."""
    day = min(max(day, _EARLIEST), _LATEST)
    # By its name, since zones of pytz are not correct here.
    return datetime.combine(day, time(), ZoneInfo(str(zone))).astimezone(UTC)
