"""The queue of messages for slow handlers, and the processes that take messages from it.

The queue consists of the rows of the message log that are `UNFINISHED` and have no owner, so it survives
every process, and all processes share it. A process that takes a message becomes its owner. While it lives it
sends heartbeats; the messages of a process without heartbeats return to the queue.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Update, delete, func, insert, or_, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction, write
from ...models import IS_UNFINISHED, UNFINISHED, UNSETTLED, Follower, HandlerProcess, MessageLog, MessageState
from ...models.rows import new_row

HEARTBEAT_SECONDS = 1.0
HEARTBEAT_TIMEOUT = 6.0
"""Seconds without a heartbeat after which a process counts as dead."""
RETENTION = timedelta(days=1)
"""Time after its last heartbeat at which a process is deleted from the table."""

_UNFINISHED = (UNSETTLED, IS_UNFINISHED)


@dataclass(frozen=True)
class QueuedMessage:
    """A message that no process handles."""

    id: int
    key: str
    openid: str
    """Empty for reports that concern no follower."""
    fields: Mapping[str, Any]
    received_at: datetime
    runs: int
    """How often its handler was started before."""


def oldest(connection: Connection, account_id: int, limit: int) -> list[QueuedMessage]:
    """Return the oldest queued messages.

    Of each follower it is one at most, and none while another one is being handled.
    """
    first = select(func.min(MessageLog.id)).where(*_queued(account_id)).group_by(MessageLog.follower_id)
    has_follower = MessageLog.follower_id.is_not(None)
    busy = select(MessageLog.follower_id).where(*_UNFINISHED, MessageLog.owner.is_not(None), has_follower)
    openid = func.coalesce(Follower.openid, "")
    found = (
        select(
            MessageLog.id,
            MessageLog.dedup_key,
            openid,
            MessageLog.payload,
            MessageLog.received_at,
            MessageLog.runs,
        )
        .join(Follower, Follower.id == MessageLog.follower_id, isouter=True)
        .where(MessageLog.id.in_(first), or_(~has_follower, MessageLog.follower_id.not_in(busy)))
        .order_by(MessageLog.id)
        .limit(limit)
    )
    return [QueuedMessage(*row) for row in connection.execute(found)]


def length(connection: Connection, account_id: int) -> int:
    """Return the number of queued messages."""
    return connection.scalars(select(func.count()).where(*_queued(account_id))).one()


def _queued(account_id: int) -> tuple[Any, ...]:
    return (*_UNFINISHED, MessageLog.owner.is_(None), MessageLog.account_id == account_id)


@retry_conflicts
def claim(engine: Engine, owner: str, ids: Collection[int]) -> set[int]:
    """Make `owner` the owner of queued messages; return the ids of those that no other process took."""
    with transaction(engine) as connection:
        return {row_id for row_id in sorted(ids) if connection.execute(_claim(owner, row_id)).rowcount}


def _claim(owner: str, row_id: int) -> Update:
    queued = MessageLog.id == row_id, MessageLog.owner.is_(None), IS_UNFINISHED
    return update(MessageLog).where(*queued).values(owner=owner, runs=MessageLog.runs + 1)


def fail(engine: Engine, row_id: int) -> None:
    """End a message that cannot be handled."""
    changes = {"state": MessageState.FAILED, "error": "interrupted"}
    write(engine, update(MessageLog).where(MessageLog.id == row_id, IS_UNFINISHED).values(changes))


def owned(connection: Connection, owner: str) -> set[str]:
    """Return the dedup keys of the unfinished messages of a process."""
    found = select(MessageLog.dedup_key).where(*_UNFINISHED, MessageLog.owner == owner)
    return {str(key) for key in connection.scalars(found)}


def finished(connection: Connection, keys: Collection[str]) -> set[str]:
    """Return the dedup keys, of `keys`, of messages that are recorded and finished."""
    are_finished = MessageLog.dedup_key.in_(keys), MessageLog.state.not_in(UNFINISHED)
    return {str(key) for key in connection.scalars(select(MessageLog.dedup_key).where(*are_finished))}


def requeue(engine: Engine, owners: Collection[str], keys: Collection[str]) -> int:
    """Return to the queue the unfinished messages of `owners`, and those with the dedup keys `keys`.

    Returns their number.
    """
    which = or_(MessageLog.owner.in_(owners), MessageLog.dedup_key.in_(keys))
    return write(engine, update(MessageLog).where(*_UNFINISHED, which).values(owner=None))


def heartbeats(connection: Connection) -> dict[str, datetime | None]:
    """Return the last heartbeats of the owners of unfinished messages; None if there was none."""
    heartbeat = HandlerProcess.name == MessageLog.owner
    found = select(MessageLog.owner, func.max(HandlerProcess.seen_at)).join(
        HandlerProcess, heartbeat, isouter=True
    )
    owned = found.where(*_UNFINISHED, MessageLog.owner.is_not(None)).group_by(MessageLog.owner)
    return {str(owner): seen_at for owner, seen_at in connection.execute(owned)}


@retry_conflicts
def send_heartbeat(engine: Engine, name: str, **figures: int | None) -> None:
    """Record that the process `name` is alive, with its figures, columns of `HandlerProcess`."""
    with transaction(engine) as connection:
        now = database_now()  # clocks are compared over the first connection of a process
        this = HandlerProcess.name == name
        if not connection.execute(update(HandlerProcess).where(this).values(seen_at=now, **figures)).rowcount:
            connection.execute(
                insert(HandlerProcess).values(new_row(HandlerProcess, name=name, seen_at=now, **figures))
            )
            connection.execute(delete(HandlerProcess).where(HandlerProcess.seen_at < now - RETENTION))


def sign_off(engine: Engine, name: str) -> None:
    """Record that the process `name` has ended."""
    write(engine, delete(HandlerProcess).where(HandlerProcess.name == name))


class Liveness:
    """Tells which processes are dead, by whether their heartbeats change. No clocks are compared."""

    def __init__(self) -> None:
        self._unchanged: dict[str, tuple[datetime | None, float]] = {}
        self._looked_at = 0.0

    def dead(self, heartbeats: Mapping[str, datetime | None], now: float) -> set[str]:
        """Return the processes whose heartbeats have not changed for `HEARTBEAT_TIMEOUT`.

        `now` is in seconds of a monotonic clock. After a pause nothing is known: all may have been stopped.
        """
        before = self._unchanged if now - self._looked_at < HEARTBEAT_TIMEOUT / 2 else {}
        self._unchanged = {
            name: before[name] if name in before and before[name][0] == seen_at else (seen_at, now)
            for name, seen_at in heartbeats.items()
        }
        self._looked_at = now
        return {name for name, (_, since) in self._unchanged.items() if now - since >= HEARTBEAT_TIMEOUT}
