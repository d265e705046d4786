"""The digest of a week: how many followers wrote, how many waited for a person, and how soon one answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from statistics import median
from typing import Any

from sqlalchemy import Connection, func, select

from ...models import Direction, HandoverEvent, MessageLog, MessageState
from ...routing.ownership import Owner
from ..messages.filters import MessageFilter, midnight

HOUR = time(9)
"""The local time on Mondays from which the digest of the last week is sent."""
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Digest:
    """What happened from a Monday to the following Sunday."""

    first_day: date
    followers: int
    """Followers who wrote."""
    handovers: int
    """How often one began to wait for a person."""
    first_responses: tuple[float, ...]
    """For how many seconds each of those who got an answer waited for it."""

    @property
    def last_day(self) -> date:
        return self.first_day + WEEK - timedelta(days=1)

    @property
    def median(self) -> timedelta | None:
        """The median of the first responses; None without any."""
        return timedelta(seconds=median(self.first_responses)) if self.first_responses else None


def due_since(now: datetime) -> datetime:
    """Return when, before the local time `now`, a digest became due last."""
    monday = datetime.combine(now.date() - timedelta(days=now.weekday()), HOUR, now.tzinfo)
    return monday if monday <= now else monday - WEEK


def digest_of(connection: Connection, account_id: int, first_day: date, zone: tzinfo) -> Digest:
    """Return the digest of the week that begins on `first_day`."""
    last_day = first_day + WEEK - timedelta(days=1)
    week = MessageFilter(direction=Direction.IN, since=first_day, until=last_day, zone=zone)
    newest = connection.scalar(select(func.max(MessageLog.id))) or 0
    ids = MessageLog.id.between(*week.ids(1, newest))
    written = *week.conditions(account_id), MessageLog.event == "", ids
    followers = connection.scalar(select(func.count(MessageLog.follower_id.distinct())).where(*written))
    since, until = midnight(first_day, zone), midnight(first_day + WEEK, zone)
    events = connection.execute(_events(account_id, since)).all()
    handovers = sum(event.owner == Owner.WAITING and event.at < until for event in events)
    return Digest(first_day, followers or 0, handovers, tuple(_first_responses(events, until)))


def _events(account_id: int, since: datetime) -> Any:
    """Select the changes of owners since a time, each with the first answer of an operator after it."""
    answer = (
        select(func.min(MessageLog.created_at))
        .where(
            MessageLog.follower_id == HandoverEvent.follower_id,
            MessageLog.operator_id.is_not(None),
            MessageLog.state == MessageState.SENT,
            MessageLog.created_at >= HandoverEvent.at,
        )
        .scalar_subquery()
        .label("answered")
    )
    columns = HandoverEvent.follower_id, HandoverEvent.at, HandoverEvent.owner, answer
    found = select(*columns).where(HandoverEvent.account_id == account_id, HandoverEvent.at >= since)
    return found.order_by(HandoverEvent.id)


def _first_responses(events: Sequence[Any], until: datetime) -> Iterator[float]:
    """Yield for how many seconds those waited who began to wait before `until` and whom an operator answered.

    An answer that came after the bot had the conversation back is none.
    """
    given_back: dict[int, datetime] = {}
    for event in reversed(events):
        if event.owner == Owner.BOT:
            given_back[event.follower_id] = event.at
        elif event.owner == Owner.WAITING and event.at < until and event.answered:
            back = given_back.get(event.follower_id)
            if back is None or event.answered <= back:
                yield (event.answered - event.at).total_seconds()
