"""Operators' conversations, and what followers did last, kept up to date with the message log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Connection, Row, bindparam, case, insert, or_, select, update

from ...models import Conversation, Direction, Follower
from ...models.rows import new_row
from ..conversations.decisions import after_message


def update_conversations(
    connection: Connection,
    messages: Collection[Row[Any]],
    settled: Collection[Row[Any]],
    catch_alls: Collection[str],
) -> None:
    """Count new messages, and open the conversations that need an operator.

    `settled` messages were counted before, while a slow handler worked on them. `catch_alls` are the origins
    whose answers leave a message to an operator.
    """
    counted, judged = defaultdict(list), defaultdict(list)
    for message in messages:
        counted[message.follower_id].append(message)
    for message in settled:
        judged[message.follower_id].append(message)
    ids = sorted({*counted, *judged} - {None})
    if not ids:
        return
    found = _KNOWN.where(Conversation.follower_id.in_(ids)).order_by(Conversation.follower_id)
    known = {row.follower_id: row for row in connection.execute(found.with_for_update())}
    accounts = {message.follower_id: message.account_id for message in (*messages, *settled)}
    new = {
        row_id: new_row(Conversation, account_id=accounts[row_id], follower_id=row_id, last_id=0)
        for row_id in ids
        if row_id not in known
    }
    conversations = {row_id: row._asdict() for row_id, row in known.items()} | new
    for row_id, conversation in conversations.items():
        for message in counted[row_id]:
            _count(conversation, message)
        for message in (*counted[row_id], *judged[row_id]):
            status, since = conversation["status"], conversation["waiting_since"]
            conversation.update(after_message(status, since, message, catch_alls).changes)
    if new:
        connection.execute(insert(Conversation), list(new.values()))
    _change(connection, known, conversations)


def _change(
    connection: Connection, known: Mapping[int, Row[Any]], conversations: Mapping[int, dict[str, Any]]
) -> None:
    """Update the known conversations to the new values of their columns.

    The statement sets the columns of its rows, and SQLite rewrites the indexes of each of them: so the state
    is left out where it stays.
    """
    changed = defaultdict(list)
    for row_id, before in known.items():
        after = conversations[row_id]
        state_changed = any(after[name] != getattr(before, name) for name in _STATE)
        names = _COUNTS + _STATE if state_changed else _COUNTS
        changed[names].append({"row": row_id, **{name: after[name] for name in names}})
    for rows in changed.values():
        connection.execute(_CHANGE, rows)


_COUNTS = ("last_id", "last_in_id", "messages_in", "messages_out")
_STATE = ("status", "waiting_since", "waiting_id")
_CHANGE = update(Conversation).where(Conversation.follower_id == bindparam("row"))
_KNOWN = select(Conversation.follower_id, *(getattr(Conversation, name) for name in _COUNTS + _STATE))


def update_last_seen(connection: Connection, messages: Iterable[Row[Any]]) -> None:
    """Store when the last push of each follower arrived, and who has spoken.

    Followers are updated in the order of their ids, as others lock them.
    """
    seen: dict[int, datetime] = {}
    spoken = set()
    for message in messages:
        if message.direction == Direction.IN and message.follower_id is not None:
            seen[message.follower_id] = max(message.received_at, seen.get(message.follower_id, _NEVER))
            if not message.event:
                spoken.add(message.follower_id)
    if seen:
        pushes = sorted(seen.items())
        connection.execute(
            _SEEN, [{"follower": id_, "at": at, "spoken": id_ in spoken} for id_, at in pushes]
        )


_NEVER = datetime.min.replace(tzinfo=UTC)
_AT: Any = bindparam("at")
_SPOKEN = bindparam("spoken", type_=Boolean)
_IS_LATER, _IS_FIRST = Follower.last_seen_at < _AT, Follower.has_spoken < _SPOKEN
_SEEN = (
    update(Follower)
    .where(Follower.id == bindparam("follower"), or_(_IS_LATER, _IS_FIRST))
    .values(
        last_seen_at=case((_IS_LATER, _AT), else_=Follower.last_seen_at),
        has_spoken=or_(Follower.has_spoken, _SPOKEN),
    )
)


def _count(conversation: dict[str, Any], message: Row[Any]) -> None:
    conversation["last_id"] = max(conversation["last_id"], message.id)
    if message.direction == Direction.OUT:
        conversation["messages_out"] += 1
    elif not message.event:
        conversation["messages_in"] += 1
        if message.menu_id is None:  # a tap on a menu message opens no window of 48 hours
            conversation["last_in_id"] = max(conversation["last_in_id"], message.id)
