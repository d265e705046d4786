"""Decides when a follower is understood so badly that a person is called, and what the follower is told."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from sqlalchemy import Engine, exists, select

from ...database.clock import database_now
from ...models import Direction, MessageLog, Operator
from ...routing import Router
from ...routing.ownership import is_left_to_person
from ..conversations.handover import load_policy, queue_length

MEMORY = timedelta(minutes=30)
"""Time after which a message that was not understood is forgotten."""


_HAS_OPERATORS = select(exists().where(Operator.disabled.is_(False)))


class HandoverNotices:
    """What followers are told when a person is called, in an account's time zone."""

    def __init__(self, engine: Engine, zone: tzinfo, router: Router) -> None:
        self._engine = engine
        self._zone = zone
        self._router = router

    def text(self, account_id: int, now: datetime) -> str:
        """Return what a follower is told who waits for a person from now on."""
        with self._engine.connect() as connection:
            policy = load_policy(connection, account_id).policy
            ahead = queue_length(connection, account_id)
        return policy.text(now.astimezone(self._zone), ahead)

    def is_lost(self, account_id: int, follower_id: int | None, key: str) -> bool:
        """Whether a person is called after the message with the dedup key `key`, which was not understood.

        The messages before it were not answered by any handler that is more than a catch-all. Where there are
        no operators, nobody is called.
        """
        with self._engine.connect() as connection:
            misses = load_policy(connection, account_id).policy.misses
            if not misses or not connection.scalar(_HAS_OPERATORS):
                return False
            if misses == 1 or follower_id is None:
                return misses == 1
            before = (
                select(MessageLog.origin)
                .where(MessageLog.follower_id == follower_id, MessageLog.direction == Direction.IN)
                .where(MessageLog.dedup_key != key)  # a slow handler's is in the log already
                .where(MessageLog.event == "", MessageLog.received_at > database_now() - MEMORY)
                .order_by(MessageLog.id.desc())
            )
            origins = connection.scalars(before.limit(misses - 1)).all()
        catch_alls = self._router.catch_alls()
        missed = [origin in catch_alls or is_left_to_person(origin) for origin in origins]
        return len(missed) == misses - 1 and all(missed)
