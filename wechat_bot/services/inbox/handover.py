"""Decides when a follower is understood so badly that a person is called, and what the follower is told."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from sqlalchemy import Engine

from ...database.clock import database_now
from ...routing import Router
from ...routing.handover_policy import HandoverPolicy
from ...routing.ownership import is_left_to_person
from ..conversations.handover import StoredPolicy, load_policy, queue_length
from .lookup import InboxReader, StoredState

MEMORY = timedelta(minutes=30)
"""Time after which a message that was not understood is forgotten."""


class HandoverNotices:
    """What followers are told when a person is called, in an account's time zone."""

    def __init__(self, engine: Engine, reader: InboxReader, zone: tzinfo, router: Router) -> None:
        self._engine = engine
        self._reader = reader
        self._zone = zone
        self._router = router
        self._policies: dict[int, StoredPolicy] = {}

    def text(self, account_id: int, now: datetime) -> str:
        """Return what a follower is told who waits for a person from now on."""
        with self._engine.connect() as connection:
            policy = load_policy(connection, account_id).policy
            ahead = queue_length(connection, account_id)
        return policy.text(now.astimezone(self._zone), ahead)

    def is_lost(self, account_id: int, stored: StoredState, key: str) -> bool:
        """Whether a person is called after the message with the dedup key `key`, which was not understood.

        The messages before it were not answered by any handler that is more than a catch-all. Where there are
        no operators, nobody is called. `stored` is what was stored when the message arrived.
        """
        misses = self._policy(account_id, stored.policy_version).misses if stored.has_operators else 0
        if misses <= 1 or stored.follower_id is None:
            return misses == 1
        # A slow handler's message is in the log already.
        before = self._reader.origins(stored.follower_id, database_now() - MEMORY, key)[: misses - 1]
        catch_alls = self._router.catch_alls()
        missed = [origin in catch_alls or is_left_to_person(origin) for origin in before]
        return len(missed) == misses - 1 and all(missed)

    def _policy(self, account_id: int, version: int) -> HandoverPolicy:
        """Return the policy of an account, of which the database had `version` just now."""
        held = self._policies.get(account_id, StoredPolicy())
        if held.version != version:
            with self._engine.connect() as connection:
                held = self._policies[account_id] = load_policy(connection, account_id)
        return held.policy
