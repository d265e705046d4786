"""What the database knows of a message before and while it is answered."""

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
from ..outbox.sending import claim_held
from .exchanges import reply_key


@dataclass(frozen=True, kw_only=True)
class StoredState:
    """A message, and the dialogue to which it belongs, as they were read."""

    log_state: MessageState | None = None
    """None when the message was not pushed before."""
    follower_id: int | None = None
    """None for a new follower, and for reports that concern none."""
    returning: bool = False
    state: str | None = None
    session: dict[str, Any]
    version: int = 0
    ready_id: int | None = None
    """The outgoing message that the follower's next one collects."""

    def context(self, services: Any = None) -> Context:
        """What a handler gets to see of it, and may change."""
        return Context(
            session=copy.deepcopy(self.session),
            state=self.state,
            returning=self.returning,
            _services=services,
        )


class InboxReader:
    """Reads what `exchanges` wrote; what every push reads, through `connections` of the same database."""

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._engine = engine
        self._connections = connections
        self._dialogue_of = CompiledStatement(_DIALOGUE, engine.dialect)
        self._state_of = CompiledStatement(_STATE, engine.dialect)

    @retry_conflicts
    def load(self, message: Message, account_id: int) -> StoredState:
        """What is known when a push of `message` arrives."""
        values = {"account_id": account_id, "openid": message.openid, "key": message.dedup_key}
        with self._connections.borrow() as cursor:
            row = self._dialogue_of.one(cursor, values)
            if row is None:  # a new follower, or a report that concerns none
                logged = self._state_of.one(cursor, values)
                return StoredState(log_state=MessageState(logged[0]) if logged else None, session={})
        log_state, follower_id, follow_count, state, session, expires_at, version, ready_id = row
        alive = expires_at is not None and expires_at > datetime.now(UTC)
        return StoredState(
            log_state=MessageState(log_state) if log_state else None,
            follower_id=follower_id,
            returning=follow_count > 0,
            state=state if alive else None,
            session=session if alive else {},
            version=version,
            ready_id=ready_id,
        )

    def state(self, key: str) -> MessageState:
        """Where the message with the dedup key `key` stands."""
        with self._engine.connect() as connection:
            return MessageState(connection.execute(_STATE, {"key": key}).scalar_one())

    def pushes(self, key: str) -> tuple[int, datetime]:
        """How often the message was pushed while it was worked on, and when first."""
        with self._engine.connect() as connection:
            attempts, received_at = connection.execute(_PUSHES, {"key": key}).one()
            return attempts, received_at

    @retry_conflicts
    def count_push(self, key: str) -> None:
        """Note that a message, on which a handler works, was pushed again."""
        with transaction(self._engine) as connection:
            connection.execute(_COUNT, {"key": key})

    def reply(self, key: str) -> Reply | None:
        """The stored reply to the message, unless it travels through the API.

        One that was kept ready counts as sent now.
        """
        with self._engine.connect() as connection:
            row = connection.execute(_REPLY, {"key": reply_key(key)}).one_or_none()
        if row is None:
            return None
        if row.state == MessageState.READY:
            self._take(row.follower_id, row.id)
        return replies.parse(row.payload)

    @retry_conflicts
    def _take(self, follower_id: int, log_id: int) -> None:
        with transaction(self._engine) as connection:
            claim_held(connection, follower_id, log_id)


_THIS = MessageLog.dedup_key == bindparam("key")
_STATE = select(MessageLog.state).where(_THIS)
_PUSHES = select(MessageLog.attempts, MessageLog.received_at).where(_THIS)
_COUNT = update(MessageLog).where(_THIS).values(attempts=MessageLog.attempts + 1)
_REPLY = select(MessageLog.id, MessageLog.follower_id, MessageLog.state, MessageLog.payload).where(
    _THIS, MessageLog.channel == Channel.REPLY
)
_DIALOGUE = (
    select(
        _STATE.scalar_subquery().label("log_state"),
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
