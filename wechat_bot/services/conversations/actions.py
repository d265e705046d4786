"""What operators do with conversations. Every change of a conversation is in the audit log."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, and_, func, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import (
    Conversation,
    ConversationStatus,
    Direction,
    Follower,
    Mention,
    MessageLog,
    Note,
    Operator,
    Presence,
)
from .. import audit
from ..audit import Actor
from ..decisions import Decision
from ..followers.profiles import MAX_BULK, subject
from ..search.index import refresh_followers
from . import decisions

MAX_NOTE = 4000
"""Upper limit of a note in characters."""


@retry_conflicts
def set_status(engine: Engine, actor: Actor, follower_ids: Sequence[int], status: ConversationStatus) -> None:
    """Set the status of conversations. A follower whose conversation is opened waits from now on."""
    now = datetime.now(UTC)

    def decide(row: Any) -> Decision | None:
        return decisions.change_status(row.status, status, subject(row.follower_id), now)

    _change(engine, actor, follower_ids, decide)


@retry_conflicts
def assign(engine: Engine, actor: Actor, follower_ids: Sequence[int], operator_id: int | None) -> None:
    """Assign conversations to an operator; None: to nobody.

    :raises LookupError: when there is no such operator.
    """
    name = None
    if operator_id is not None:
        known = select(Operator.name).where(Operator.id == operator_id, Operator.disabled.is_(False))
        with engine.connect() as connection:
            name = connection.scalar(known)
        if name is None:
            raise LookupError(operator_id)

    def decide(row: Any) -> Decision | None:
        return decisions.assign(row.assignee_id, operator_id, name, subject(row.follower_id))

    _change(engine, actor, follower_ids, decide)


@retry_conflicts
def star(engine: Engine, actor: Actor, follower_ids: Sequence[int], starred: bool) -> None:
    """Set or remove the star of conversations, which all operators see."""

    def decide(row: Any) -> Decision | None:
        return decisions.star(row.starred, starred, subject(row.follower_id))

    _change(engine, actor, follower_ids, decide)


@retry_conflicts
def add_note(engine: Engine, actor: Actor, follower_id: int, text: str) -> int:
    """Store a note, with a mention for each operator named as ``@name``, and return its id.

    :raises ValueError: when the text is empty or longer than `MAX_NOTE`.
    :raises LookupError: when there is no such follower.
    """
    text = text.replace("\x00", "").strip()
    if not text or len(text) > MAX_NOTE:
        raise ValueError(f"a note has 1 to {MAX_NOTE} characters")
    with transaction(engine) as connection:
        if connection.scalar(select(Follower.id).where(Follower.id == follower_id)) is None:
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
    """Mark the conversation as read up to a message, and the operator's mentions in it as seen."""
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
    """Record that an operator has a conversation open."""
    here = and_(Presence.operator_id == operator_id, Presence.follower_id == follower_id)
    with transaction(engine) as connection:
        if not connection.execute(update(Presence).where(here).values(seen_at=now)).rowcount:
            connection.execute(
                insert(Presence).values(operator_id=operator_id, follower_id=follower_id, seen_at=now)
            )


def end_waiting(connection: Connection, follower_id: int, message_id: int) -> None:
    """Let a follower wait for nothing but what came after an operator's answer, which has been sent now."""
    later = select(func.min(MessageLog.created_at)).where(
        MessageLog.follower_id == follower_id,
        MessageLog.id > message_id,
        MessageLog.direction == Direction.IN,
        MessageLog.kind != "event",
    )
    connection.execute(
        update(Conversation)
        .where(Conversation.follower_id == follower_id, Conversation.waiting_since.is_not(None))
        .values(waiting_since=later.scalar_subquery())
    )


def _change(
    engine: Engine, actor: Actor, follower_ids: Sequence[int], decide: Callable[[Any], Decision | None]
) -> None:
    """Apply what `decide` says about each conversation, and record it in the audit log."""
    found = (
        select(Conversation.follower_id, Conversation.status, Conversation.assignee_id, Conversation.starred)
        .where(Conversation.follower_id.in_(follower_ids[:MAX_BULK]))
        .order_by(Conversation.follower_id)
    )
    with transaction(engine) as connection:
        for row in connection.execute(found.with_for_update()).all():
            decision = decide(row)
            if decision is None:
                continue
            this = Conversation.follower_id == row.follower_id
            connection.execute(update(Conversation).where(this).values(**decision.changes))
            if decision.note:
                audit.record(connection, actor, **vars(decision.note))


def _mentioned(connection: Connection, text: str) -> list[int]:
    names = set(re.findall(r"@([^\s@,，。:：;；!！?？]{1,64})", text))
    found = select(Operator.id).where(Operator.name.in_(names), Operator.disabled.is_(False))
    return list(connection.scalars(found)) if names else []
