"""Decides the state of a group of questions: what another question does to it, and what operators change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from ...models import QuestionState
from ..decisions import AuditNote, Decision


def after_question(group: Mapping[str, Any], at: datetime, week: date) -> Decision:
    """Decide what a question at a time, in the week that begins on the Monday `week`, does to its group.

    A group that is done is open again if the question is newer than that.
    """
    changes: dict[str, Any] = {
        "asked": group["asked"] + 1,
        "first_at": min(group["first_at"], at),
        "last_at": max(group["last_at"], at),
    }
    if week > group["week"]:
        changes |= {"week": week, "week_asked": 1}
    elif week == group["week"]:
        changes["week_asked"] = group["week_asked"] + 1
    if group["state"] == QuestionState.DONE and at > group["changed_at"]:
        changes |= {"state": QuestionState.OPEN, "reopened_at": at}
    return Decision(changes)


def change_state(
    group: Any, state: QuestionState, reason: str, subject: str, now: datetime
) -> Decision | None:
    """Decide what an operator's new state changes; None if the group has it already.

    `reason` is why it is ignored; other states have none.
    """
    reason = reason if state is QuestionState.IGNORED else ""
    if (group.state, group.reason) == (state, reason):
        return None
    note = AuditNote(
        "question_state_changed", subject, group.state, f"{state}: {reason}" if reason else state
    )
    return Decision({"state": state, "reason": reason, "changed_at": now, "reopened_at": None}, note)


def assign(before: int | None, operator_id: int | None, name: str | None, subject: str) -> Decision | None:
    """Decide what giving a group to an operator, or to nobody, changes; None for no change.

    `name` is that of the operator, for the audit log.
    """
    if before == operator_id:
        return None
    note = AuditNote("question_assigned", subject, before, operator_id if name is None else name)
    return Decision({"assignee_id": operator_id}, note)
