"""Changes who answers a follower: the bot, nobody yet, or an operator (``docs/decisions/0015-handover.md``).

Every change locks the row of the follower, which the row of a new message locks, too, as its foreign key. So
an answer of the bot is stored either before a person has the conversation, or not at all.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, and_, exists, func, insert, not_, or_, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import (
    UNSETTLED,
    BotSession,
    Conversation,
    ConversationStatus,
    Follower,
    Handover,
    HandoverEvent,
    MessageLog,
    MessageState,
    Operator,
    StoredHandoverPolicy,
)
from ...models.rows import new_row
from ...routing import strict_json
from ...routing.handover_policy import HandoverPolicy
from ...routing.ownership import HandoverReason, Owner
from .. import audit
from ..accounts import locked_account
from ..audit import Actor
from ..decisions import Decision
from ..followers.profiles import subject
from . import decisions

MAX_NOTE = 1000
"""Upper limit of what an operator says when giving a conversation back, in characters."""
_STEP = 100
"""Conversations that change their owner in one round because of the time."""


class OwnerChanged(Exception):
    """Somebody else changed the owner of the conversation meanwhile; `operator` has it now, or nobody."""

    def __init__(self, operator: str) -> None:
        super().__init__(operator)
        self.operator = operator


class PolicyChanged(Exception):
    """Somebody else changed the policy meanwhile."""


@dataclass(frozen=True)
class Ownership:
    """Who answers a follower: the columns of `models.Handover`, or their values where there is no row."""

    owner: Owner = Owner.BOT
    operator_id: int | None = None
    until: datetime | None = None
    version: int = 0
    """0 without a row."""


@dataclass(frozen=True)
class StoredPolicy:
    """The policy of an account."""

    policy: HandoverPolicy = HandoverPolicy()
    version: int = 0
    """How often it was changed."""


# Operators


@retry_conflicts
def take(engine: Engine, actor: Actor, account_id: int, follower_id: int, seen: int | None = None) -> None:
    """Give a conversation to the operator who acts, open it, and assign it to them.

    :param seen: the version that the operator has seen; None: whatever it is.
    :raises OwnerChanged: if another operator has taken it since.
    :raises LookupError: when the account has no such follower.
    """
    assert actor.operator_id
    now = database_now()
    with transaction(engine) as connection:
        before = _locked(connection, account_id, follower_id)
        is_others = before.owner == Owner.OPERATOR and before.operator_id != actor.operator_id
        if is_others and seen is not None and seen != before.version:
            raise OwnerChanged(_name(connection, before.operator_id))
        idle = load_policy(connection, account_id).policy.idle
        whom = subject(follower_id)
        decision = decisions.take(before, actor.operator_id, HandoverReason.TAKEN, now, idle, whom)
        _apply(connection, account_id, follower_id, before, decision, now)
        if decision.note:
            audit.record(connection, actor, **vars(decision.note))
        opened = {"status": ConversationStatus.OPEN, "assignee_id": actor.operator_id}
        this = Conversation.follower_id == follower_id
        connection.execute(update(Conversation).where(this).values(opened))


@retry_conflicts
def give_back(engine: Engine, actor: Actor, account_id: int, follower_id: int, note: str = "") -> bool:
    """Give a conversation back to the bot; False if the bot has it already.

    :param note: what colleagues and the assistant should know about what was said.
    :raises ValueError: if the note is longer than `MAX_NOTE`.
    :raises LookupError: when the account has no such follower.
    """
    note = note.replace("\x00", "").strip()
    if len(note) > MAX_NOTE:
        raise ValueError(f"a note has at most {MAX_NOTE} characters")
    now = database_now()
    with transaction(engine) as connection:
        before = _locked(connection, account_id, follower_id)
        decision = decisions.give_back(before, HandoverReason.GIVEN_BACK, now, subject(follower_id))
        if decision is None or decision.note is None:
            return False
        _apply(connection, account_id, follower_id, before, decision, now, actor.operator_id, note)
        audit.record(connection, actor, **vars(decision.note), detail=note)
    return True


# In the transactions of others


def keep_for_operator(connection: Connection, account_id: int, follower_id: int, operator_id: int) -> None:
    """Let an operator who answers have the conversation, unless a colleague has it."""
    now = database_now()
    before = _locked(connection, account_id, follower_id)
    idle = load_policy(connection, account_id).policy.idle
    whom = subject(follower_id)
    decision = decisions.take(before, operator_id, HandoverReason.ANSWERED, now, idle, whom)
    _apply(connection, account_id, follower_id, before, decision, now)


def end(
    connection: Connection, account_id: int, follower_ids: Collection[int], operator_id: int | None
) -> None:
    """Give conversations that are done back to the bot."""
    now = database_now()
    owned = select(Handover.follower_id).where(Handover.follower_id.in_(follower_ids), _is_owned())
    for follower_id in connection.scalars(owned.order_by(Handover.follower_id)).all():
        before = _locked(connection, account_id, follower_id)
        decision = decisions.give_back(before, HandoverReason.DONE, now, subject(follower_id))
        if decision:
            _apply(connection, account_id, follower_id, before, decision, now, operator_id)


def call_person(
    connection: Connection, account_id: int, follower_id: int, reason: HandoverReason, now: datetime
) -> None:
    """Let a follower wait for a person, unless one answers or is awaited already."""
    before = _locked(connection, account_id, follower_id)
    if decision := decisions.call_person(before, reason, now):
        _apply(connection, account_id, follower_id, before, decision, now)


def owned_by_persons(connection: Connection, follower_ids: Collection[int]) -> set[int]:
    """Return those followers whom a person answers, or is to answer, until the transaction ends."""
    followers = select(Follower.id).where(Follower.id.in_(follower_ids)).order_by(Follower.id)
    connection.execute(followers.with_for_update(read=True, key_share=True))
    owned = select(Handover.follower_id).where(Handover.follower_id.in_(follower_ids), _is_owned())
    return set(connection.scalars(owned))


# Policies


def load_policy(connection: Connection, account_id: int) -> StoredPolicy:
    """Return the policy of an account."""
    found = select(StoredHandoverPolicy.definition, StoredHandoverPolicy.version)
    row = connection.execute(found.where(StoredHandoverPolicy.account_id == account_id)).one_or_none()
    return (
        StoredPolicy(strict_json.read(HandoverPolicy, row.definition), row.version) if row else StoredPolicy()
    )


@retry_conflicts
def save_policy(engine: Engine, actor: Actor, account_id: int, seen: int, policy: HandoverPolicy) -> None:
    """Change the policy of an account.

    :param seen: the version that was edited.
    :raises PolicyChanged: if it is not the present one.
    """
    definition = strict_json.to_json(policy)
    with locked_account(engine, account_id) as connection:
        before = load_policy(connection, account_id)
        if before.version != seen:
            raise PolicyChanged
        if before.policy == policy:
            return
        values = {"definition": definition, "version": seen + 1}
        if seen:
            this = StoredHandoverPolicy.account_id == account_id
            connection.execute(update(StoredHandoverPolicy).where(this).values(values))
        else:
            connection.execute(insert(StoredHandoverPolicy).values(account_id=account_id, **values))
        old = strict_json.to_json(before.policy)
        audit.record(connection, actor, "handover_policy_changed", before=old, after=definition)


# What time does


def end_expired(engine: Engine, account_id: int, now: datetime) -> int:
    """Give conversations back to the bot whose operators or followers were silent too long; return how many.

    A conversation that needs an operator is still open afterwards. Operators keep conversations in which what
    they said waits for the follower's next message.
    """
    ended = 0
    with engine.connect() as connection:
        policy = load_policy(connection, account_id).policy
        expired = connection.execute(_expired(account_id, policy, now)).all()
    for row in expired:
        reason = HandoverReason.IDLE if row.owner == Owner.OPERATOR else HandoverReason.SILENT
        ended += _end_expired(engine, account_id, row, reason, now)
    return ended


def _expired(account_id: int, policy: HandoverPolicy, now: datetime) -> Any:
    undelivered = exists().where(
        MessageLog.follower_id == Handover.follower_id,
        UNSETTLED,
        MessageLog.state == MessageState.READY,
        MessageLog.operator_id.is_not(None),
    )
    idle = and_(Handover.owner == Owner.OPERATOR, Handover.until <= now, not_(undelivered))
    silence = now - policy.silence
    silent = and_(
        Handover.owner == Owner.WAITING, Handover.since <= silence, Follower.last_seen_at <= silence
    )
    return (
        select(Handover.follower_id, Handover.owner, Handover.until, Handover.version)
        .join(Follower, Follower.id == Handover.follower_id)
        .where(Handover.account_id == account_id, _is_owned(), or_(idle, silent))
        .limit(_STEP)
    )


@retry_conflicts
def _end_expired(
    engine: Engine, account_id: int, seen: Row[Any], reason: HandoverReason, now: datetime
) -> bool:
    """Give a conversation back; False if somebody has taken it, or has answered, since it was `seen`."""
    with transaction(engine) as connection:
        before = _locked(connection, account_id, seen.follower_id)
        decision = decisions.give_back(before, reason, now, subject(seen.follower_id))
        if (before.version, before.until) != (seen.version, seen.until) or decision is None:
            return False
        _apply(connection, account_id, seen.follower_id, before, decision, now)
    return True


# Rows


def _is_owned() -> Any:
    return Handover.owner.in_([Owner.WAITING, Owner.OPERATOR])


def _locked(connection: Connection, account_id: int, follower_id: int) -> Any:
    """Return who answers a follower, and lock it, and the follower's messages, until the transaction ends.

    :raises LookupError: when the account has no such follower.
    """
    this = select(Follower.id).where(Follower.id == follower_id, Follower.account_id == account_id)
    if connection.scalar(this.with_for_update()) is None:
        raise LookupError(follower_id)
    found = select(Handover.owner, Handover.operator_id, Handover.until, Handover.version)
    row = connection.execute(found.where(Handover.follower_id == follower_id)).one_or_none()
    return row or Ownership()


def _apply(
    connection: Connection,
    account_id: int,
    follower_id: int,
    before: Any,
    decision: Decision,
    now: datetime,
    operator_id: int | None = None,
    note: str = "",
) -> None:
    """Store a decision about the owner, with an event if it changes; `operator_id` is who gives it back."""
    changes = dict(decision.changes)
    owner = changes.get("owner")
    if before.version:
        this = (Handover.follower_id == follower_id, Handover.version == before.version)
        changed = connection.execute(update(Handover).where(*this).values(changes))
        assert changed.rowcount == 1, "the row is locked"
    else:
        connection.execute(
            insert(Handover), new_row(Handover, follower_id=follower_id, account_id=account_id, **changes)
        )
    if owner is None:
        return
    event = {
        "owner": owner,
        "operator_id": changes["operator_id"] or operator_id,
        "reason": changes["reason"],
    }
    where = {"account_id": account_id, "follower_id": follower_id}
    connection.execute(insert(HandoverEvent), new_row(HandoverEvent, **where, **event, at=now, note=note))
    if before.owner == Owner.BOT:
        _withhold(connection, follower_id)


def _withhold(connection: Connection, follower_id: int) -> None:
    """Keep back the answers of the bot that have not been sent yet."""
    of_follower = MessageLog.follower_id == follower_id
    unsent = MessageLog.state.in_([MessageState.QUEUED, MessageState.READY])
    of_bot = (of_follower, UNSETTLED, unsent, MessageLog.operator_id.is_(None))
    connection.execute(update(MessageLog).where(*of_bot).values(state=MessageState.WITHHELD))
    ready = select(func.min(MessageLog.id)).where(of_follower, MessageLog.state == MessageState.READY)
    held = (BotSession.follower_id == follower_id, BotSession.ready_id.is_not(None))
    connection.execute(update(BotSession).where(*held).values(ready_id=ready.scalar_subquery()))


def _name(connection: Connection, operator_id: int | None) -> str:
    return connection.scalar(select(Operator.name).where(Operator.id == operator_id)) or ""


def queue_length(connection: Connection, account_id: int) -> int:
    """Return how many followers of an account wait for a person."""
    waiting = (Handover.account_id == account_id, Handover.owner == Owner.WAITING)
    return connection.scalar(select(func.count()).select_from(Handover).where(*waiting)) or 0


def select_changes(follower_id: int) -> Select[*tuple[Any, ...]]:
    """Select the changes of the owner of a conversation, with the names of the operators who made them."""
    return (
        select(
            HandoverEvent.id,
            HandoverEvent.at.label("created_at"),
            HandoverEvent.note.label("text"),
            Operator.name.label("author"),
            HandoverEvent.owner,
            HandoverEvent.reason,
        )
        .outerjoin(Operator, Operator.id == HandoverEvent.operator_id)
        .where(HandoverEvent.follower_id == follower_id)
    )
