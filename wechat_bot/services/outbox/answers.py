"""Answers of operators: queued, withdrawn, sent again, and their drafts. A worker sends them (`sending`)."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Connection, Engine, delete, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import Direction, Draft, Follower, Media, MediaState, MessageLog, MessageState
from ...wechat.api.outgoing import MsgMenu
from ...wechat.replies import MAX_TEXT_BYTES, ImageReply, Reply, TextReply, VideoReply, VoiceReply
from .. import audit
from ..accounts.capabilities import Capabilities, Feature, Permission
from ..audit import Actor
from ..followers.profiles import subject
from ..media.archive import Archive, StoredFile
from ..messages.records import insert_rows, operator_origin, outgoing_row, release_held
from .decisions import AnswerAction, change_answer
from .sending import UNDO_SECONDS, UPLOAD_PENDING, Outbox
from .window import Closed, Window, load_window

MAX_DRAFT = 4000
"""Characters of a draft that are kept."""


class SendBlock(StrEnum):
    """Why an answer cannot be sent."""

    NO_API = "no_api"
    """The account may not send customer-service messages."""
    SILENT = Closed.SILENT
    USED_UP = Closed.USED_UP
    LEFT = Closed.LEFT
    TOO_LONG = "too_long"
    GONE = "gone"
    """The answer is no longer in a state in which it can be withdrawn or sent again."""


def send_block(permission: Permission, window: Window) -> SendBlock | None:
    """Return why operators cannot answer a follower with this window, or None."""
    if not permission.allowed:
        return SendBlock.NO_API
    return SendBlock(window.closed) if window.closed else None


class CannotSend(Exception):
    """An answer was not accepted; nothing has changed."""

    def __init__(self, block: SendBlock) -> None:
        super().__init__(str(block))
        self.block = block


class Answers:
    """Accepts the answers of operators."""

    def __init__(self, engine: Engine, capabilities: Capabilities, outbox: Outbox, files: Archive) -> None:
        self._engine = engine
        self._files = files
        self._capabilities = capabilities
        self._outbox = outbox

    def _send_block(self, follower_id: int) -> SendBlock | None:
        wanted = select(Follower.account_id, Follower.subscribed).where(Follower.id == follower_id)
        with self._engine.connect() as connection:
            follower = connection.execute(wanted).one_or_none()
            if follower is None:
                return SendBlock.GONE
            window = load_window(connection, follower_id, follower.subscribed, datetime.now(UTC))
        return send_block(
            self._capabilities.permission(follower.account_id, Feature.CUSTOMER_SERVICE), window
        )

    def send(
        self, actor: Actor, follower_id: int, reply: Reply | MsgMenu, file: StoredFile | None = None
    ) -> int:
        """Queue an answer, which is sent when it can no longer be withdrawn; return its id.

        :raises CannotSend: if it is too long, or the follower cannot be answered.
        """
        if isinstance(reply, TextReply) and len(reply.content.encode()) > MAX_TEXT_BYTES:
            raise CannotSend(SendBlock.TOO_LONG)
        if block := self._send_block(follower_id):
            raise CannotSend(block)
        message_id = self._queue(actor, follower_id, reply, file)
        self._outbox.schedule(follower_id, UNDO_SECONDS + 1)
        return message_id

    def send_file(self, actor: Actor, follower_id: int, kind: str, content: bytes) -> int:
        """Queue an image, voice or video as `send` does.

        :raises CannotSend: if the follower cannot be answered.
        :raises RefusedMedia: if the platform would not take the file.
        """
        if block := self._send_block(follower_id):
            raise CannotSend(block)
        reply = {"image": ImageReply, "voice": VoiceReply, "video": VideoReply}[kind](UPLOAD_PENDING)
        return self.send(actor, follower_id, reply, self._files.store_upload(content, kind))

    @retry_conflicts
    def _queue(self, actor: Actor, follower_id: int, reply: Reply | MsgMenu, file: StoredFile | None) -> int:
        assert actor.operator_id
        key, now = f"operator:{secrets.token_hex(12)}", datetime.now(UTC)
        with transaction(self._engine) as connection:
            account_id = connection.scalar(select(Follower.account_id).where(Follower.id == follower_id))
            assert account_id
            row = outgoing_row(
                account_id,
                follower_id,
                reply,
                MessageState.QUEUED,
                key,
                origin=operator_origin(actor.operator_id),
                operator_id=actor.operator_id,
            )
            insert_rows(connection, [row])
            inserted = select(MessageLog.id, MessageLog.kind).where(MessageLog.dedup_key == key)
            message = connection.execute(inserted).one()
            if file:
                media = {"message_id": message.id, "kind": message.kind, "state": MediaState.STORED}
                times = {"created_at": now, "stored_at": now}
                connection.execute(insert(Media).values(media | times | asdict(file)))
            _delete_draft(connection, actor, follower_id)
            audit.record(connection, actor, "answered", subject(follower_id), after=f"message:{message.id}")
        return int(message.id)

    def withdraw(self, actor: Actor, message_id: int) -> int:
        """Withdraw an answer before it is sent, and make its text a draft; return the follower's id.

        :raises CannotSend: if it has been sent.
        """
        follower_id, text = self._change(actor, message_id, AnswerAction.WITHDRAW)
        self.keep_draft(actor, follower_id, text)
        return follower_id

    def retry(self, actor: Actor, message_id: int) -> int:
        """Send a message again that failed, is in doubt or waits for a push; return the follower's id.

        :raises CannotSend: if it is in another state, or the follower cannot be answered at all.
        """
        with self._engine.connect() as connection:
            follower_id = connection.scalar(select(MessageLog.follower_id).where(MessageLog.id == message_id))
        block = self._send_block(follower_id) if follower_id else SendBlock.GONE
        # A closed window is an estimate, which an operator may put to the test.
        if block in {SendBlock.NO_API, SendBlock.LEFT, SendBlock.GONE}:
            raise CannotSend(block)
        follower_id, _ = self._change(actor, message_id, AnswerAction.RESEND)
        self._outbox.schedule(follower_id, UNDO_SECONDS + 1)
        return follower_id

    @retry_conflicts
    def _change(self, actor: Actor, message_id: int, action: AnswerAction) -> tuple[int, str]:
        this = (MessageLog.id == message_id, MessageLog.direction == Direction.OUT)
        names = ("follower_id", "text", "state", "operator_id")
        found = select(*(getattr(MessageLog, name) for name in names)).where(*this)
        with transaction(self._engine) as connection:
            row = connection.execute(found.with_for_update()).one_or_none()
            if row is None:
                raise CannotSend(SendBlock.GONE)
            before, now = MessageState(row.state), datetime.now(UTC)
            by_operator = row.operator_id is not None
            whom = subject(row.follower_id)
            decision = change_answer(action, before, message_id, whom, now, by_operator=by_operator)
            if decision is None or decision.note is None:
                raise CannotSend(SendBlock.GONE)
            connection.execute(
                update(MessageLog).where(*this, MessageLog.state == before).values(**decision.changes)
            )
            if before is MessageState.READY:
                release_held(connection, row.follower_id, message_id)
            audit.record(connection, actor, **vars(decision.note))
        return row.follower_id, row.text

    # Drafts

    def write(self, actor: Actor, follower_id: int, text: str) -> None:
        """Keep a draft, and show the follower that an operator is typing."""
        self.keep_draft(actor, follower_id, text)
        if text.strip():
            self._outbox.notify_typing(follower_id)

    @retry_conflicts
    def keep_draft(self, actor: Actor, follower_id: int, text: str) -> None:
        """Keep the draft of an operator; delete it if `text` is blank."""
        with transaction(self._engine) as connection:
            _delete_draft(connection, actor, follower_id)
            if text.strip():
                connection.execute(
                    insert(Draft).values(
                        follower_id=follower_id,
                        operator_id=actor.operator_id,
                        text=text[:MAX_DRAFT],
                        written_at=datetime.now(UTC),
                    )
                )


def _delete_draft(connection: Connection, actor: Actor, follower_id: int) -> None:
    this = (Draft.follower_id == follower_id, Draft.operator_id == actor.operator_id)
    connection.execute(delete(Draft).where(*this))
