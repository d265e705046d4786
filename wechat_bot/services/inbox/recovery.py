"""What a crash left behind is found and brought to an end."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import UNSETTLED, MessageLog, MessageState
from ..outbox.sending import Outbox, due

_ENDS = {
    MessageState.RECEIVED: MessageState.FAILED,
    MessageState.LATE: MessageState.FAILED,
    MessageState.SENDING: MessageState.UNKNOWN,
}
_ABANDONED = {
    MessageState.RECEIVED: timedelta(minutes=10),
    MessageState.LATE: timedelta(minutes=10),
    MessageState.SENDING: timedelta(minutes=5),
    MessageState.QUEUED: timedelta(seconds=5),
}
"""After so long nobody works on a message any more, or was not woken for it."""


def recover(engine: Engine, outbox: Outbox, now: datetime) -> int:
    """End what was begun and abandoned before `now`, and return how many messages that were.

    What a slow handler was interrupted at has failed, what was being sent may have arrived, and what was
    only queued is sent.
    """
    count = 0
    for state, end in _ENDS.items():
        count += _end(engine, state, end, now - _ABANDONED[state])
    queued = select(MessageLog.follower_id).where(
        UNSETTLED,
        MessageLog.state == MessageState.QUEUED,
        MessageLog.received_at < now - _ABANDONED[MessageState.QUEUED],
        due(now),
    )
    with engine.connect() as connection:
        followers = connection.scalars(queued).all()
    for follower_id in {follower_id for follower_id in followers if follower_id}:
        outbox.send(follower_id)
    return count + len(followers)


@retry_conflicts
def _end(engine: Engine, state: MessageState, end: MessageState, before: datetime) -> int:
    left = (UNSETTLED, MessageLog.state == state, MessageLog.received_at < before)
    with engine.connect() as connection:
        ids = connection.scalars(select(MessageLog.id).where(*left)).all()
    if not ids:
        return 0
    with transaction(engine) as connection:
        ended = connection.execute(
            update(MessageLog)
            .where(MessageLog.id.in_(ids), MessageLog.state == state)
            .values(state=end, error="interrupted")
        )
        return ended.rowcount
