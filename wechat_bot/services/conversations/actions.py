"""What operators do with conversations. Every change of a conversation is in the audit log."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, insert, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import (
    AuditEntry,
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
from . import decisions, handover

MAX_NOTE = 4000
"""Upper limit of a note in characters."""
REPEATED = timedelta(minutes=10)
"""Time during which the same note again is a repeated request."""


@retry_conflicts
def set_status(
    engine: Engine, actor: Actor, account_id: int, follower_ids: Sequence[int], status: ConversationStatus
) -> int:
    """Set the status of conversations, and return how many had another one.

    A follower whose conversation is opened waits from now on. One that is done is given back to the bot.
    """
    now = database_now()

    def decide(row: Any) -> Decision | None:
        return decisions.change_status(row.status, status, subject(row.follower_id), now)

    def end(connection: Connection) -> None:
        if status is ConversationStatus.DONE:
            handover.end(connection, account_id, follower_ids[:MAX_BULK], actor.operator_id)

    return _change(engine, actor, account_id, follower_ids, decide, end)


@retry_conflicts
def assign(
    engine: Engine, actor: Actor, account_id: int, follower_ids: Sequence[int], operator_id: int | None
) -> int:
    """Assign conversations to an operator, None: to nobody, and return how many were somebody else's.

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

    return _change(engine, actor, account_id, follower_ids, decide)


@retry_conflicts
def star(engine: Engine, actor: Actor, account_id: int, follower_ids: Sequence[int], starred: bool) -> int:
    """Set or remove the star of conversations, which all operators see, and return how many changed."""

    def decide(row: Any) -> Decision | None:
        return decisions.star(row.starred, starred, subject(row.follower_id))

    return _change(engine, actor, account_id, follower_ids, decide)


@retry_conflicts
def add_note(engine: Engine, actor: Actor, account_id: int, follower_id: int, text: str) -> int:
    """Store a note, with a mention for each operator named as ``@name``, and return its id.

    A note that repeats the operator's last one within `REPEATED` is that note: a page repeats a request whose
    response it did not get.

    :raises ValueError: when the text is empty or longer than `MAX_NOTE`.
    :raises LookupError: when the account has no such follower.
    """
    text = text.replace("\x00", "").strip()
    if not text or len(text) > MAX_NOTE:
        raise ValueError(f"a note has 1 to {MAX_NOTE} characters")
    with transaction(engine) as connection:
        known = select(Follower.id).where(Follower.id == follower_id, Follower.account_id == account_id)
        if connection.scalar(known) is None:
            raise LookupError(follower_id)
        if (last := _last_note(connection, actor, follower_id)) and last.text == text:
            return int(last.id)
        note = {"follower_id": follower_id, "operator_id": actor.operator_id, "text": text}
        added = connection.execute(insert(Note).values(**note, created_at=database_now()))
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
            .values(seen_at=database_now())
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


def end_waiting(
    connection: Connection, follower_id: int, message_id: int, catch_alls: Collection[str]
) -> None:
    """Let a follower wait for nothing but what came after an operator's answer, which has been sent now.

    Of that, only what nobody answered counts: `catch_alls` are the origins that answer nothing.
    """
    names = ("id", "created_at", "event", "state", "origin")
    later = select(*(getattr(MessageLog, name) for name in names)).where(
        MessageLog.follower_id == follower_id,
        MessageLog.id > message_id,
        MessageLog.direction == Direction.IN,
    )
    messages = connection.execute(later.order_by(MessageLog.id))
    unanswered = (message for message in messages if decisions.needs_operator(message, catch_alls))
    connection.execute(
        update(Conversation)
        .where(Conversation.follower_id == follower_id, Conversation.waiting_since.is_not(None))
        .values(decisions.waiting(next(unanswered, None)))
    )


def _change(
    engine: Engine,
    actor: Actor,
    account_id: int,
    follower_ids: Sequence[int],
    decide: Callable[[Any], Decision | None],
    before: Callable[[Connection], None] = lambda _connection: None,
) -> int:
    """Apply what `decide` says about each of an account's conversations, record it, and count the changes.

    All its decisions change the same columns. `before` runs first, in the same transaction.
    """
    found = (
        select(Conversation.follower_id, Conversation.status, Conversation.assignee_id, Conversation.starred)
        .where(Conversation.follower_id.in_(follower_ids[:MAX_BULK]), Conversation.account_id == account_id)
        .order_by(Conversation.follower_id)
    )
    with transaction(engine) as connection:
        before(connection)
        rows = connection.execute(found.with_for_update()).all()
        decided = {row.follower_id: decision for row in rows if (decision := decide(row))}
        if not decided:
            return 0
        this = Conversation.follower_id == bindparam("id")
        changes = [{**decision.changes, "id": follower_id} for follower_id, decision in decided.items()]
        connection.execute(update(Conversation).where(this), changes)
        notes = [decision.note for decision in decided.values() if decision.note]
        connection.execute(insert(AuditEntry), [audit.new_entry(actor, **vars(note)) for note in notes])
    return len(decided)


def _last_note(connection: Connection, actor: Actor, follower_id: int) -> Any:
    """Return the newest note of an operator on a follower; None if it is older than `REPEATED`."""
    recent = Note.created_at > database_now() - REPEATED
    own = (Note.follower_id == follower_id, Note.operator_id == actor.operator_id, recent)
    return connection.execute(select(Note.id, Note.text).where(*own).order_by(Note.id.desc())).first()


def _mentioned(connection: Connection, text: str) -> list[int]:
    names = set(re.findall(r"@([^\s@,，。:：;；!！?？]{1,64})", text))
    found = select(Operator.id).where(Operator.name.in_(names), Operator.disabled.is_(False))
    return list(connection.scalars(found)) if names else []
