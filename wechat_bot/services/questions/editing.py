"""What operators do with groups of unanswered questions. Every change is in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, false, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import Operator, QuestionGroup, QuestionState
from .. import audit
from ..audit import Actor
from ..decisions import Decision
from . import decisions

MAX_REASON = 255


class GroupNotFound(LookupError):
    """The account has no such group."""


class ReasonMissing(ValueError):
    """A group is ignored for a reason of 1 to `MAX_REASON` characters."""


class OperatorNotFound(LookupError):
    """There is no such operator to whom a group can be assigned."""


def set_state(
    engine: Engine, actor: Actor, account_id: int, group_id: int, state: QuestionState, reason: str = ""
) -> None:
    """Set what became of a group.

    :raises ReasonMissing: if it is to be ignored without a reason.
    :raises GroupNotFound: if there is no such group.
    """
    reason = " ".join(reason.replace("\x00", "").split())
    if state is QuestionState.IGNORED and not 0 < len(reason) <= MAX_REASON:
        raise ReasonMissing
    now = database_now()

    def decide(row: Any) -> Decision | None:
        return decisions.change_state(row, state, reason, subject(group_id), now)

    _change(engine, actor, account_id, group_id, decide)


def assign(engine: Engine, actor: Actor, account_id: int, group_id: int, operator_id: int | None) -> None:
    """Assign a group to an operator; None: to nobody.

    :raises OperatorNotFound: if there is no such operator.
    :raises GroupNotFound: if there is no such group.
    """
    name = None
    if operator_id is not None:
        known = select(Operator.name).where(Operator.id == operator_id, Operator.disabled == false())
        with engine.connect() as connection:
            name = connection.scalar(known)
        if name is None:
            raise OperatorNotFound(operator_id)

    def decide(row: Any) -> Decision | None:
        return decisions.assign(row.assignee_id, operator_id, name, subject(group_id))

    _change(engine, actor, account_id, group_id, decide)


def subject(group_id: int) -> str:
    """Return the name of a group in the audit log."""
    return f"question:{group_id}"


@retry_conflicts
def _change(
    engine: Engine, actor: Actor, account_id: int, group_id: int, decide: Callable[[Any], Decision | None]
) -> None:
    this = QuestionGroup.id == group_id, QuestionGroup.account_id == account_id
    with transaction(engine) as connection:
        locked = select(*QuestionGroup.__table__.columns).where(*this).with_for_update()
        row = connection.execute(locked).one_or_none()
        if row is None:
            raise GroupNotFound
        decision = decide(row)
        if decision and (note := decision.note):
            connection.execute(update(QuestionGroup).where(*this).values(dict(decision.changes)))
            audit.record(connection, actor, note.action, note.subject, before=note.before, after=note.after)
