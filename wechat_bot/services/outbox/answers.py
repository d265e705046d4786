"""What operators say to followers: written, taken back, tried again, sent by a worker (`services.outbox`)."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Connection, Engine, delete, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import Draft, Follower, Media, MediaState, MessageLog, MessageState
from ...wechat.api.outgoing import MsgMenu
from ...wechat.replies import MAX_TEXT_BYTES, ImageReply, Reply, TextReply, VideoReply, VoiceReply
from .. import audit
from ..accounts.capabilities import Capabilities, Feature, Permission
from ..audit import Actor
from ..conversations.actions import subject
from ..inbox.exchanges import insert_rows
from ..media.archive import Archive, StoredFile
from .sending import BY_OPERATOR, UNDO_SECONDS, UPLOAD_PENDING, Outbox, outgoing
from .window import Closed, Window, load_window

MAX_DRAFT = 4000


class SendBlock(StrEnum):
    """Why an answer cannot be sent."""

    NO_API = "no_api"
    """The account may not send customer-service messages."""
    SILENT = Closed.SILENT
    USED_UP = Closed.USED_UP
    LEFT = Closed.LEFT
    TOO_LONG = "too_long"
    GONE = "gone"
    """What shall be taken back or tried again is no longer in a state that allows it."""


def send_block(permission: Permission, found: Window) -> SendBlock | None:
    """What keeps operators from answering a follower, whose window is `found`."""
    if not permission.allowed:
        return SendBlock.NO_API
    return SendBlock(found.closed) if found.closed else None


class CannotSend(Exception):
    """An answer that was not accepted; nothing has changed."""

    def __init__(self, send_block: SendBlock) -> None:
        super().__init__(str(send_block))
        self.block = send_block


class Answers:
    """Takes what operators write."""

    def __init__(self, engine: Engine, capabilities: Capabilities, outbox: Outbox, files: Archive) -> None:
        self._engine = engine
        self._files = files
        self._capabilities = capabilities
        self._outbox = outbox

    def _obstacle(self, follower_id: int) -> SendBlock | None:
        wanted = select(Follower.account_id, Follower.subscribed).where(Follower.id == follower_id)
        with self._engine.connect() as connection:
            follower = connection.execute(wanted).one_or_none()
            if follower is None:
                return SendBlock.GONE
            found = load_window(connection, follower_id, follower.subscribed, datetime.now(UTC))
        return send_block(self._capabilities.permission(follower.account_id, Feature.CUSTOMER_SERVICE), found)

    def send(
        self, actor: Actor, follower_id: int, reply: Reply | MsgMenu, file: StoredFile | None = None
    ) -> int:
        """Queue an answer, to be sent when it can no longer be taken back; its id. CannotSend."""
        if isinstance(reply, TextReply) and len(reply.content.encode()) > MAX_TEXT_BYTES:
            raise CannotSend(SendBlock.TOO_LONG)
        if found := self._obstacle(follower_id):
            raise CannotSend(found)
        message_id = self._queue(actor, follower_id, reply, file)
        self._outbox.wake(follower_id, UNDO_SECONDS + 1)
        return message_id

    def send_file(self, actor: Actor, follower_id: int, kind: str, content: bytes) -> int:
        """Queue an image, voice or video like `send`; CannotSend, RefusedMedia."""
        if found := self._obstacle(follower_id):
            raise CannotSend(found)
        replies = {"image": ImageReply, "voice": VoiceReply, "video": VideoReply}
        return self.send(actor, follower_id, replies[kind](UPLOAD_PENDING), self._files.keep(content, kind))

    @retry_conflicts
    def _queue(self, actor: Actor, follower_id: int, reply: Reply | MsgMenu, file: StoredFile | None) -> int:
        key, now = BY_OPERATOR + secrets.token_hex(12), datetime.now(UTC)
        with transaction(self._engine) as connection:
            account_id = connection.scalar(select(Follower.account_id).where(Follower.id == follower_id))
            assert account_id
            origin = f"{BY_OPERATOR}{actor.operator_id}"
            insert_rows(
                connection, [outgoing(account_id, follower_id, reply, MessageState.QUEUED, key, origin)]
            )
            found = select(MessageLog.id, MessageLog.kind).where(MessageLog.dedup_key == key)
            message = connection.execute(found).one()
            if file:
                row = {"message_id": message.id, "kind": message.kind, "state": MediaState.STORED}
                times = {"created_at": now, "stored_at": now}
                connection.execute(insert(Media).values(row | times | asdict(file)))
            _forget_draft(connection, actor, follower_id)
            audit.record(connection, actor, "answered", subject(follower_id), after=f"message:{message.id}")
        return int(message.id)

    def withdraw(self, actor: Actor, message_id: int) -> int:
        """Take back an answer before it is sent: its text becomes a draft. The follower's id; CannotSend."""
        follower_id, text = self._change(
            actor, message_id, {MessageState.QUEUED}, MessageState.WITHDRAWN, "withdrawn"
        )
        self.keep_draft(actor, follower_id, text)
        return follower_id

    def retry(self, actor: Actor, message_id: int) -> int:
        """Send an answer again that failed, or of which nobody knows whether it arrived.

        The follower's id; CannotSend.
        """
        with self._engine.connect() as connection:
            follower_id = connection.scalar(select(MessageLog.follower_id).where(MessageLog.id == message_id))
        found = self._obstacle(follower_id) if follower_id else SendBlock.GONE
        # The platform's word about the window is older than the operator's wish to try again.
        if found in {SendBlock.NO_API, SendBlock.LEFT, SendBlock.GONE}:
            raise CannotSend(found)
        states = {MessageState.FAILED, MessageState.UNKNOWN}
        follower_id, _ = self._change(actor, message_id, states, MessageState.QUEUED, "sent_again")
        self._outbox.wake(follower_id, UNDO_SECONDS + 1)
        return follower_id

    @retry_conflicts
    def _change(
        self, actor: Actor, message_id: int, before: set[MessageState], after: MessageState, action: str
    ) -> tuple[int, str]:
        this = (
            MessageLog.id == message_id,
            MessageLog.state.in_(before),
            MessageLog.origin.startswith(BY_OPERATOR),
        )
        with transaction(self._engine) as connection:
            row = connection.execute(
                select(MessageLog.follower_id, MessageLog.text).where(*this)
            ).one_or_none()
            changed = connection.execute(
                update(MessageLog).where(*this).values(state=after, error="", received_at=datetime.now(UTC))
            )
            if row is None or not changed.rowcount:
                raise CannotSend(SendBlock.GONE)
            audit.record(connection, actor, action, subject(row.follower_id), after=f"message:{message_id}")
        return row.follower_id, row.text

    # Drafts

    def write(self, actor: Actor, follower_id: int, text: str) -> None:
        """Keep a draft, and let the follower see that somebody writes."""
        self.keep_draft(actor, follower_id, text)
        if text.strip():
            self._outbox.notify_typing(follower_id)

    @retry_conflicts
    def keep_draft(self, actor: Actor, follower_id: int, text: str) -> None:
        """Keep what an operator has begun to write; nothing, if it is blank."""
        with transaction(self._engine) as connection:
            _forget_draft(connection, actor, follower_id)
            if text.strip():
                connection.execute(
                    insert(Draft).values(
                        follower_id=follower_id,
                        operator_id=actor.operator_id,
                        text=text[:MAX_DRAFT],
                        written_at=datetime.now(UTC),
                    )
                )


def _forget_draft(connection: Connection, actor: Actor, follower_id: int) -> None:
    this = (Draft.follower_id == follower_id, Draft.operator_id == actor.operator_id)
    connection.execute(delete(Draft).where(*this))
