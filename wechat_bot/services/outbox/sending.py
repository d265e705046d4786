"""Messages that are not sent as passive replies.

They are held for the next push (`hold_for_pickup`, `claim_held`), or the API sends them (`Outbox`).
"""

from __future__ import annotations

import logging
import mimetypes
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Select, case, func, select, update

from ...database.transactions import retry_conflicts, transaction
from ...jobs import Enqueue, Job
from ...models import UNSETTLED, BotSession, Channel, Direction, Follower, Media, MessageLog, MessageState
from ...wechat import replies
from ...wechat.api import WeChatClient
from ...wechat.api.outgoing import Choice, MsgMenu, Sendable
from ...wechat.errors import (
    APIError,
    Busy,
    Forbidden,
    InvalidReply,
    QuotaUsedUp,
    TooFrequent,
    Unreachable,
    WindowClosed,
)
from ...wechat.replies import ImageReply, Reply, VideoReply, VoiceReply
from ..accounts.capabilities import Capabilities, Feature
from ..media.archive import Archive

log = logging.getLogger(__name__)

RETRY_DELAYS = (1, 2, 4)
"""Seconds before a call that cannot have arrived is repeated."""
UNDO_SECONDS = 10
"""So long an operator can take back what he sent."""
BY_OPERATOR = "operator:"
"""How the origin of messages begins that operators sent."""
UPLOAD_PENDING = "-"
"""The media id of a file that the platform is given when its message is sent."""

Row = dict[str, Any]


def readable(reply: Reply | MsgMenu) -> str:
    """What there is to read and to search in a reply."""
    match reply:
        case replies.TextReply(content):
            return content
        case replies.NewsReply(articles):
            return "\n".join(f"{article.title} {article.description}".strip() for article in articles)
        case replies.VideoReply() | replies.MusicReply():
            return f"{reply.title} {reply.description}".strip()
        case MsgMenu():
            choices = "\n".join(choice.content for choice in reply.choices)
            return f"{reply.head_content}\n{choices}\n{reply.tail_content}".strip()
        case _:
            return ""


def outgoing(
    account_id: int,
    follower_id: int | None,
    reply: Reply | MsgMenu,
    state: MessageState,
    key: str,
    origin: str,
) -> Row:
    """The row of a message to a follower."""
    now = datetime.now(UTC)
    if isinstance(reply, MsgMenu):
        kind, fields = "msgmenu", reply.to_customer_message()
    else:
        kind, fields = reply.kind, reply.fields()
    return {
        "account_id": account_id,
        "follower_id": follower_id,
        "direction": Direction.OUT,
        "channel": Channel.CUSTOMER if state is MessageState.QUEUED else Channel.REPLY,
        "kind": kind,
        "event": "",
        "text": readable(reply),
        "payload": {"MsgType": kind, **fields},
        "platform_id": "",
        "dedup_key": key,
        "created_at": now,
        "received_at": now,
        "state": state,
        "attempts": 0,
        "latency_ms": None,
        "origin": origin,
        "error": "",
    }


def restore(payload: dict[str, Any]) -> Sendable:
    """The message that `outgoing` made a payload of; InvalidReply."""
    if payload.get("MsgType") != "msgmenu":
        return replies.parse(payload)
    menu = payload["msgmenu"]
    choices = tuple(Choice(choice["id"], choice["content"]) for choice in menu["list"])
    return MsgMenu(menu["head_content"], choices, menu["tail_content"])


def hold_for_pickup(connection: Connection, follower_id: int, key: str) -> None:
    """Let the follower's next message collect the outgoing message with the dedup key `key`."""
    log_id = connection.scalar(select(MessageLog.id).where(MessageLog.dedup_key == key))
    earliest = case((BotSession.ready_id < log_id, BotSession.ready_id), else_=log_id)
    connection.execute(
        update(BotSession).where(BotSession.follower_id == follower_id).values(ready_id=earliest)
    )


def claim_held(connection: Connection, follower_id: int, log_id: int, **changes: Any) -> bool:
    """Mark the `READY` message `log_id` as sent, with other `changes`; False if someone else took it."""
    taken = connection.execute(
        update(MessageLog)
        .where(MessageLog.id == log_id, MessageLog.state == MessageState.READY)
        .values(state=MessageState.SENT, **changes)
    )
    following = select(func.min(MessageLog.id)).where(
        MessageLog.follower_id == follower_id, MessageLog.id > log_id, MessageLog.state == MessageState.READY
    )
    connection.execute(
        update(BotSession)
        .where(BotSession.follower_id == follower_id, BotSession.ready_id == log_id)
        .values(ready_id=connection.scalar(following))
    )
    return taken.rowcount == 1


@dataclass(frozen=True)
class Claimed:
    """A message that this worker alone sends."""

    id: int
    account_id: int
    follower_id: int
    openid: str
    origin: str
    dedup_key: str
    payload: dict[str, Any]


class Outbox:
    """Sends `QUEUED` messages through the API: each once, a follower's one after the other.

    `client` is None when there is no API. `ask` lets a worker call a method for a follower, after some
    seconds. `sleep` is replaced in tests.
    """

    def __init__(
        self,
        engine: Engine,
        client: WeChatClient | None,
        capabilities: Capabilities,
        files: Archive,
        enqueue: Enqueue,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._client = client
        self._capabilities = capabilities
        self._files = files
        self._enqueue = enqueue
        self._sleep = sleep

    def available(self, account_id: int) -> bool:
        """Whether messages may be sent to the account's followers, as far as is known."""
        return self._client is not None and self._capabilities.allows(account_id, Feature.CUSTOMER_SERVICE)

    def wake(self, follower_id: int, seconds: float) -> None:
        """Let a worker `send` to a follower, after so many seconds. Call it after the commit."""
        self._enqueue(Job.SEND, follower_id, seconds)

    def notify_typing(self, follower_id: int) -> None:
        """Let a worker `show_typing` to a follower."""
        self._enqueue(Job.SHOW_TYPING, follower_id, 0)

    def show_typing(self, follower_id: int) -> None:
        """Let a follower see that somebody writes; it is no matter if the platform refuses."""
        found = select(Follower.openid, Follower.account_id).where(Follower.id == follower_id)
        with self._engine.connect() as connection:
            row = connection.execute(found).one_or_none()
        if self._client and row and self.available(row.account_id):
            with suppress(APIError):
                self._client.customer.typing(row.openid)

    def send(self, follower_id: int) -> None:
        """Send what is due to a follower, unless another worker is about it."""
        while self._client and (claimed := _claim(self._engine, follower_id)):
            state, error = self._deliver(claimed)
            if isinstance(error, Forbidden):
                self._capabilities.learn(claimed.account_id, Feature.CUSTOMER_SERVICE, allowed=False)
            _settle(self._engine, claimed, state, str(error or "")[:255])
            level = logging.INFO if state is MessageState.SENT else logging.WARNING
            log.log(level, "customer-service message %d: %s %s", claimed.id, state, error or "")

    def _deliver(self, claimed: Claimed) -> tuple[MessageState, Exception | None]:
        """What becomes of a message; one that another way remains for is `READY`."""
        otherwise = MessageState.FAILED if claimed.origin.startswith(BY_OPERATOR) else MessageState.READY
        for pause in (*RETRY_DELAYS, None):
            try:
                self._call(claimed)
            except (Forbidden, WindowClosed, QuotaUsedUp, TooFrequent) as error:
                return otherwise, error
            except (Busy, Unreachable) as error:
                if isinstance(error, Unreachable) and error.delivered:
                    return MessageState.UNKNOWN, error
                if pause is None:
                    return otherwise, error
                self._sleep(pause)
            except (APIError, InvalidReply) as error:
                return MessageState.FAILED, error
            else:
                return MessageState.SENT, None
        raise AssertionError("unreachable")

    def _call(self, claimed: Claimed) -> None:
        assert self._client
        message = restore(claimed.payload)
        if isinstance(message, ImageReply | VoiceReply | VideoReply) and message.media_id == UPLOAD_PENDING:
            message = replace(message, media_id=self._upload(claimed.id))
        self._client.customer.send(claimed.openid, message)

    def _upload(self, message_id: int) -> str:
        """The platform's media id of an operator's file; APIError."""
        assert self._client
        found = select(Media.kind, Media.digest, Media.content_type).where(Media.message_id == message_id)
        with self._engine.connect() as connection:
            file = connection.execute(found).one()
        name = f"{file.kind}{mimetypes.guess_extension(file.content_type) or ''}"
        try:
            uploaded = self._client.media.upload(
                file.kind, name, self._files.read(file.digest), file.content_type
            )
        except Unreachable as error:
            raise Unreachable(error.errmsg, delivered=False) from error  # what is to be sent has not been
        return uploaded.media_id


def due(now: datetime) -> Any:
    """Which `QUEUED` messages may be sent: those of operators after they could be taken back."""
    by_operator = MessageLog.origin.startswith(BY_OPERATOR)
    return ~by_operator | (MessageLog.received_at <= now - timedelta(seconds=UNDO_SECONDS))


def _next(follower_id: int) -> Select[int, MessageState]:
    """The oldest message that is queued for a follower or on its way."""
    return (
        select(MessageLog.id, MessageLog.state)
        .where(UNSETTLED, MessageLog.state.in_([MessageState.QUEUED, MessageState.SENDING]))
        .where(MessageLog.follower_id == follower_id)
        .order_by(MessageLog.state.desc(), MessageLog.id)  # what is on its way comes first
        .limit(1)
    )


@retry_conflicts
def _claim(engine: Engine, follower_id: int) -> Claimed | None:
    """Make the follower's oldest `QUEUED` message `SENDING`.

    None if it is not due, if another message is on its way, or if another worker was first: that one goes
    on with what follows.
    """
    now = datetime.now(UTC)
    with transaction(engine) as connection:
        row = connection.execute(_next(follower_id)).one_or_none()
        if row is None or row.state != MessageState.QUEUED:
            return None
        claimed = connection.execute(
            update(MessageLog)
            .where(MessageLog.id == row.id, MessageLog.state == MessageState.QUEUED, due(now))
            .values(state=MessageState.SENDING, received_at=now, attempts=MessageLog.attempts + 1)
        )
        if claimed.rowcount == 0:
            return None
        columns = (getattr(MessageLog, name) for name in Claimed.__annotations__ if name != "openid")
        found = select(*columns, Follower.openid).join(Follower, Follower.id == MessageLog.follower_id)
        return Claimed(**connection.execute(found.where(MessageLog.id == row.id)).one()._mapping)


@retry_conflicts
def _settle(engine: Engine, claimed: Claimed, state: MessageState, error: str) -> None:
    channel = Channel.REPLY if state is MessageState.READY else Channel.CUSTOMER
    with transaction(engine) as connection:
        connection.execute(
            update(MessageLog)
            .where(MessageLog.id == claimed.id, MessageLog.state == MessageState.SENDING)
            .values(state=state, channel=channel, error=error, received_at=datetime.now(UTC))
        )
        if state is MessageState.READY:
            hold_for_pickup(connection, claimed.follower_id, claimed.dedup_key)
