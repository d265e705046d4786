"""What is stored of a push, and how: the message, its reply, the follower, the dialogue.

A reply is found by its dedup key, which is that of the message it answers with a suffix; so there can be
one only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Engine,
    Insert,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.engine.interfaces import DBAPICursor

from ...database.compiled import CompiledStatement, Connections
from ...database.transactions import retry_conflicts, sqlite_write_lock, transaction
from ...extensions import Model
from ...models import BotSession, Direction, Follower, MessageLog, MessageState
from ...wechat import messages
from ...wechat.messages import Event, Message, SubscribeEvent, UnsubscribeEvent
from ...wechat.replies import Reply
from ..outbox import sending

Row = dict[str, Any]
"""Columns by name."""


class RecordOutcome(Enum):
    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    """The message is known, or was answered by someone else: nothing was written."""
    CONFLICT = "conflict"
    """The dialogue changed since it was read: nothing was written."""


@dataclass(frozen=True, kw_only=True)
class SessionChange:
    """What a handler changed a dialogue to, and the version that it had read."""

    state: str | None
    session: dict[str, Any]
    expires_at: datetime | None
    version: int


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """An incoming message and all that is stored with it."""

    account_id: int
    follower_id: int | None
    """None for a new follower, and for reports that concern none."""
    message: Message
    received_at: datetime
    state: MessageState
    reply: Reply | None = None
    reply_state: MessageState = MessageState.SENT
    rest: Reply | None = None
    """What did not fit into the reply."""
    rest_state: MessageState = MessageState.READY
    collects: int | None = None
    """The outgoing message, kept for the follower, that this message gets as its reply."""
    session_change: SessionChange | None = None
    """None when the dialogue did not change."""
    origin: str = ""
    error: str = ""
    latency_ms: int | None = None

    @property
    def key(self) -> str:
        return self.message.dedup_key


def reply_key(key: str) -> str:
    """The dedup key of the one reply to the message with the dedup key `key`."""
    return key + "r"


def rest_key(key: str) -> str:
    """The dedup key of what did not fit into that reply."""
    return key + "s"


def hint_key(key: str) -> str:
    """The dedup key of the hint that the reply has to be fetched."""
    return key + "h"


def record(connection: Connection, exchanges: Sequence[Exchange]) -> list[RecordOutcome]:
    """Write all `exchanges`, of one account, whose messages are not known."""
    exchanges = _with_followers(connection, exchanges)
    known = set(connection.scalars(_KNOWN, {"keys": [exchange.key for exchange in exchanges]}))
    outcomes = []
    rows: list[Row] = []
    for exchange in exchanges:
        if exchange.key in known:
            outcomes.append(RecordOutcome.DUPLICATE)
        elif not _still_as_read(connection, exchange):
            outcomes.append(RecordOutcome.CONFLICT)
        else:
            outcomes.append(RecordOutcome.RECORDED)
            known.add(exchange.key)
            rows += rows_of(exchange)
            if isinstance(exchange.message, SubscribeEvent | UnsubscribeEvent):
                change_subscription(connection, exchange)
    insert_rows(connection, rows)
    return outcomes


class FastPath:
    """Writes exchanges that change nothing but the log and, perhaps, make a follower: those of most pushes.

    `record` does the same, and all else, at a higher cost.
    """

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._engine = engine
        self._connections = connections
        self._begin = "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else "BEGIN"
        self._seen = CompiledStatement(SEEN, engine.dialect)
        self._insert = CompiledStatement(_INSERT, engine.dialect, _columns(MessageLog))
        self._insert_followers = CompiledStatement(insert(Follower), engine.dialect, _columns(Follower))
        self._insert_conversations = CompiledStatement(
            insert(BotSession), engine.dialect, _columns(BotSession)
        )
        self._follower_id = CompiledStatement(_FOLLOWER_ID, engine.dialect)
        in_one = engine.dialect.name == "postgresql"
        self._in_one = CompiledStatement(_seen_and_insert(), engine.dialect) if in_one else None

    @staticmethod
    def takes(exchange: Exchange) -> bool:
        """Whether `exchange` is one of them."""
        return (
            exchange.session_change is None
            and exchange.collects is None
            and exchange.rest is None
            and not isinstance(exchange.message, SubscribeEvent | UnsubscribeEvent)
        )

    def record(self, exchanges: Sequence[Exchange]) -> None:
        """Write all of them or none: OperationalError, also when a message or a new follower is known."""
        new = new_followers(exchanges)
        with sqlite_write_lock(self._engine), self._connections.borrow() as cursor:
            if self._in_one and not new:
                self._in_one.run(cursor, _values_in_one(exchanges))
            else:
                cursor.execute(self._begin)
                self._write(cursor, exchanges, new)
                cursor.execute("COMMIT")

    def _write(self, cursor: DBAPICursor, exchanges: Sequence[Exchange], new: Sequence[Row]) -> None:
        if seen := seen_values(exchanges):
            self._seen.many(cursor, seen)
        if new:
            exchanges = _with_ids(exchanges, self._add_followers(cursor, new))
        self._insert.many(cursor, [row for exchange in exchanges for row in rows_of(exchange)])

    def _add_followers(self, cursor: DBAPICursor, new: Sequence[Row]) -> Mapping[str, int | None]:
        self._insert_followers.many(cursor, new)
        ids: dict[str, int | None] = {}
        for follower in new:
            [ids[follower["openid"]]] = self._follower_id.one(cursor, follower) or [None]
        self._insert_conversations.many(cursor, [new_conversation(i) for i in ids.values()])
        return ids


@retry_conflicts
def store_result(
    engine: Engine, exchange: Exchange, *, late: MessageState
) -> tuple[RecordOutcome, MessageState | None]:
    """Store the outcome of a slow handler, whose message was recorded as `RECEIVED`.

    The reply becomes `READY`, or `late` when the platform no longer waits for it; its state is returned.
    """
    with transaction(engine) as connection:
        found = select(MessageLog.follower_id, MessageLog.state).where(MessageLog.dedup_key == exchange.key)
        log = connection.execute(found.with_for_update()).one()
        if log.state not in {MessageState.RECEIVED, MessageState.LATE}:
            return RecordOutcome.DUPLICATE, None
        state = MessageState.READY if log.state == MessageState.RECEIVED else late
        exchange = replace(exchange, follower_id=log.follower_id, reply_state=state)
        if not _still_as_read(connection, exchange):
            return RecordOutcome.CONFLICT, None
        connection.execute(
            update(MessageLog)
            .where(MessageLog.dedup_key == exchange.key)
            .values(state=exchange.state, error=exchange.error, latency_ms=exchange.latency_ms)
        )
        insert_rows(connection, _outgoing(exchange))
        return RecordOutcome.RECORDED, state if exchange.reply else None


@retry_conflicts
def mark_late(engine: Engine, exchange: Exchange, hint: Reply | None) -> None:
    """Make a `RECEIVED` message late, and record the `hint` that tells the follower so.

    Nothing changes if its answer is there after all.
    """
    with transaction(engine) as connection:
        late = connection.execute(
            update(MessageLog)
            .where(MessageLog.dedup_key == exchange.key, MessageLog.state == MessageState.RECEIVED)
            .values(state=MessageState.LATE)
        )
        if late.rowcount and hint:
            insert_rows(connection, [_reply(exchange, hint, MessageState.SENT, hint_key(exchange.key))])


_INSERT = insert(MessageLog).inline()
_KNOWN = select(MessageLog.dedup_key).where(MessageLog.dedup_key.in_(bindparam("keys", expanding=True)))
_FOLLOWER_ID = select(Follower.id).where(
    Follower.account_id == bindparam("account_id"), Follower.openid == bindparam("openid")
)
SEEN = update(Follower).where(Follower.id == bindparam("follower")).values(last_seen_at=bindparam("seen"))


def _seen_and_insert() -> Insert:
    """`SEEN` and `_INSERT` in one statement for PostgreSQL, to which the rows travel as one JSON text.

    The followers are locked before anything is inserted, in the order of their ids, as by `SEEN`.
    """
    names, types = _columns(MessageLog), MessageLog.__table__.c
    text = cast(bindparam("rows", type_=Text), JSON)
    function = func.json_to_recordset(text).table_valued(*(column(name, types[name].type) for name in names))
    rows = function.render_derived(name="pushed", with_types=True)
    followers = select(Follower.id).where(Follower.id.in_(select(rows.c.follower_id))).order_by(Follower.id)
    locked = followers.with_for_update(key_share=True).cte("locked")
    seen = update(Follower).where(Follower.id == locked.c.id).values(last_seen_at=bindparam("seen"))
    all_locked = select(func.count()).select_from(locked).scalar_subquery() >= literal_column("0")
    return _INSERT.from_select(names, select(rows).where(all_locked)).add_cte(seen.cte("seen"))


def _values_in_one(exchanges: Sequence[Exchange]) -> Row:
    rows = [row for exchange in exchanges for row in rows_of(exchange)]
    return {"rows": _to_json(rows), "seen": max(exchange.received_at for exchange in exchanges)}


_to_json = json.JSONEncoder(ensure_ascii=False, default=datetime.isoformat).encode


def _columns(model: type[Model]) -> list[str]:
    return [column.key for column in model.__table__.columns if column.key != "id"]


def _with_followers(connection: Connection, exchanges: Sequence[Exchange]) -> list[Exchange]:
    """`exchanges` with the ids of all followers, new ones included.

    The followers' rows are locked, in the order of their ids, so that nobody else records for them.
    """
    ids: dict[str, int | None] = {}
    for follower in new_followers(exchanges):
        follower_id = connection.scalar(_FOLLOWER_ID, follower)
        if follower_id is None:
            connection.execute(insert(Follower), follower)
            follower_id = connection.scalar(_FOLLOWER_ID, follower)
            connection.execute(insert(BotSession), new_conversation(follower_id))
        ids[follower["openid"]] = follower_id
    complete = _with_ids(exchanges, ids)
    if seen := seen_values(complete):
        connection.execute(SEEN, seen)
    return complete


def new_followers(exchanges: Sequence[Exchange]) -> list[Row]:
    """The rows of followers whom nobody knew when their exchanges began, in the order of their openids."""
    new = {e.message.openid: e for e in exchanges if e.follower_id is None and e.message.from_follower}
    return [
        {
            "account_id": exchange.account_id,
            "openid": openid,
            "subscribed": True,
            "status_at": None,
            "follow_count": 0,
            "scene": "",
            "alias": "",
            "remark": "",
            "unionid": "",
            "source": "",
            "subscribed_at": None,
            "synced_at": None,
            "first_seen_at": exchange.received_at,
            "last_seen_at": exchange.received_at,
        }
        for openid, exchange in sorted(new.items(), key=itemgetter(0))
    ]


def new_conversation(follower_id: int | None) -> Row:
    """The row of a follower who has said nothing yet."""
    return {
        "follower_id": follower_id,
        "state": None,
        "session": {},
        "expires_at": None,
        "version": 0,
        "ready_id": None,
    }


def _with_ids(exchanges: Sequence[Exchange], ids: Mapping[str, int | None]) -> list[Exchange]:
    return [e if e.follower_id else replace(e, follower_id=ids.get(e.message.openid)) for e in exchanges]


def seen_values(exchanges: Sequence[Exchange]) -> list[Row]:
    """Parameters of `SEEN`: each follower once, in an order in which no two processes block each other."""
    seen = {e.follower_id: e.received_at for e in exchanges if e.follower_id}
    return [{"follower": follower_id, "seen": at} for follower_id, at in sorted(seen.items())]


def _still_as_read(connection: Connection, exchange: Exchange) -> bool:
    """Make the changes that depend on what was read before; False if it has changed since."""
    if exchange.follower_id is None:
        return True
    if exchange.collects:
        return sending.claim_held(
            connection, exchange.follower_id, exchange.collects, dedup_key=reply_key(exchange.key)
        )
    return exchange.session_change is None or _change_session(
        connection, exchange.follower_id, exchange.session_change
    )


def _change_session(connection: Connection, follower_id: int, dialogue: SessionChange) -> bool:
    changed = connection.execute(
        update(BotSession)
        .where(BotSession.follower_id == follower_id, BotSession.version == dialogue.version)
        .values(
            state=dialogue.state,
            session=dialogue.session,
            expires_at=dialogue.expires_at,
            version=dialogue.version + 1,
        )
    )
    return changed.rowcount == 1


def change_subscription(connection: Connection, exchange: Exchange) -> None:
    """Pushes arrive in any order (section 10.5): only one that is not older than the last counts."""
    event = exchange.message
    changes: dict[str, Any] = {"subscribed": False, "status_at": event.created_at}
    if isinstance(event, SubscribeEvent):
        scene = storable(event.scene)[:128]
        changes |= {"subscribed": True, "scene": scene, "follow_count": Follower.follow_count + 1}
    connection.execute(
        update(Follower)
        .where(Follower.id == exchange.follower_id)
        .where(or_(Follower.status_at.is_(None), Follower.status_at <= event.created_at))
        .values(changes)
    )


def insert_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """Add messages; those that are `READY` are kept for their followers."""
    if rows:
        connection.execute(_INSERT, rows)
    for row in rows:
        if row["state"] is MessageState.READY:
            sending.hold_for_pickup(connection, row["follower_id"], row["dedup_key"])


def rows_of(exchange: Exchange) -> list[Row]:
    """The message, and what is said to it."""
    return [_incoming(exchange), *_outgoing(exchange)]


def _incoming(exchange: Exchange) -> Row:
    message = exchange.message
    return {
        "account_id": exchange.account_id,
        "follower_id": exchange.follower_id,
        "direction": Direction.IN,
        "channel": None,
        "kind": message.kind,
        "event": message.name if isinstance(message, Event) else "",
        "text": readable(message),
        "payload": message.fields,
        "platform_id": message.msg_id,
        "dedup_key": exchange.key,
        "created_at": message.created_at,
        "received_at": exchange.received_at,
        "state": exchange.state,
        "attempts": 1,
        "latency_ms": exchange.latency_ms,
        "origin": exchange.origin,
        "error": exchange.error,
    }


def _outgoing(exchange: Exchange) -> list[Row]:
    rows = []
    if exchange.reply:
        rows.append(_reply(exchange, exchange.reply, exchange.reply_state, reply_key(exchange.key)))
    if exchange.rest:
        rows.append(_reply(exchange, exchange.rest, exchange.rest_state, rest_key(exchange.key)))
    return rows


def _reply(exchange: Exchange, reply: Reply, state: MessageState, key: str) -> Row:
    return sending.outgoing(exchange.account_id, exchange.follower_id, reply, state, key, exchange.origin)


def readable(message: Message) -> str:
    """What there is to read and to search in a message."""
    match message:
        case messages.TextMessage():
            text = message.content
        case messages.VoiceMessage():
            text = message.recognition
        case messages.LocationMessage():
            text = message.label
        case messages.LinkMessage():
            text = f"{message.title}\n{message.description}"
        case messages.Event():
            text = message.key
        case _:
            text = ""
    return storable(text)


def storable(text: str) -> str:
    """`text` without NUL, which PostgreSQL cannot store."""
    return text.replace("\x00", "")
