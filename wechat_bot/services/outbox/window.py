"""Until when, and how often, a follower may be written to (``wechat-platform.md`` section 7.4).

This is an estimate, as the platform does not document how allowances that overlap add up. What the platform
answers counts more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, func, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ...models import Channel, Conversation, Direction, Follower, HourIndex, MessageLog, MessageState
from ...models.messages import TAP_FIELD
from ...models.projections import hour_of

MAX_MESSAGES = 60
"""How many of the newest messages are looked at: more than any allowance."""

_SHORT = timedelta(minutes=1)
_OPENING = {"click": 3, "scancode_push": 3, "scancode_waitmsg": 3, "subscribe": 3, "scan": 3}
"""How many messages each of these events allows, for a minute."""
WINDOW_LENGTH = timedelta(hours=48)
_MESSAGE = (5, WINDOW_LENGTH)
"""How many messages a message of the follower allows, and for how long."""
_TAP = (3, _SHORT)
"""The same of a tap on an entry of a menu message."""
UNLIMITED = sys.maxsize
"""Stands for as many messages as one likes."""
_PAYMENT = (UNLIMITED, WINDOW_LENGTH)
_PAYMENTS = {"user_pay_from_pay_cell", "giftcard_pay_done"}
"""Events of followers who have paid."""
_PAID_SCENE = "last_trade_no_"
"""How the scene begins in which somebody follows from the page of a payment (section 4.2)."""
_COUNTED = {MessageState.SENT, MessageState.UNKNOWN, MessageState.SENDING, MessageState.QUEUED}
"""States in which a message to the follower uses the allowance."""
_OUT_OF_TIME, _LIMIT_REACHED = 45015, 45047
"""Error codes by which the platform says that the window is closed."""


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

    @property
    def is_unlimited(self) -> bool:
        return self.allowed == UNLIMITED

    @classmethod
    def until(cls, ends_at: datetime, allowed: int, sent: int) -> Window:
        """Return the window of `allowed` messages, some of which were sent."""
        left = max(0, allowed - sent)
        return cls(None if left else Closed.USED_UP, ends_at, left, allowed)


def load_window(connection: Connection, follower_id: int, subscribed: bool, now: datetime) -> Window:
    """Return the window of a follower."""
    names = ("direction", "channel", "kind", "event", "payload", "state", "errcode", "created_at")
    newest = (
        select(*(getattr(MessageLog, name) for name in names))
        .where(MessageLog.follower_id == follower_id)
        .order_by(MessageLog.id.desc())
        .limit(MAX_MESSAGES)
    )
    return compute_window(subscribed, connection.execute(newest).all(), now)


def compute_window(subscribed: bool, newest: Iterable[Any], now: datetime) -> Window:
    """Return the window that the newest messages of a follower leave, of which the newest comes first."""
    if not subscribed:
        return Window(Closed.LEFT)
    sent, refused = 0, None
    best = Window(Closed.SILENT)
    for row in newest:
        if row.direction == Direction.OUT:
            if row.channel == Channel.CUSTOMER:
                sent += MessageState(row.state) in _COUNTED
                refused = refused or (row.errcode if row.state == MessageState.FAILED else None)
            continue
        allowed, length = _allowance(row)
        ends_at = row.created_at + length
        if ends_at > now and refused != _OUT_OF_TIME:
            used = allowed if refused == _LIMIT_REACHED else sent
            best = _better(best, Window.until(ends_at, allowed, used))
        if (allowed, length) == _MESSAGE:
            break  # older messages allow nothing that this one does not
    return best


def _allowance(row: Any) -> tuple[int, timedelta]:
    """Return how many messages an act of the follower allows, and for how long."""
    if row.kind != "event":
        return _TAP if TAP_FIELD in row.payload else _MESSAGE
    scene = row.payload.get("EventKey") if row.event == "subscribe" else None
    has_paid = row.event in _PAYMENTS or str(scene).startswith(_PAID_SCENE)
    return _PAYMENT if has_paid else (_OPENING.get(row.event, 0), _SHORT)


def _better(one: Window, other: Window) -> Window:
    """Return the larger count, with the longer time if both windows are open."""
    if not one.ends_at or not other.ends_at or not other.allowed:
        return other if other.allowed else one
    larger = max(one, other, key=lambda window: window.left)
    longest = max(one.ends_at, other.ends_at) if one.left and other.left else larger.ends_at
    return replace(larger, ends_at=longest)


# Of many conversations at once, as far as the newest message of each follower tells

_Sent = aliased(MessageLog)


def spent_since(
    follower_id: InstrumentedAttribute[int], message_id: InstrumentedAttribute[int]
) -> ScalarSelect[int]:
    """Select the number of counted messages that were sent to a follower after a message."""
    after = (_Sent.follower_id == follower_id, _Sent.id > message_id)
    counted = (_Sent.channel == Channel.CUSTOMER, _Sent.state.in_(_COUNTED))
    return select(func.count(_Sent.id)).where(*after, *counted).scalar_subquery()


def estimate_window(subscribed: bool, written_at: datetime | None, sent: int, now: datetime) -> Window:
    """Return the window that the newest message of a follower leaves, which was written at `written_at`."""
    allowed, length = _MESSAGE
    if not subscribed:
        return Window(Closed.LEFT)
    if not written_at or written_at + length <= now:
        return Window(Closed.SILENT)
    return Window.until(written_at + length, allowed, sent)


def not_yet_closed(written_at: InstrumentedAttribute[datetime], now: datetime) -> ColumnElement[bool]:
    """The condition for conversations whose window is open, by the time of the follower's newest message."""
    since = now - WINDOW_LENGTH
    hour = (
        select(HourIndex.first_id)
        .where(HourIndex.hour <= hour_of(since))
        .order_by(HourIndex.hour.desc())
        .limit(1)
    )
    recent = Conversation.last_in_id >= func.coalesce(hour.scalar_subquery(), 1)  # makes the index usable
    return and_(recent, written_at > since, Follower.subscribed)
