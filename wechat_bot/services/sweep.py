"""What a crash left behind is found and brought to an end."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, select, update

from ..extensions import retry_conflicts, transaction
from ..models import UNSETTLED, MessageLog, State
from .outbox import Outbox

ABANDONED = timedelta(minutes=10)
"""After so long nobody works on a message any more."""

_ENDS = {State.RECEIVED: State.FAILED, State.LATE: State.FAILED, State.SENDING: State.UNKNOWN}


def sweep(engine: Engine, outbox: Outbox, now: datetime) -> int:
    """End what was begun more than `ABANDONED` before `now`, and return how many messages that were.

    What a slow handler was interrupted at has failed, what was being sent may have arrived, and what was
    only queued is sent.
    """
    left = select(MessageLog.id, MessageLog.dedup_key, MessageLog.state).where(
        UNSETTLED, MessageLog.state.in_({*_ENDS, State.QUEUED}), MessageLog.received_at < now - ABANDONED
    )
    with engine.connect() as connection:
        rows = connection.execute(left).all()
    for row in rows:
        if row.state == State.QUEUED:
            outbox.deliver(row.dedup_key)
        else:
            _end(engine, row.id, row.state)
    return len(rows)


@retry_conflicts
def _end(engine: Engine, log_id: int, state: State) -> None:
    with transaction(engine) as connection:
        connection.execute(
            update(MessageLog)
            .where(MessageLog.id == log_id, MessageLog.state == state)
            .values(state=_ENDS[state], error="interrupted")
        )
