"""Decides the state of conversations: what messages do to it, and what operators change."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from ...models import ConversationStatus, Direction, MessageState
from ..decisions import AuditNote, Decision


def after_message(
    status: ConversationStatus, waiting_since: datetime | None, message: Any, catch_alls: Collection[str]
) -> Decision:
    """Decide what a message of the log does to a conversation.

    A message of the follower opens it when its handler failed or is one of `catch_alls`, or when the follower
    was to write again. An answer of an operator ends the waiting once it is sent; events change nothing.
    """
    if message.direction == Direction.OUT:
        is_answer = message.operator_id is not None and message.state == MessageState.SENT
        return Decision({"waiting_since": None} if is_answer else {})
    failed = message.state in {MessageState.FAILED, MessageState.LATE}
    needs_operator = failed or message.origin in catch_alls or status == ConversationStatus.WAITING
    if message.event or not needs_operator:
        return Decision({})
    return Decision({"status": ConversationStatus.OPEN, "waiting_since": waiting_since or message.created_at})


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
    return Decision({"status": after, "waiting_since": since}, note)


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
