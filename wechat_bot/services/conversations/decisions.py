"""Decides the state of conversations: what messages do to it, and what operators change."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from ...models import ConversationStatus, Direction, MessageState
from ...routing.ownership import HandoverReason, Owner, is_left_to_person
from ..decisions import AuditNote, Decision


def after_message(
    status: ConversationStatus, waiting_since: datetime | None, message: Any, catch_alls: Collection[str]
) -> Decision:
    """Decide what a message of the log does to a conversation.

    A message of the follower opens it when it `needs_operator`, or when the follower was to write again. The
    first such message is the one since which the follower waits. An answer of an operator ends the waiting
    once it is sent; events change nothing.
    """
    if message.direction == Direction.OUT:
        is_answer = message.operator_id is not None and message.state == MessageState.SENT
        return Decision(waiting(None) if is_answer else {})
    asked = status == ConversationStatus.WAITING and not message.event
    if not asked and not needs_operator(message, catch_alls):
        return Decision({})
    return Decision({"status": ConversationStatus.OPEN, **({} if waiting_since else waiting(message))})


def needs_operator(message: Any, catch_alls: Collection[str]) -> bool:
    """Whether nobody has answered a message of a follower.

    Its handler failed or is one of `catch_alls`, or left it to a person.
    """
    failed = message.state in {MessageState.FAILED, MessageState.LATE}
    is_left = message.origin in catch_alls or is_left_to_person(message.origin)
    return not message.event and (failed or is_left)


def waiting(message: Any | None) -> dict[str, Any]:
    """Return the columns of a conversation whose follower waits since `message`; None: not at all."""
    if message is None:
        return {"waiting_since": None, "waiting_id": None}
    return {"waiting_since": message.created_at, "waiting_id": message.id}


def change_status(
    before: ConversationStatus, after: ConversationStatus, subject: str, now: datetime
) -> Decision | None:
    """Decide what an operator's new status changes; None if the conversation has it already.

    A conversation that is opened by hand waits from `now` on.
    """
    if before == after:
        return None
    since = now if after is ConversationStatus.OPEN else None
    note = AuditNote("status_changed", subject, before, after)
    return Decision({"status": after, "waiting_since": since, "waiting_id": None}, note)


def assign(before: int | None, operator_id: int | None, name: str | None, subject: str) -> Decision | None:
    """Decide what giving a conversation to an operator, or to nobody, changes; None for no change.

    `name` is that of the operator, for the audit log.
    """
    if before == operator_id:
        return None
    after = operator_id if name is None else name
    return Decision({"assignee_id": operator_id}, AuditNote("assigned", subject, before, after))


def star(before: bool, starred: bool, subject: str) -> Decision | None:
    """Decide what marking a conversation for all operators, or no longer, changes; None for no change."""
    if before == starred:
        return None
    return Decision({"starred": starred}, AuditNote("starred", subject, before, starred))


def call_person(before: Any, reason: HandoverReason, now: datetime) -> Decision | None:
    """Decide what calling a person changes; None if a person answers or is awaited already.

    `before` and those of the other functions have the columns of `models.Handover`.
    """
    if before.owner != Owner.BOT:
        return None
    return Decision(_owned(before, Owner.WAITING, reason, now))


def take(
    before: Any, operator_id: int, reason: HandoverReason, now: datetime, idle: timedelta, subject: str
) -> Decision:
    """Decide what an operator changes who takes a conversation, or answers.

    An answer leaves the conversation to the operator who has it. Either lasts for `idle` from now on.
    """
    is_kept = before.owner == Owner.OPERATOR and (
        before.operator_id == operator_id or reason is HandoverReason.ANSWERED
    )
    if is_kept:
        return Decision({"until": now + idle})
    changes = _owned(before, Owner.OPERATOR, reason, now) | {"operator_id": operator_id, "until": now + idle}
    note = AuditNote("conversation_taken", subject, before.owner, Owner.OPERATOR)
    return Decision(changes, note if reason is HandoverReason.TAKEN else None)


def give_back(before: Any, reason: HandoverReason, now: datetime, subject: str) -> Decision | None:
    """Decide what giving a conversation back to the bot changes; None if the bot has it already."""
    if before.owner == Owner.BOT:
        return None
    note = AuditNote("conversation_given_back", subject, before.owner, Owner.BOT)
    changes = _owned(before, Owner.BOT, reason, now)
    return Decision(changes, note if reason is HandoverReason.GIVEN_BACK else None)


def _owned(before: Any, owner: Owner, reason: HandoverReason, now: datetime) -> dict[str, Any]:
    """Return the columns of a conversation that changes its owner."""
    return {
        "owner": owner,
        "operator_id": None,
        "reason": reason,
        "since": now,
        "until": None,
        "alerted_at": None,
        "version": before.version + 1,
    }
