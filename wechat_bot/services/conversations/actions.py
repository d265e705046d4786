"""What operators do with followers and conversations. Every change is in the audit log.

With `write_back` the platform is told, too: for accounts that may change its followers' remarks and tags.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, exists, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import (
    Conversation,
    ConversationStatus,
    Follower,
    FollowerTag,
    Mention,
    Note,
    Operator,
    Presence,
    Tag,
)
from .. import audit
from ..audit import Actor
from ..followers import write_back as writebacks
from ..search.index import refresh_followers

COLOURS = ("blue", "azure", "indigo", "purple", "pink", "red", "orange", "lime", "green", "teal", "cyan")
MAX_NOTE = 4000
MAX_BULK = 500
"""So many conversations or followers are changed at once."""


def subject(follower_id: int) -> str:
    """How the audit log names a follower."""
    return f"follower:{follower_id}"


@retry_conflicts
def rename(engine: Engine, actor: Actor, follower_id: int, alias: str, *, write_back: bool = False) -> None:
    """Call a follower `alias`; empty: by nothing but the openid."""
    alias = " ".join(alias.split())[:64]
    with transaction(engine) as connection:
        before = connection.scalar(select(Follower.alias).where(Follower.id == follower_id))
        if before in {None, alias}:
            return
        connection.execute(update(Follower).where(Follower.id == follower_id).values(alias=alias))
        if write_back:
            writebacks.queue(connection, follower_id, writebacks.REMARK, alias)
        refresh_followers(connection, {follower_id})
        audit.record(connection, actor, "alias_changed", subject(follower_id), before=before, after=alias)


@retry_conflicts
def tag(
    engine: Engine, actor: Actor, follower_ids: Sequence[int], name: str, *, write_back: bool = False
) -> None:
    """Put the tag `name`, which is made if it is new, on followers."""
    name = " ".join(name.split())[:32]
    if not name:
        return
    with transaction(engine) as connection:
        for follower_id, account_id in _known(connection, follower_ids):
            tag_id = ensure_tag(connection, account_id, name)
            has = exists().where(FollowerTag.follower_id == follower_id, FollowerTag.tag_id == tag_id)
            if connection.scalar(select(has)):
                continue
            connection.execute(insert(FollowerTag).values(follower_id=follower_id, tag_id=tag_id))
            if write_back:
                writebacks.queue(connection, follower_id, writebacks.TAG, str(tag_id))
            refresh_followers(connection, {follower_id})
            audit.record(connection, actor, "tag_added", subject(follower_id), after=name)


@retry_conflicts
def untag(
    engine: Engine, actor: Actor, follower_ids: Sequence[int], tag_id: int, *, write_back: bool = False
) -> None:
    """Take a tag off followers."""
    with transaction(engine) as connection:
        name = connection.scalar(select(Tag.name).where(Tag.id == tag_id))
        for follower_id, _ in _known(connection, follower_ids):
            taken = connection.execute(
                delete(FollowerTag).where(
                    FollowerTag.follower_id == follower_id, FollowerTag.tag_id == tag_id
                )
            )
            if taken.rowcount:
                if write_back:
                    writebacks.queue(connection, follower_id, writebacks.UNTAG, str(tag_id))
                refresh_followers(connection, {follower_id})
                audit.record(connection, actor, "tag_removed", subject(follower_id), before=name)


@retry_conflicts
def set_status(engine: Engine, actor: Actor, follower_ids: Sequence[int], status: ConversationStatus) -> None:
    """Say what conversations need; whoever opens one by hand waits from now on."""
    since = datetime.now(UTC) if status is ConversationStatus.OPEN else None
    _change(engine, actor, follower_ids, "status_changed", Conversation.status, status, waiting_since=since)


@retry_conflicts
def assign(engine: Engine, actor: Actor, follower_ids: Sequence[int], operator_id: int | None) -> None:
    """Give conversations to an operator, or to nobody; LookupError when there is no such operator."""
    name = None
    if operator_id is not None:
        known = select(Operator.name).where(Operator.id == operator_id, Operator.disabled.is_(False))
        with engine.connect() as connection:
            name = connection.scalar(known)
        if name is None:
            raise LookupError(operator_id)
    _change(engine, actor, follower_ids, "assigned", Conversation.assignee_id, operator_id, told=name)


@retry_conflicts
def star(engine: Engine, actor: Actor, follower_ids: Sequence[int], starred: bool) -> None:
    """Mark conversations for all operators to see, or no longer."""
    _change(engine, actor, follower_ids, "starred", Conversation.starred, starred)


@retry_conflicts
def add_note(engine: Engine, actor: Actor, follower_id: int, text: str) -> int:
    """Keep a note, and tell the operators whom it names as ``@name``; its id.

    ValueError when it says nothing or is longer than `MAX_NOTE`, LookupError when there is no such follower.
    """
    text = text.replace("\x00", "").strip()
    if not text or len(text) > MAX_NOTE:
        raise ValueError(f"a note has 1 to {MAX_NOTE} characters")
    with transaction(engine) as connection:
        if not _known(connection, [follower_id]):
            raise LookupError(follower_id)
        note = {"follower_id": follower_id, "operator_id": actor.operator_id, "text": text}
        added = connection.execute(insert(Note).values(**note, created_at=datetime.now(UTC)))
        [note_id] = added.inserted_primary_key or (0,)
        for operator_id in _mentioned(connection, text):
            connection.execute(insert(Mention).values(note_id=note_id, operator_id=operator_id, seen_at=None))
        refresh_followers(connection, {follower_id})
        audit.record(connection, actor, "note_added", subject(follower_id), after=text)
    return int(note_id)


@retry_conflicts
def mark_read(engine: Engine, operator_id: int, follower_id: int, message_id: int) -> None:
    """An operator has seen the conversation up to a message, and the notes that name them."""
    with transaction(engine) as connection:
        connection.execute(
            update(Conversation)
            .where(Conversation.follower_id == follower_id, Conversation.read_id < message_id)
            .values(read_id=message_id)
        )
        notes = select(Note.id).where(Note.follower_id == follower_id)
        connection.execute(
            update(Mention)
            .where(Mention.operator_id == operator_id, Mention.seen_at.is_(None), Mention.note_id.in_(notes))
            .values(seen_at=datetime.now(UTC))
        )


@retry_conflicts
def touch_presence(engine: Engine, operator_id: int, follower_id: int, now: datetime) -> None:
    """An operator looks at a conversation."""
    here = and_(Presence.operator_id == operator_id, Presence.follower_id == follower_id)
    with transaction(engine) as connection:
        if not connection.execute(update(Presence).where(here).values(seen_at=now)).rowcount:
            connection.execute(
                insert(Presence).values(operator_id=operator_id, follower_id=follower_id, seen_at=now)
            )


def _change(
    engine: Engine,
    actor: Actor,
    follower_ids: Sequence[int],
    action: str,
    column: Any,
    value: Any,
    *,
    told: Any = None,
    **more: Any,
) -> None:
    """Set `column` of the threads that have another value, and `more`; the audit log is `told` the value."""
    with transaction(engine) as connection:
        rows = connection.execute(
            select(Conversation.follower_id, column.label("before"))
            .where(Conversation.follower_id.in_(follower_ids[:MAX_BULK]))
            .order_by(Conversation.follower_id)
            .with_for_update()
        ).all()
        changed = [row for row in rows if row.before != value]
        connection.execute(
            update(Conversation)
            .where(Conversation.follower_id.in_([row.follower_id for row in changed]))
            .values({column: value, **more})
        )
        for row in changed:
            audit.record(
                connection,
                actor,
                action,
                subject(row.follower_id),
                before=row.before,
                after=value if told is None else told,
            )


def _known(connection: Connection, follower_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Ids of followers that exist, and of their accounts, in an order in which nobody blocks another."""
    found = select(Follower.id, Follower.account_id).where(Follower.id.in_(follower_ids[:MAX_BULK]))
    return [(row.id, row.account_id) for row in connection.execute(found.order_by(Follower.id))]


def ensure_tag(connection: Connection, account_id: int, name: str) -> int:
    """The id of the tag `name`, which is made if it is new."""
    found = select(Tag.id).where(Tag.account_id == account_id, Tag.name == name)
    tag_id = connection.scalar(found)
    if tag_id is None:
        colour = COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]
        connection.execute(insert(Tag).values(account_id=account_id, name=name, colour=colour))
        tag_id = connection.scalar(found)
    assert tag_id is not None
    return tag_id


def _mentioned(connection: Connection, text: str) -> list[int]:
    names = set(re.findall(r"@([^\s@,，。:：;；!！?？]{1,64})", text))
    found = select(Operator.id).where(Operator.name.in_(names), Operator.disabled.is_(False))
    return list(connection.scalars(found)) if names else []
