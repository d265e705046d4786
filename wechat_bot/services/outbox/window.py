"""How long, and how often, a follower may still be written to (``wechat-platform.md`` section 7.4).

An estimate: how allowances that overlap add up is not documented. What the platform answers counts more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, func, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ...models import Channel, Conversation, Direction, Follower, HourIndex, MessageLog, MessageState
from ..projections.projector import hour_of

MAX_MESSAGES = 60
"""So many of the newest messages are looked at: more than any allowance."""

_BRIEF = timedelta(minutes=1)
_OPENING = {"click": 3, "scancode_push": 3, "scancode_waitmsg": 3, "subscribe": 3, "scan": 3}
"""Events after which a follower may be written to for a minute, and how often."""
WINDOW_LENGTH = timedelta(hours=48)
_MESSAGE = (5, WINDOW_LENGTH)
"""What a message of the follower allows."""
_SPENT = {MessageState.SENT, MessageState.UNKNOWN, MessageState.SENDING, MessageState.QUEUED}


class Closed(StrEnum):
    """Why a follower may not be written to."""

    SILENT = "silent"
    """The follower has not written, or too long ago."""
    USED_UP = "used_up"
    LEFT = "left"
    """The follower no longer follows."""


@dataclass(frozen=True)
class Window:
    """Until when and how often a follower may be written to; `closed` tells why not at all."""

    closed: Closed | None = None
    ends_at: datetime | None = None
    left: int = 0
    allowed: int = 0

    @classmethod
    def until(cls, ends_at: datetime, allowed: int, spent: int) -> Window:
        """Of so many messages that are `allowed`, some of which were sent."""
        left = max(0, allowed - spent)
        return cls(None if left else Closed.USED_UP, ends_at, left, allowed)


def load_window(connection: Connection, follower_id: int, subscribed: bool, now: datetime) -> Window:
    """Where a follower's window stands."""
    names = ("direction", "channel", "kind", "event", "state", "error", "created_at")
    newest = (
        select(*(getattr(MessageLog, name) for name in names))
        .where(MessageLog.follower_id == follower_id)
        .order_by(MessageLog.id.desc())
        .limit(MAX_MESSAGES)
    )
    return compute_window(subscribed, connection.execute(newest).all(), now)


def compute_window(subscribed: bool, newest: Iterable[Any], now: datetime) -> Window:
    """The window that the newest messages of a follower, newest first, leave."""
    if not subscribed:
        return Window(Closed.LEFT)
    spent, refused = 0, ""
    best = Window(Closed.SILENT)
    for row in newest:
        if row.direction == Direction.OUT:
            if row.channel == Channel.CUSTOMER:
                spent += MessageState(row.state) in _SPENT
                refused = refused or (row.error[:5] if row.state == MessageState.FAILED else "")
            continue
        allowed, lasting = _allowance(row)
        ends_at = row.created_at + lasting
        if ends_at > now and refused != "45015":
            used = allowed if refused == "45047" else spent
            best = _better(best, Window.until(ends_at, allowed, used))
        if row.kind != "event":
            break  # older acts allow nothing that this one does not
    return best


def _allowance(row: Any) -> tuple[int, timedelta]:
    return (_OPENING.get(row.event, 0), _BRIEF) if row.kind == "event" else _MESSAGE


def _better(one: Window, other: Window) -> Window:
    """The larger count, and the longer time as far as it allows anything."""
    if not one.ends_at or not other.ends_at or not other.allowed:
        return other if other.allowed else one
    larger = max(one, other, key=lambda load_window: load_window.left)
    longest = max(one.ends_at, other.ends_at) if one.left and other.left else larger.ends_at
    return replace(larger, ends_at=longest)


# Of many conversations at once, as far as their followers' newest messages tell


def spent_since(
    follower_id: InstrumentedAttribute[int], message_id: InstrumentedAttribute[int]
) -> ScalarSelect[int]:
    """How many messages of those that are counted went to a follower after a message."""
    sent = aliased(MessageLog)
    after = (sent.follower_id == follower_id, sent.id > message_id)
    counted = (sent.channel == Channel.CUSTOMER, sent.state.in_(_SPENT))
    return select(func.count(sent.id)).where(*after, *counted).scalar_subquery()


def estimate_window(subscribed: bool, written_at: datetime | None, spent: int, now: datetime) -> Window:
    """The window that the newest message of a follower, who wrote it at `written_at`, leaves."""
    allowed, lasting = _MESSAGE
    if not subscribed:
        return Window(Closed.LEFT)
    if not written_at or written_at + lasting <= now:
        return Window(Closed.SILENT)
    return Window.until(written_at + lasting, allowed, spent)


def not_yet_closed(written_at: InstrumentedAttribute[datetime], now: datetime) -> ColumnElement[bool]:
    """Threads of followers who may still be written to, whose newest message came at `written_at`."""
    since = now - WINDOW_LENGTH
    hour = (
        select(HourIndex.first_id)
        .where(HourIndex.hour <= hour_of(since))
        .order_by(HourIndex.hour.desc())
        .limit(1)
    )
    lately = Conversation.last_in_id >= func.coalesce(hour.scalar_subquery(), 1)  # for the index
    return and_(lately, written_at > since, Follower.subscribed)
