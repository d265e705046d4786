"""Looks up the stored message, its follower's session and its reply, before and while a push is answered."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, bindparam, select, update

from ...database.compiled import CompiledStatement, Connections
from ...database.transactions import retry_conflicts, transaction
from ...models import BotSession, Channel, Follower, MessageLog, MessageState
from ...routing import Context
from ...wechat import replies
from ...wechat.messages import Message
from ...wechat.replies import Reply
from ..messages.records import claim_held, reply_key


@dataclass(frozen=True, kw_only=True)
class StoredState:
    """What was stored of a message and of its follower's session when a push arrived."""

    message_state: MessageState | None = None
    """None when the message was not pushed before."""
    follower_id: int | None = None
    """None for a new follower, and for reports that concern no follower."""
    returning: bool = False
    state: str | None = None
    session: dict[str, Any]
    version: int = 0
    ready_id: int | None = None
    """The id of the oldest message that is held for the follower."""

    def context(self, services: Any = None) -> Context:
        """Return a context for the handler, with a copy of the session that it may change."""
        return Context(
            session=copy.deepcopy(self.session),
            state=self.state,
            returning=self.returning,
            _services=services,
        )


class InboxReader:
    """Reads what `exchanges` wrote. The read that every push makes goes through `connections`."""

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._engine = engine
        self._connections = connections
        self._select_session = CompiledStatement(_SESSION, engine.dialect)
        self._select_state = CompiledStatement(_STATE, engine.dialect)

    @retry_conflicts
    def load(self, message: Message, account_id: int) -> StoredState:
        """Return what is stored of `message` and of its follower."""
        values = {"account_id": account_id, "openid": message.openid, "key": message.dedup_key}
        with self._connections.borrow() as cursor:
            row = self._select_session.fetch_one(cursor, values)
            if row is None:  # a new follower, or a report that concerns no follower
                logged = self._select_state.fetch_one(cursor, values)
                return StoredState(message_state=MessageState(logged[0]) if logged else None, session={})
        message_state, follower_id, follow_count, state, session, expires_at, version, ready_id = row
        alive = expires_at is not None and expires_at > datetime.now(UTC)
        return StoredState(
            message_state=MessageState(message_state) if message_state else None,
            follower_id=follower_id,
            returning=follow_count > 0,
            state=state if alive else None,
            session=session if alive else {},
            version=version,
            ready_id=ready_id,
        )

    def state(self, key: str) -> MessageState:
        """Return the state of the message with the dedup key `key`."""
        with self._engine.connect() as connection:
            return MessageState(connection.execute(_STATE, {"key": key}).scalar_one())

    def pushes(self, key: str) -> tuple[int, datetime]:
        """Return how often the message was pushed while it was handled, and when first."""
        with self._engine.connect() as connection:
            attempts, received_at = connection.execute(_PUSHES, {"key": key}).one()
            return attempts, received_at

    @retry_conflicts
    def count_push(self, key: str) -> None:
        """Count another push of a message that is being handled."""
        with transaction(self._engine) as connection:
            connection.execute(_COUNT, {"key": key})

    def reply(self, key: str) -> Reply | None:
        """Return the stored passive reply to the message; None if there is none, or the API sends it.

        A held reply counts as sent from now on.
        """
        with self._engine.connect() as connection:
            row = connection.execute(_REPLY, {"key": reply_key(key)}).one_or_none()
        if row is None:
            return None
        if row.state == MessageState.READY:
            self._claim(row.follower_id, row.id)
        return replies.parse(row.payload)

    @retry_conflicts
    def _claim(self, follower_id: int, message_id: int) -> None:
        with transaction(self._engine) as connection:
            claim_held(connection, follower_id, message_id)


_THIS = MessageLog.dedup_key == bindparam("key")
_STATE = select(MessageLog.state).where(_THIS)
_PUSHES = select(MessageLog.attempts, MessageLog.received_at).where(_THIS)
_COUNT = update(MessageLog).where(_THIS).values(attempts=MessageLog.attempts + 1)
_REPLY = select(MessageLog.id, MessageLog.follower_id, MessageLog.state, MessageLog.payload).where(
    _THIS, MessageLog.channel == Channel.REPLY
)
_SESSION = (
    select(
        _STATE.scalar_subquery().label("message_state"),
        Follower.id.label("follower_id"),
        Follower.follow_count,
        BotSession.state,
        BotSession.session,
        BotSession.expires_at,
        BotSession.version,
        BotSession.ready_id,
    )
    .join_from(Follower, BotSession, BotSession.follower_id == Follower.id)
    .where(Follower.account_id == bindparam("account_id"), Follower.openid == bindparam("openid"))
)
