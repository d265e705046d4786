"""What is stored of a push: the message, its reply, the follower and the change of the bot's session."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from ...models import BotSession, Direction, Follower, MessageLog, MessageState
from ...models.columns import storable
from ...models.rows import Row, new_row
from ...routing.ownership import HandoverReason
from ...wechat.messages import Event, Message, SubscribeEvent, UnsubscribeEvent
from ...wechat.replies import Reply
from ..conversations import handover
from ..followers.decisions import after_push
from ..messages.records import claim_held, hint_key, insert_rows, outgoing_row, page_key


class RecordOutcome(Enum):
    """What became of an attempt to record an exchange."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    """The message is known, or another process answered it: nothing was written."""
    CONFLICT = "conflict"
    """The bot's session, or who answers the follower, changed after it was read: nothing was written."""


@dataclass(frozen=True, kw_only=True)
class SessionChange:
    """What a handler changed the bot's session to, and the version that it had read."""

    state: str | None
    session: dict[str, Any]
    expires_at: datetime | None
    rule_memory: dict[str, dict[str, float]]
    version: int


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """An incoming message and all that is stored with it."""

    account_id: int
    follower_id: int | None
    """None for a new follower, and for messages that concern no follower."""
    subscribed: bool = True
    """Whether the follower followed the account when the push arrived."""
    message: Message
    received_at: datetime
    state: MessageState
    attempts: int = 1
    owner: str | None = None
    """The process that runs the slow handler of the message; None also while no process does."""
    reply: Reply | None = None
    reply_state: MessageState = MessageState.SENT
    pages: tuple[Reply, ...] = ()
    """The parts of a long text that did not fit into the reply."""
    pages_state: MessageState = MessageState.READY
    hint: Reply | None = None
    """What is shown instead of a reply that comes too late."""
    reply_id: int | None = None
    """The stored message that is shown as the reply."""
    claims: bool = False
    """Whether that message is `READY` and counts as sent from now on."""
    said: tuple[Reply, ...] = ()
    """What the handler returned, before it was divided into the reply and its pages."""
    session_change: SessionChange | None = None
    """None when the session did not change."""
    yields_to_person: bool = False
    """Whether it is the bot's, and must not be sent once a person answers the follower."""
    handover: HandoverReason | None = None
    """Why a person answers the follower from now on; None if nothing changes."""
    origin: str = ""
    error: str = ""
    latency_ms: int | None = None

    @property
    def key(self) -> str:
        return self.message.dedup_key

    @property
    def changes_subscription(self) -> bool:
        """Whether it may change whether the follower follows: only who follows can write or act."""
        if self.subscribed:
            return isinstance(self.message, SubscribeEvent | UnsubscribeEvent)
        return self.message.from_follower

    def rows(self) -> list[Row]:
        """Return the rows of the message and of what is said to it."""
        return [self._incoming(), *self.outgoing()]

    def _incoming(self) -> Row:
        message = self.message
        return new_row(
            MessageLog,
            account_id=self.account_id,
            follower_id=self.follower_id,
            direction=Direction.IN,
            kind=message.kind,
            event=message.name if isinstance(message, Event) else "",
            text=storable(message.text_for_search),
            payload=message.fields,
            platform_id=message.msg_id,
            dedup_key=self.key,
            created_at=message.created_at,
            received_at=self.received_at,
            state=self.state,
            attempts=self.attempts,
            owner=self.owner,
            runs=1 if self.owner else 0,
            reply_id=self.reply_id,
            latency_ms=self.latency_ms,
            origin=self.origin,
            error=self.error,
        )

    def withheld(self) -> Exchange:
        """Return it as it is stored when a person answers the follower: nothing is sent or changed."""
        return replace(
            self,
            reply=self.reply and self.said[0],
            reply_state=MessageState.WITHHELD,
            pages=self.said[1:] if self.reply else self.pages,
            pages_state=MessageState.WITHHELD,
            session_change=None,
            handover=None,
        )

    def outgoing(self) -> list[Row]:
        """Return the rows of the reply, of its further pages and of the hint, as far as there are any."""
        rows = []
        if self.reply:
            rows.append(self._reply_row(self.reply, self.reply_state, page_key(self.key, 1)))
        for number, page in enumerate(self.pages, start=2):
            rows.append(self._reply_row(page, self.pages_state, page_key(self.key, number)))
        if self.hint:
            rows.append(self._reply_row(self.hint, MessageState.SENT, hint_key(self.key)))
        return rows

    def _reply_row(self, reply: Reply, state: MessageState, key: str) -> Row:
        return outgoing_row(self.account_id, self.follower_id, reply, state, key, origin=self.origin)


def record(
    connection: Connection, exchanges: Sequence[Exchange], *, after_conflict: bool = False
) -> list[RecordOutcome]:
    """Write all `exchanges`, which belong to one account, unless their messages are known.

    `after_conflict` tells that a key or a reference was in the way before: a follower may have been erased
    since the message was looked up.
    """
    gone = _erased(connection, exchanges) if after_conflict else frozenset()
    exchanges = _with_followers(connection, exchanges)
    _lock_followers(connection, exchanges)
    owned = _owned_by_persons(connection, exchanges)
    known = set(connection.scalars(_KNOWN, {"keys": [exchange.key for exchange in exchanges]}))
    outcomes = []
    rows: list[Row] = []
    for exchange in exchanges:
        if exchange.key in known:
            outcomes.append(RecordOutcome.DUPLICATE)
        elif (
            exchange.follower_id in gone
            or _is_overtaken(exchange, owned)
            or not _apply_changes(connection, exchange)
        ):
            outcomes.append(RecordOutcome.CONFLICT)
        else:
            outcomes.append(RecordOutcome.RECORDED)
            known.add(exchange.key)
            rows += exchange.rows()
            if exchange.changes_subscription and exchange.follower_id:
                _change_subscription(connection, exchange)
    insert_rows(connection, rows)
    return outcomes


def _erased(connection: Connection, exchanges: Sequence[Exchange]) -> Collection[int | None]:
    """Return the ids of followers that are not there any more."""
    ids = {exchange.follower_id for exchange in exchanges} - {None}
    return ids - set(connection.scalars(select(Follower.id).where(Follower.id.in_(ids))))


def store_result(
    connection: Connection, exchange: Exchange, *, in_time: MessageState, late: MessageState
) -> tuple[RecordOutcome, MessageState | None]:
    """Store the result of a slow handler, whose message was recorded as `RECEIVED` or `LATE`.

    The reply gets the state `in_time`, or `late` when no push waits for it any more. Returns its state. The
    result of a message that was deleted meanwhile is dropped.
    """
    log = connection.execute(_LOCKED, {"key": exchange.key}).one_or_none()
    state = reply_state(MessageState(log.state), in_time, late) if log else None
    if log is None or state is None:
        return RecordOutcome.DUPLICATE, None
    exchange = replace(exchange, follower_id=log.follower_id, reply_state=state)
    if _is_overtaken(exchange, _owned_by_persons(connection, [exchange])):
        exchange = exchange.withheld()
    if not _apply_changes(connection, exchange):
        return RecordOutcome.CONFLICT, None
    result = {f"new_{name}": getattr(exchange, name) for name in _RESULT}
    connection.execute(_FINISH, {"key": exchange.key, **result})
    insert_rows(connection, exchange.outgoing())
    return RecordOutcome.RECORDED, state if exchange.reply else None


def _owned_by_persons(connection: Connection, exchanges: Sequence[Exchange]) -> set[int]:
    yielding = {e.follower_id for e in exchanges if e.yields_to_person and e.follower_id}
    return handover.owned_by_persons(connection, yielding) if yielding else set()


def _is_overtaken(exchange: Exchange, owned: Collection[int]) -> bool:
    """Whether a person of `owned` answers the follower meanwhile, so that the bot must not."""
    return exchange.yields_to_person and exchange.follower_id in owned


def reply_state(message: MessageState, in_time: MessageState, late: MessageState) -> MessageState | None:
    """Decide the state of the reply of a slow handler by the state of its message.

    Returns None for a message that is settled, whose result is dropped.
    """
    if message is MessageState.RECEIVED:
        return in_time
    return late if message is MessageState.LATE else None


def mark_late(connection: Connection, exchange: Exchange) -> tuple[MessageState, Reply | None]:
    """Make a `RECEIVED` message late; return its state, and what its follower is told meanwhile.

    That is the first part of the reply, or the hint of `exchange`; nothing where a person answers, or if the
    reply has been stored meanwhile. A message that was deleted meanwhile has failed.
    """
    log = connection.execute(_LOCKED, {"key": exchange.key}).one_or_none()
    if log is None or log.state != MessageState.RECEIVED:
        return MessageState(log.state) if log else MessageState.FAILED, None
    exchange = replace(exchange, follower_id=log.follower_id)
    if _is_overtaken(exchange, _owned_by_persons(connection, [exchange])):
        exchange = replace(exchange, reply=None, hint=None)
    this = MessageLog.dedup_key == exchange.key
    connection.execute(update(MessageLog).where(this).values(state=MessageState.LATE))
    insert_rows(connection, exchange.outgoing())
    return MessageState.LATE, exchange.reply or exchange.hint


def count_push(connection: Connection, key: str) -> tuple[int, datetime | None]:
    """Count another push of a message; return the number of pushes so far, and when the first arrived.

    Nothing is known of a message that was deleted meanwhile.
    """
    connection.execute(_COUNT, {"key": key})
    row = connection.execute(_COUNTED, {"key": key}).one_or_none()
    return (row.attempts, row.received_at) if row else (1, None)


_THIS = MessageLog.dedup_key == bindparam("key")
_LOCKED = select(MessageLog.follower_id, MessageLog.state).where(_THIS).with_for_update()
_FINISH = update(MessageLog).where(_THIS)
_RESULT = ("state", "origin", "error", "latency_ms")
_FINISH = _FINISH.values({name: bindparam(f"new_{name}") for name in _RESULT})
_COUNT = update(MessageLog).where(_THIS).values(attempts=MessageLog.attempts + 1)
_COUNTED = select(MessageLog.attempts, MessageLog.received_at).where(_THIS)
_KNOWN = select(MessageLog.dedup_key).where(MessageLog.dedup_key.in_(bindparam("keys", expanding=True)))
FOLLOWER_ID = select(Follower.id).where(
    Follower.account_id == bindparam("account_id"), Follower.openid == bindparam("openid")
)


def _with_followers(connection: Connection, exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Return `exchanges` with the ids of all followers, after inserting new ones."""
    ids: dict[str, int | None] = {}
    for follower in new_followers(exchanges):
        follower_id = connection.scalar(FOLLOWER_ID, follower)
        if follower_id is None:
            connection.execute(insert(Follower), follower)
            follower_id = connection.scalar(FOLLOWER_ID, follower)
            connection.execute(insert(BotSession), new_row(BotSession, follower_id=follower_id))
        ids[follower["openid"]] = follower_id
    return with_ids(exchanges, ids)


def _lock_followers(connection: Connection, exchanges: Sequence[Exchange]) -> None:
    """Lock the followers of several exchanges that change more than the log, ordered by id.

    Otherwise two processes that change the same followers in another order would wait for each other, as
    would one that claims a message and one that withholds it (`conversations.handover`).
    """
    withholding = [exchange for exchange in exchanges if exchange.claims or exchange.handover]
    changing = [e for e in exchanges if e.session_change or e.changes_subscription]
    ids = {exchange.follower_id for exchange in (*withholding, *changing)}
    if withholding or len(ids) > 1:
        locked = select(Follower.id).where(Follower.id.in_(ids)).order_by(Follower.id)
        connection.execute(locked.with_for_update(key_share=not any(e.handover for e in exchanges)))


def new_followers(exchanges: Sequence[Exchange]) -> list[Row]:
    """Return the rows of followers who were unknown when their exchanges began, ordered by openid."""
    first = reversed(exchanges)  # of several of one follower, the first counts
    new = {e.message.openid: e for e in first if e.follower_id is None and e.message.from_follower}
    new.pop("", None)  # the sender is not known
    return [
        new_row(
            Follower,
            account_id=exchange.account_id,
            openid=openid,
            first_seen_at=exchange.received_at,
            last_seen_at=exchange.received_at,
        )
        for openid, exchange in sorted(new.items(), key=itemgetter(0))
    ]


def with_ids(exchanges: Sequence[Exchange], ids: Mapping[str, int | None]) -> list[Exchange]:
    """Return `exchanges` with the ids of new followers, which `ids` has by openid."""
    return [e if e.follower_id else replace(e, follower_id=ids.get(e.message.openid)) for e in exchanges]


def _apply_changes(connection: Connection, exchange: Exchange) -> bool:
    """Make the changes that depend on what was read before; False if that has changed since."""
    if exchange.follower_id is None:
        return True
    if exchange.claims and exchange.reply_id:
        return claim_held(connection, exchange.follower_id, exchange.reply_id)
    change = exchange.session_change
    if change and not _change_session(connection, exchange.follower_id, change):
        return False
    if reason := exchange.handover:
        handover.call_person(
            connection, exchange.account_id, exchange.follower_id, reason, exchange.received_at
        )
    return True


def _change_session(connection: Connection, follower_id: int, change: SessionChange) -> bool:
    changed = connection.execute(
        update(BotSession)
        .where(BotSession.follower_id == follower_id, BotSession.version == change.version)
        .values(
            state=change.state,
            session=change.session,
            expires_at=change.expires_at,
            rule_memory=change.rule_memory or None,
            version=change.version + 1,
        )
    )
    return changed.rowcount == 1


def _change_subscription(connection: Connection, exchange: Exchange) -> None:
    """Apply what the push tells about whether its follower follows."""
    this = Follower.id == exchange.follower_id
    found = select(Follower.subscribed, Follower.status_at, Follower.follow_count).where(this)
    follower = connection.execute(found.with_for_update(key_share=True)).one_or_none()
    if follower and (changes := after_push(follower, exchange.message).changes):
        connection.execute(update(Follower).where(this).values(changes))
