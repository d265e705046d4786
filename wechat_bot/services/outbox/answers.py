"""Answers of operators: accepted, withdrawn, sent again, and their drafts.

A worker sends them (`sending`). Where the account may not send messages, they wait for the follower's next
push.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from enum import StrEnum

from sqlalchemy import Connection, Engine, delete, insert, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import Direction, Draft, Follower, Media, MediaState, MessageLog, MessageState
from ...models.rows import Row
from ...routing.answers import Giving, PreparedAnswer, PublishedAnswer
from ...wechat.errors import InvalidReply
from ...wechat.replies import MAX_TEXT_BYTES, ImageReply, Reply, TextReply, VideoReply, VoiceReply
from .. import audit
from ..accounts.capabilities import Capabilities, Feature, Permission
from ..audit import Actor
from ..conversations.canned_replies import CannedEntry, count_use
from ..conversations.handover import keep_for_operator
from ..followers.profiles import subject
from ..media.archive import Archive
from ..media.library import find_file, find_sendable
from ..messages.records import hold_for_pickup, insert_rows, operator_origin, outgoing_row, release_held
from .decisions import AnswerAction, adopt_answer, change_answer
from .sending import UNDO_SECONDS, UPLOAD_PENDING, Outbox
from .window import Closed, Window, load_window

MAX_DRAFT = 4000
"""Characters of a draft that are kept."""


class SendBlock(StrEnum):
    """Why an answer cannot be sent."""

    NO_API = "no_api"
    """The account may not send customer-service messages, and this one cannot be the response to a push."""
    SILENT = Closed.SILENT
    USED_UP = Closed.USED_UP
    LEFT = Closed.LEFT
    TOO_LONG = "too_long"
    CANNED_GONE = "canned_gone"
    """The canned reply is deleted."""
    FILE_GONE = "file_gone"
    """The library has no such file any more."""
    NO_MEDIA = "no_media"
    """The account may not upload files, and the platform has no copy of this one."""
    NO_ARTICLES = "no_articles"
    """The account may not publish articles."""
    GONE = "gone"
    """The answer is no longer in a state in which it can be withdrawn or sent again."""


def send_block(permission: Permission, window: Window) -> SendBlock | None:
    """Return why operators cannot answer a follower with this window, or None.

    What waits for the follower's next push needs no window.
    """
    waits = not permission.allowed and window.closed is not Closed.LEFT
    return SendBlock(window.closed) if window.closed and not waits else None


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

    def _prospect(self, follower_id: int) -> tuple[SendBlock | None, MessageState]:
        """Return why a follower cannot be answered, or None, and the state of an answer that is accepted."""
        wanted = select(Follower.account_id, Follower.subscribed).where(Follower.id == follower_id)
        with self._engine.connect() as connection:
            follower = connection.execute(wanted).one_or_none()
            if follower is None:
                return SendBlock.GONE, MessageState.QUEUED
            window = load_window(connection, follower_id, follower.subscribed, database_now())
        permission = self._capabilities.permission(follower.account_id, Feature.CUSTOMER_SERVICE)
        state = MessageState.QUEUED if permission.allowed else MessageState.READY
        return send_block(permission, window), state

    def send(
        self, actor: Actor, follower_id: int, reply: Reply, key: str = "", canned: Collection[int] = ()
    ) -> int:
        """Accept an answer, which is sent when it can no longer be withdrawn; return its id.

        The operator has the conversation from then on (`conversations.handover`).

        With the `key` of an earlier answer of the operator to the follower, that answer is meant, and nothing
        is queued: a page repeats a request whose response it did not get.

        :param canned: the ids of the canned replies of which its text was made.
        :raises CannotSend: if it is too long, or the follower cannot be answered.
        """
        return self._accept(actor, follower_id, reply, key, canned=canned)

    def send_file(self, actor: Actor, follower_id: int, kind: str, content: bytes, key: str = "") -> int:
        """Queue an image, voice or video as `send` does.

        :raises CannotSend: if the follower cannot be answered.
        :raises RefusedMedia: if the platform would not take the file.
        """
        reply = {"image": ImageReply, "voice": VoiceReply, "video": VideoReply}[kind](UPLOAD_PENDING)

        def store() -> Row:
            return {"kind": kind, **asdict(self._files.store_upload(content, kind))}

        return self._accept(actor, follower_id, reply, key, store)

    def send_canned(
        self,
        actor: Actor,
        account_id: int,
        follower_id: int,
        entry: CannedEntry,
        variables: Mapping[str, str],
        key: str = "",
    ) -> int:
        """Queue a canned reply as `send` does.

        :raises CannotSend: also if its file is gone, or the account may not send it.
        :raises InvalidReply: if nothing is left of its text without the values of its variables.
        """
        answer = entry.answer
        reply = answer.reply(Giving(lambda file_id: UPLOAD_PENDING, variables))
        if reply is None:
            raise InvalidReply("the answer is empty")

        def store() -> Row | None:
            if block := self.prepared_blocks(account_id, {entry.id: answer}).get(entry.id):
                raise CannotSend(block)
            return self._stored(account_id, answer.file) if answer.file else None

        return self._accept(actor, follower_id, reply, key, store, canned=[entry.id])

    def prepared_blocks(self, account_id: int, answers: Mapping[int, PreparedAnswer]) -> dict[int, SendBlock]:
        """Return, of those answers that cannot be sent to anybody, why. Takes two statements."""
        permissions = self._capabilities.all(account_id)
        file_ids = {answer.file for answer in answers.values()}
        with self._engine.connect() as connection:
            sendable = find_sendable(connection, account_id, file_ids, database_now())

        def block(answer: PreparedAnswer) -> SendBlock | None:
            if isinstance(answer, PublishedAnswer) and not permissions[Feature.PUBLISH].allowed:
                return SendBlock.NO_ARTICLES
            if answer.file and answer.file not in sendable:
                return SendBlock.FILE_GONE
            if answer.file and not (sendable[answer.file] or permissions[Feature.MEDIA].allowed):
                return SendBlock.NO_MEDIA
            return None

        return {number: why for number, answer in answers.items() if (why := block(answer))}

    def _stored(self, account_id: int, file_id: int) -> Row:
        """Return a file of the library as columns of `Media`."""
        with self._engine.connect() as connection:
            file = find_file(connection, account_id, file_id)
        if file is None:
            raise CannotSend(SendBlock.FILE_GONE)
        names = ("kind", "digest", "content_type", "size", "thumbnail", "playable")
        return {name: getattr(file, name) for name in names}

    def _accept(
        self,
        actor: Actor,
        follower_id: int,
        reply: Reply,
        key: str,
        store: Callable[[], Row | None] = lambda: None,
        *,
        canned: Collection[int] = (),
    ) -> int:
        """Queue an answer; `store` stores its file, if it has one, and returns columns of its `Media`."""
        dedup_key = _dedup_key(actor, follower_id, key)
        with self._engine.connect() as connection:
            known = _find(connection, dedup_key)
        if known:
            return known
        text = reply.passive
        if isinstance(text, TextReply) and len(text.content.encode()) > MAX_TEXT_BYTES:
            raise CannotSend(SendBlock.TOO_LONG)
        block, state = self._prospect(follower_id)
        if block:
            raise CannotSend(block)
        file = store()
        if file and state is MessageState.READY:
            raise CannotSend(SendBlock.NO_API)
        message_id = self._record(actor, follower_id, reply, state, file, dedup_key, canned)
        if state is MessageState.QUEUED:
            self._outbox.schedule(follower_id, UNDO_SECONDS + 1)
        return message_id

    @retry_conflicts
    def _record(
        self,
        actor: Actor,
        follower_id: int,
        reply: Reply,
        state: MessageState,
        file: Row | None,
        key: str,
        canned: Collection[int],
    ) -> int:
        assert actor.operator_id
        now = database_now()
        with transaction(self._engine) as connection:
            if known := _find(connection, key):
                return known
            account_id = connection.scalar(select(Follower.account_id).where(Follower.id == follower_id))
            assert account_id
            keep_for_operator(connection, account_id, follower_id, actor.operator_id)
            row = outgoing_row(
                account_id,
                follower_id,
                reply,
                state,
                key,
                origin=operator_origin(actor.operator_id),
                operator_id=actor.operator_id,
            )
            insert_rows(connection, [row])
            message_id = _find(connection, key)
            assert message_id
            if file:
                stored = {"message_id": message_id, "state": MediaState.STORED}
                times = {"created_at": now, "stored_at": now}
                connection.execute(insert(Media).values(stored | times | file))
            if state is MessageState.READY:  # it is sent without another look at the conversation
                self._outbox.end_waiting(connection, follower_id, message_id)
            count_use(connection, account_id, canned)
            _delete_draft(connection, actor, follower_id)
            audit.record(connection, actor, "answered", subject(follower_id), after=f"message:{message_id}")
        return message_id

    def withdraw(self, actor: Actor, account_id: int, message_id: int) -> int:
        """Withdraw an answer before it is sent, and make its text a draft; return the follower's id.

        :raises CannotSend: if it has been sent.
        """
        follower_id, text = self._change(actor, account_id, message_id, AnswerAction.WITHDRAW)
        self.keep_draft(actor, follower_id, text)
        return follower_id

    def retry(self, actor: Actor, account_id: int, message_id: int) -> int:
        """Send a message again that failed, is in doubt or waits for a push; return the follower's id.

        :raises CannotSend: if it is in another state, or the follower cannot be answered at all.
        """
        with self._engine.connect() as connection:
            follower_id = connection.scalar(select(MessageLog.follower_id).where(MessageLog.id == message_id))
        block, state = self._prospect(follower_id) if follower_id else (SendBlock.GONE, MessageState.QUEUED)
        if state is MessageState.READY:
            raise CannotSend(SendBlock.NO_API)
        # A closed window is an estimate, which an operator may put to the test.
        if block in {SendBlock.LEFT, SendBlock.GONE}:
            raise CannotSend(block)
        follower_id, _ = self._change(actor, account_id, message_id, AnswerAction.RESEND)
        self._outbox.schedule(follower_id, UNDO_SECONDS + 1)
        return follower_id

    @retry_conflicts
    def send_withheld(self, actor: Actor, account_id: int, message_id: int) -> int:
        """Send an answer of the bot that was withheld, as the operator's; return the follower's id.

        :raises CannotSend: if it is not withheld any more, or the follower cannot be answered.
        """
        assert actor.operator_id
        this = (MessageLog.id == message_id, MessageLog.account_id == account_id)
        found = select(MessageLog.follower_id, MessageLog.state, MessageLog.dedup_key).where(*this)
        with self._engine.connect() as connection:
            row = connection.execute(found).one_or_none()
        if row is None or row.state != MessageState.WITHHELD:
            raise CannotSend(SendBlock.GONE)
        block, state = self._prospect(row.follower_id)
        if block:
            raise CannotSend(block)
        with transaction(self._engine) as connection:
            keep_for_operator(connection, account_id, row.follower_id, actor.operator_id)
            changes = adopt_answer(state, actor.operator_id, database_now())
            withheld = update(MessageLog).where(*this, MessageLog.state == MessageState.WITHHELD)
            if not connection.execute(withheld.values(**changes)).rowcount:
                raise CannotSend(SendBlock.GONE)
            if state is MessageState.READY:
                hold_for_pickup(connection, row.follower_id, row.dedup_key)
                self._outbox.end_waiting(connection, row.follower_id, message_id)
            audit.record(
                connection, actor, "suggestion_sent", subject(row.follower_id), after=f"message:{message_id}"
            )
        if state is MessageState.QUEUED:
            self._outbox.schedule(row.follower_id, UNDO_SECONDS + 1)
        return int(row.follower_id)

    @retry_conflicts
    def _change(
        self, actor: Actor, account_id: int, message_id: int, action: AnswerAction
    ) -> tuple[int, str]:
        of_account = MessageLog.account_id == account_id
        this = (MessageLog.id == message_id, of_account, MessageLog.direction == Direction.OUT)
        names = ("follower_id", "text", "state", "operator_id")
        found = select(*(getattr(MessageLog, name) for name in names)).where(*this)
        with transaction(self._engine) as connection:
            row = connection.execute(found.with_for_update()).one_or_none()
            if row is None:
                raise CannotSend(SendBlock.GONE)
            before, now = MessageState(row.state), database_now()
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
                        written_at=database_now(),
                    )
                )


def _dedup_key(actor: Actor, follower_id: int, key: str) -> str:
    """Return the dedup key of an answer, which is the same for the same `key`; an empty one is no key."""
    named = f"{actor.operator_id}:{follower_id}:{key}" if key else secrets.token_hex()
    return f"operator:{hashlib.sha256(named.encode()).hexdigest()[:24]}"


def _find(connection: Connection, dedup_key: str) -> int | None:
    return connection.scalar(select(MessageLog.id).where(MessageLog.dedup_key == dedup_key))


def _delete_draft(connection: Connection, actor: Actor, follower_id: int) -> None:
    this = (Draft.follower_id == follower_id, Draft.operator_id == actor.operator_id)
    connection.execute(delete(Draft).where(*this))
