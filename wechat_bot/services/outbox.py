"""Outgoing messages that cannot ride on the answer to their push.

They are kept for the follower's next push or message (`keep`, `take`), or sent through the API (`Outbox`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, case, func, select, update

from ..extensions import retry_conflicts, transaction
from ..models import Channel, Conversation, Follower, MessageLog, State
from ..wechat import replies
from ..wechat.api import WeChatClient
from ..wechat.errors import APIError, Busy, Forbidden, InvalidReply, Unreachable, WindowClosed
from ..wechat.replies import Reply
from .accounts import customer_service_refused, remember_refusal

log = logging.getLogger(__name__)

REPEAT_AFTER = (1, 2, 4)
"""Seconds before a call that cannot have arrived is repeated."""


def readable(reply: Reply) -> str:
    """What there is to read and to search in a reply."""
    match reply:
        case replies.TextReply(content):
            return content
        case replies.NewsReply(articles):
            return "\n".join(f"{article.title} {article.description}".strip() for article in articles)
        case replies.VideoReply() | replies.MusicReply():
            return f"{reply.title} {reply.description}".strip()
        case _:
            return ""


def keep(connection: Connection, follower_id: int, key: str) -> None:
    """Let the follower's next message collect the outgoing message with the dedup key `key`."""
    log_id = connection.scalar(select(MessageLog.id).where(MessageLog.dedup_key == key))
    earliest = case((Conversation.ready_id < log_id, Conversation.ready_id), else_=log_id)
    connection.execute(
        update(Conversation).where(Conversation.follower_id == follower_id).values(ready_id=earliest)
    )


def take(connection: Connection, follower_id: int, log_id: int, **changes: Any) -> bool:
    """Mark the `READY` message `log_id` as sent, with other `changes`; False if someone else took it."""
    taken = connection.execute(
        update(MessageLog)
        .where(MessageLog.id == log_id, MessageLog.state == State.READY)
        .values(state=State.SENT, **changes)
    )
    following = select(func.min(MessageLog.id)).where(
        MessageLog.follower_id == follower_id, MessageLog.id > log_id, MessageLog.state == State.READY
    )
    connection.execute(
        update(Conversation)
        .where(Conversation.follower_id == follower_id, Conversation.ready_id == log_id)
        .values(ready_id=connection.scalar(following))
    )
    return taken.rowcount == 1


class Outbox:
    """Sends `QUEUED` messages through the API, each once, in threads of `executor`.

    `client` is None when the API may not be used, and `trusted` when it may for certain. `sleep` is
    replaced in tests.
    """

    def __init__(
        self,
        engine: Engine,
        client: WeChatClient | None,
        executor: Executor,
        *,
        trusted: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._client = client
        self._executor = executor
        self._trusted = trusted
        self._sleep = sleep

    def available(self, account_id: int) -> bool:
        """Whether messages may be sent to the account's followers, as far as is known."""
        if self._client is None:
            return False
        return self._trusted or not customer_service_refused(self._engine, account_id)

    def wake(self, key: str) -> None:
        """Send the `QUEUED` message with the dedup key `key` soon. Call after the commit that queued it."""
        self._executor.submit(self._deliver_after_reply, key)

    def _deliver_after_reply(self, key: str) -> None:
        self._sleep(1)  # what it continues travels in the answer to the push
        self.deliver(key)

    def deliver(self, key: str) -> None:
        """Send the message with the dedup key `key`, if it is still `QUEUED`."""
        claimed = self._client and _claim(self._engine, key)
        if not claimed:
            return
        state, error = self._send(claimed)
        if isinstance(error, Forbidden):
            remember_refusal(self._engine, claimed["account_id"])
        _settle(self._engine, key, claimed["follower_id"], state, str(error or "")[:255])
        level = logging.INFO if state is State.SENT else logging.WARNING
        log.log(level, "customer-service message %d: %s %s", claimed["id"], state, error or "")

    def _send(self, claimed: dict[str, Any]) -> tuple[State, Exception | None]:
        assert self._client
        for pause in (*REPEAT_AFTER, None):
            try:
                self._client.customer.send(claimed["openid"], replies.parse(claimed["payload"]))
            except (Forbidden, WindowClosed) as error:
                return State.READY, error
            except (Busy, Unreachable) as error:
                if isinstance(error, Unreachable) and error.delivered:
                    return State.UNKNOWN, error
                if pause is None:
                    return State.READY, error
                self._sleep(pause)
            except (APIError, InvalidReply) as error:
                return State.FAILED, error
            else:
                return State.SENT, None
        raise AssertionError("unreachable")


_CLAIMED = (
    MessageLog.id,
    MessageLog.account_id,
    MessageLog.follower_id,
    MessageLog.payload,
    Follower.openid,
)


@retry_conflicts
def _claim(engine: Engine, key: str) -> dict[str, Any] | None:
    """Make a `QUEUED` message `SENDING`; None if another worker was first."""
    with transaction(engine) as connection:
        claimed = connection.execute(
            update(MessageLog)
            .where(MessageLog.dedup_key == key, MessageLog.state == State.QUEUED)
            .values(state=State.SENDING, received_at=datetime.now(UTC), attempts=MessageLog.attempts + 1)
        )
        if claimed.rowcount == 0:
            return None
        row = connection.execute(
            select(
                MessageLog.id,
                MessageLog.account_id,
                MessageLog.follower_id,
                MessageLog.payload,
                Follower.openid,
            )
            .join(Follower, Follower.id == MessageLog.follower_id)
            .where(MessageLog.dedup_key == key)
        ).one()
        return dict(row._mapping)


@retry_conflicts
def _settle(engine: Engine, key: str, follower_id: int, state: State, error: str) -> None:
    channel = Channel.REPLY if state is State.READY else Channel.CUSTOMER
    with transaction(engine) as connection:
        connection.execute(
            update(MessageLog)
            .where(MessageLog.dedup_key == key, MessageLog.state == State.SENDING)
            .values(state=state, channel=channel, error=error, received_at=datetime.now(UTC))
        )
        if state is State.READY:
            keep(connection, follower_id, key)
