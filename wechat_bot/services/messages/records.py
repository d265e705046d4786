"""Outgoing messages as rows of the message log, and those that are held for the follower's next push.

A reply is found by its dedup key, which is that of the message it answers with a suffix, so that there can be
only one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, case, func, insert, select, update

from ...database.clock import database_now
from ...models import BotSession, Channel, Direction, MessageLog, MessageState
from ...models.columns import storable
from ...models.rows import Row, new_row
from ...wechat.api.outgoing import to_payload
from ...wechat.messages import KEY_LENGTH
from ...wechat.replies import Reply


def reply_key(key: str) -> str:
    """Return the dedup key of the one reply to the message with the dedup key `key`."""
    return key + "r"


def page_key(key: str, page: int) -> str:
    """Return the dedup key of a page of that reply. The first is the reply itself."""
    return reply_key(key) if page == 1 else f"{key}s{'' if page == 2 else page}"


def hint_key(key: str) -> str:
    """Return the dedup key of the hint that the reply has to be fetched."""
    return key + "h"


def is_hint(key: str | None) -> bool:
    """Whether a dedup key is that of a hint."""
    return key is not None and key.endswith("h")


def answered_key(key: str) -> str:
    """Return the dedup key of the message that a reply, one of its pages or a hint belongs to."""
    return key[:KEY_LENGTH]


def operator_origin(operator_id: int) -> str:
    """Return the origin of the messages of an operator, by which they are filtered."""
    return f"operator:{operator_id}"


def outgoing_row(
    account_id: int, follower_id: int | None, reply: Reply, state: MessageState, key: str, **more: Any
) -> Row:
    """Return the row of a message to a follower; `more` are other columns of `MessageLog`.

    What is not sent by the API is what the response to a push shows of it.
    """
    now = database_now()
    if state is not MessageState.QUEUED:
        reply = reply.passive
    payload = to_payload(reply)
    return new_row(
        MessageLog,
        account_id=account_id,
        follower_id=follower_id,
        direction=Direction.OUT,
        channel=Channel.CUSTOMER if state is MessageState.QUEUED else Channel.REPLY,
        kind=payload["MsgType"],
        text=storable(reply.text_for_search),
        payload=payload,
        dedup_key=key,
        created_at=now,
        received_at=now,
        state=state,
        attempts=0,
        **more,
    )


INSERT = insert(MessageLog).inline()


def insert_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert messages; those that are `READY` are held for their followers."""
    if rows:
        connection.execute(INSERT, rows)
    for row in rows:
        if row["state"] is MessageState.READY:
            hold_for_pickup(connection, row["follower_id"], row["dedup_key"])


def hold_for_pickup(connection: Connection, follower_id: int, key: str) -> None:
    """Let the follower's next message fetch the outgoing message with the dedup key `key`."""
    message_id = connection.scalar(select(MessageLog.id).where(MessageLog.dedup_key == key))
    earliest = case((BotSession.ready_id < message_id, BotSession.ready_id), else_=message_id)
    session = update(BotSession).where(BotSession.follower_id == follower_id)
    connection.execute(session.values(ready_id=earliest))


def claim_held(connection: Connection, follower_id: int, message_id: int) -> bool:
    """Mark a `READY` message as sent; False if another push fetched it before."""
    ready = MessageLog.state == MessageState.READY
    held = update(MessageLog).where(MessageLog.id == message_id, ready)
    claimed = connection.execute(held.values(state=MessageState.SENT))
    release_held(connection, follower_id, message_id)
    return claimed.rowcount == 1


def release_held(connection: Connection, follower_id: int, message_id: int) -> None:
    """Let the follower's next message fetch the `READY` message that follows one that is `READY` no more."""
    later = MessageLog.follower_id == follower_id, MessageLog.id > message_id
    following = select(func.min(MessageLog.id)).where(*later, MessageLog.state == MessageState.READY)
    session = BotSession.follower_id == follower_id, BotSession.ready_id == message_id
    connection.execute(update(BotSession).where(*session).values(ready_id=connection.scalar(following)))
