"""Sends outgoing messages through the customer-service API.

Replies that the API does not send are held for the follower's next push (`services.messages.records`).
"""

from __future__ import annotations

import logging
import mimetypes
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, select, update

from ... import logs
from ...database.clock import database_now
from ...database.transactions import retry_conflicts, retry_outages, transaction
from ...jobs import Enqueue, Job
from ...models import UNSETTLED, Follower, Media, MessageLog, MessageState
from ...routing import Router
from ...wechat.api import WeChatClient
from ...wechat.api.outgoing import sendable_of
from ...wechat.errors import APIError, Forbidden, InvalidReply, Unreachable
from ..accounts.capabilities import Capabilities, Feature, PermissionReason
from ..accounts.quotas import Quotas
from ..conversations.actions import end_waiting
from ..decisions import Decision
from ..media.archive import Archive
from ..media.library import find_copy
from ..messages.records import hold_for_pickup
from .decisions import UnreadableFile, after_sending, concerns_account, is_worth_repeating, may_wait

log = logging.getLogger(__name__)

RETRY_DELAYS = (1, 2, 4)
"""Seconds before a call that the platform cannot have received is repeated."""
UNDO_SECONDS = 10
"""Seconds for which an operator can withdraw an answer."""
REFUSAL_PAUSE = timedelta(minutes=10)
"""Time for which replies wait for a push instead of being tried, after the platform refused the account."""
UPLOAD_PENDING = "-"
"""Stands for the media id of a file that is uploaded when its message is sent; a reply needs one."""
_MEDIA_IDS = frozenset({"MediaId", "ThumbMediaId", "thumb_media_id"})
"""The fields of a payload that have it."""


@dataclass(frozen=True)
class Claimed:
    """A message that this worker alone sends."""

    id: int
    account_id: int
    follower_id: int
    openid: str
    operator_id: int | None
    dedup_key: str
    payload: dict[str, Any]
    attempts: int
    """How often it has been claimed, this time included."""


class ClaimLost(Exception):
    """A claimed message was taken for interrupted: it must not be sent any more."""


class Outbox:
    """Sends the `QUEUED` messages of one account: each once, those of a follower one after the other.

    `client` is None when there is no API. `sleep` is replaced in tests.
    """

    def __init__(
        self,
        engine: Engine,
        client: WeChatClient | None,
        capabilities: Capabilities,
        quotas: Quotas,
        files: Archive,
        enqueue: Enqueue,
        router: Router,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._client = client
        self._capabilities = capabilities
        self._quotas = quotas
        self._files = files
        self._enqueue = enqueue
        self._router = router
        self._sleep = sleep

    def available(self, account_id: int) -> bool:
        """Whether messages may be sent to the account's followers, as far as is known.

        They are not for `REFUSAL_PAUSE` after the platform refused the account.
        """
        if self._client is None:
            return False
        permission = self._capabilities.permission(account_id, Feature.CUSTOMER_SERVICE)
        refused_at = permission.refused_at
        return permission.allowed and (refused_at is None or database_now() - refused_at >= REFUSAL_PAUSE)

    def is_proven(self, account_id: int) -> bool:
        """Whether messages can be relied upon: the account may send them, and did so last time."""
        if self._client is None:
            return False
        permission = self._capabilities.permission(account_id, Feature.CUSTOMER_SERVICE)
        is_known = permission.reason is not PermissionReason.UNKNOWN
        return permission.allowed and is_known and permission.refused_at is None

    def end_waiting(self, connection: Connection, follower_id: int, message_id: int) -> None:
        """Let a follower wait for nothing but what comes after an operator's answer."""
        end_waiting(connection, follower_id, message_id, self._router.catch_alls())

    def schedule(self, follower_id: int, seconds: float) -> None:
        """Let a worker `send` to a follower after so many seconds. Call it after the commit."""
        self._enqueue(Job.SEND, follower_id, seconds)

    def notify_typing(self, follower_id: int) -> None:
        """Let a worker `show_typing` to a follower."""
        self._enqueue(Job.SHOW_TYPING, follower_id, 0)

    def show_typing(self, follower_id: int) -> None:
        """Show a follower that an operator is typing. A refusal of the platform is ignored."""
        found = select(Follower.openid, Follower.account_id).where(Follower.id == follower_id)
        with self._engine.connect() as connection:
            row = connection.execute(found).one_or_none()
        if self._client and row and self.available(row.account_id):
            with suppress(APIError):
                self._client.customer.typing(row.openid)

    def send(self, follower_id: int) -> None:
        """Send the messages to a follower that are due, unless another worker sends them."""
        self._quotas.refresh()
        while self._client and (claimed := _claim(self._engine, follower_id)):
            with logs.about(message_id=claimed.id, dedup_key=claimed.dedup_key):
                try:
                    error = self._deliver(claimed)
                except ClaimLost:
                    log.warning("customer-service message %d: not sent, it took too long", claimed.id)
                    return
                self._settle(claimed, error)

    def _settle(self, claimed: Claimed, error: Exception | None) -> None:
        """Store the outcome of a message."""
        needs_upload = any(_pending_fields(claimed.payload))
        waits = may_wait(error, by_operator=claimed.operator_id is not None, needs_upload=needs_upload)
        decision = after_sending(error, waits=waits, now=database_now())
        _apply(self._engine, claimed, decision, self._router.catch_alls())
        self._learn(claimed.account_id, error)
        state = decision.changes["state"]
        level = logging.INFO if state is MessageState.SENT else logging.WARNING
        log.log(level, "customer-service message %d: %s %s", claimed.id, state, error or "")

    def _learn(self, account_id: int, error: Exception | None) -> None:
        """Remember what the response of the platform says about the account."""
        if error and concerns_account(error):
            self._capabilities.record_refusal(account_id)
        if isinstance(error, Forbidden) or (error is None and not self.is_proven(account_id)):
            self._capabilities.record_response(account_id, Feature.CUSTOMER_SERVICE, allowed=error is None)

    def _deliver(self, claimed: Claimed) -> Exception | None:
        """Call the API until the outcome is final; return the last error.

        :raises ClaimLost: if the message is no longer this worker's.
        """
        error: Exception | None = None
        for delay in (0, *RETRY_DELAYS):
            if delay:
                self._sleep(delay)
                _renew_claim(self._engine, claimed)
            try:
                self._call(claimed)
            except (APIError, InvalidReply, UnreadableFile) as caught:
                error = caught
                if not is_worth_repeating(error):
                    return error
            else:
                return None
        return error

    def _call(self, claimed: Claimed) -> None:
        assert self._client
        payload = _filled(claimed.payload, partial(self._media_id, claimed))
        self._client.customer.send(claimed.openid, sendable_of(payload))

    def _media_id(self, claimed: Claimed) -> str:
        """Return the media id of an operator's file, uploaded unless the library has a copy.

        :raises APIError: if the platform does not take it.
        :raises UnreadableFile: if it is not in the store, or the store cannot be reached.
        """
        assert self._client
        found = select(Media.kind, Media.digest, Media.content_type).where(Media.message_id == claimed.id)
        with self._engine.connect() as connection:
            file = connection.execute(found).one()
            known = find_copy(connection, claimed.account_id, file.digest, database_now())
        if known:
            return known
        name = f"{file.kind}{mimetypes.guess_extension(file.content_type) or ''}"
        try:
            content = self._files.read(file.digest)
        except OSError as error:
            raise UnreadableFile from error
        try:
            uploaded = self._client.media.upload(file.kind, name, content, file.content_type)
        except Unreachable as error:
            raise Unreachable(error.errmsg, delivered=False) from error  # the message itself was not sent
        _renew_claim(self._engine, claimed)
        return uploaded.media_id


def _filled(payload: dict[str, Any], media_id: Callable[[], str]) -> dict[str, Any]:
    """Return a payload with the id of its file, if that is known only now."""
    for name, key in _pending_fields(payload):
        return {**payload, name: {**payload[name], key: media_id()}}
    return payload


def _pending_fields(payload: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the field of a payload that is the id of a file which is not uploaded yet, if it has one."""
    for name, content in payload.items():
        for key in _MEDIA_IDS & content.keys() if isinstance(content, dict) else ():
            if content[key] == UPLOAD_PENDING:
                yield name, key


def due(now: datetime) -> Any:
    """The condition for `QUEUED` messages that may be sent; answers of operators can be withdrawn first."""
    by_handler = MessageLog.operator_id.is_(None)
    return by_handler | (MessageLog.received_at <= now - timedelta(seconds=UNDO_SECONDS))


def _next(follower_id: int) -> Select[int, MessageState]:
    """Select the oldest message to a follower that is queued or being sent."""
    return (
        select(MessageLog.id, MessageLog.state)
        .where(UNSETTLED, MessageLog.state.in_([MessageState.QUEUED, MessageState.SENDING]))
        .where(MessageLog.follower_id == follower_id)
        .order_by(MessageLog.state.desc(), MessageLog.id)  # one that is being sent comes first
        .limit(1)
    )


@retry_conflicts
def _claim(engine: Engine, follower_id: int) -> Claimed | None:
    """Make the follower's oldest `QUEUED` message `SENDING`.

    Returns None if it is not due, if another message is being sent, or if another worker was faster, which
    then continues with the messages that follow.
    """
    now = database_now()
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
def _renew_claim(engine: Engine, claimed: Claimed) -> None:
    """Let the time for which a claim is good begin anew (`services.inbox.recovery`).

    :raises ClaimLost: if that time was over.
    """
    with transaction(engine) as connection:
        renewed = update(MessageLog).where(_is(claimed), MessageLog.state == MessageState.SENDING)
        if not connection.execute(renewed.values(received_at=database_now())).rowcount:
            raise ClaimLost


@retry_outages
def _apply(engine: Engine, claimed: Claimed, decision: Decision, catch_alls: Collection[str]) -> None:
    """Store the outcome, also of a message that was taken for interrupted and left alone since."""
    mine = MessageLog.state.in_([MessageState.SENDING, MessageState.UNKNOWN])
    with transaction(engine) as connection:
        applied = connection.execute(update(MessageLog).where(_is(claimed), mine).values(**decision.changes))
        state = decision.changes["state"] if applied.rowcount else None
        if state is MessageState.READY:
            hold_for_pickup(connection, claimed.follower_id, claimed.dedup_key)
        if state in {MessageState.SENT, MessageState.READY} and claimed.operator_id is not None:
            end_waiting(connection, claimed.follower_id, claimed.id, catch_alls)


def _is(claimed: Claimed) -> ColumnElement[bool]:
    """The condition for the claimed message, unless it was claimed again."""
    return and_(MessageLog.id == claimed.id, MessageLog.attempts == claimed.attempts)
