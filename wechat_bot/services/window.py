"""How long, and how often, a follower may still be written to (``wechat-platform.md`` section 7.4).

An estimate: how allowances that overlap add up is not documented. What the platform answers counts more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from ..models import Channel, Direction, Follower, MessageLog, State

LOOKED_AT = 60
"""So many of the newest messages are looked at: more than any allowance."""

_BRIEF = timedelta(minutes=1)
_OPENING = {"click": 3, "scancode_push": 3, "scancode_waitmsg": 3, "subscribe": 3, "scan": 3}
"""Events after which a follower may be written to for a minute, and how often."""
_MESSAGE = (5, timedelta(hours=48))
"""What a message of the follower allows."""
_SPENT = {State.SENT, State.UNKNOWN, State.SENDING, State.QUEUED}


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


def window(connection: Connection, follower_id: int, now: datetime) -> Window:
    """Where a follower's window stands, in two statements."""
    subscribed = connection.scalar(select(Follower.subscribed).where(Follower.id == follower_id))
    names = ("direction", "channel", "kind", "event", "state", "error", "created_at")
    newest = (
        select(*(getattr(MessageLog, name) for name in names))
        .where(MessageLog.follower_id == follower_id)
        .order_by(MessageLog.id.desc())
        .limit(LOOKED_AT)
    )
    return reckon(bool(subscribed), connection.execute(newest).all(), now)


def reckon(subscribed: bool, newest: Iterable[Any], now: datetime) -> Window:
    """The window that the newest messages of a follower, newest first, leave."""
    if not subscribed:
        return Window(Closed.LEFT)
    spent, refused = 0, ""
    best = Window(Closed.SILENT)
    for row in newest:
        if row.direction == Direction.OUT:
            if row.channel == Channel.CUSTOMER:
                spent += State(row.state) in _SPENT
                refused = refused or (row.error[:5] if row.state == State.FAILED else "")
            continue
        allowed, lasting = _allowance(row)
        ends_at = row.created_at + lasting
        if ends_at > now and refused != "45015":
            left = 0 if refused == "45047" else max(0, allowed - spent)
            best = _better(best, Window(None if left else Closed.USED_UP, ends_at, left, allowed))
        if row.kind != "event":
            break  # older acts allow nothing that this one does not
    return best


def _allowance(row: Any) -> tuple[int, timedelta]:
    return (_OPENING.get(row.event, 0), _BRIEF) if row.kind == "event" else _MESSAGE


def _better(one: Window, other: Window) -> Window:
    """The larger count, and the longer time as far as it allows anything."""
    if not one.ends_at or not other.ends_at or not other.allowed:
        return other if other.allowed else one
    larger = max(one, other, key=lambda window: window.left)
    longest = max(one.ends_at, other.ends_at) if one.left and other.left else larger.ends_at
    return replace(larger, ends_at=longest)
