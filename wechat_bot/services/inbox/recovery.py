"""Ends or resumes messages whose sending was interrupted, and those that nobody handled for days."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import UNSETTLED, MessageLog, MessageState
from ..outbox.sending import Outbox, due

_END_STATES = {
    MessageState.RECEIVED: MessageState.FAILED,
    MessageState.LATE: MessageState.FAILED,
    MessageState.SENDING: MessageState.UNKNOWN,
}
_TIMEOUTS = {
    MessageState.RECEIVED: timedelta(days=2),
    MessageState.LATE: timedelta(days=2),
    MessageState.SENDING: timedelta(minutes=5),
    MessageState.QUEUED: timedelta(seconds=5),
}
"""How long a message may stay in a state before no process works on it any more."""


def recover(engine: Engine, outbox: Outbox, now: datetime) -> int:
    """End what was interrupted before `now`, send what is queued, and return the number of messages.

    Where sending was interrupted, the message may have arrived. Messages for slow handlers are handled again
    within seconds (`services.inbox.queue`) where any process runs; those of another time have failed.
    """
    count = 0
    for state, end in _END_STATES.items():
        count += _end(engine, state, end, now - _TIMEOUTS[state])
    queued = select(MessageLog.follower_id).where(
        UNSETTLED,
        MessageLog.state == MessageState.QUEUED,
        MessageLog.received_at < now - _TIMEOUTS[MessageState.QUEUED],
        due(now),
    )
    with engine.connect() as connection:
        followers = connection.scalars(queued).all()
    for follower_id in {follower_id for follower_id in followers if follower_id}:
        outbox.send(follower_id)
    return count + len(followers)


@retry_conflicts
def _end(engine: Engine, state: MessageState, end: MessageState, before: datetime) -> int:
    abandoned = (UNSETTLED, MessageLog.state == state, MessageLog.received_at < before)
    with engine.connect() as connection:
        ids = connection.scalars(select(MessageLog.id).where(*abandoned)).all()
    if not ids:
        return 0
    with transaction(engine) as connection:
        ended = connection.execute(
            update(MessageLog)
            .where(MessageLog.id.in_(ids), *abandoned)  # a claim may have been renewed meanwhile
            .values(state=end, error="interrupted")
        )
        return ended.rowcount
