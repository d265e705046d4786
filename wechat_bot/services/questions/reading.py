"""Reads the groups of unanswered questions: the list, one group, and how people answered it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select
from sqlalchemy.orm import aliased

from ...models import (
    Direction,
    Follower,
    MessageLog,
    MessageState,
    Operator,
    QuestionExample,
    QuestionGroup,
    QuestionState,
    QuestionWeek,
)

WEEKS = 12
"""Weeks that are counted, the present one included."""
ANSWERED_WITHIN = timedelta(hours=24)
"""Time after a question within which what an operator writes is taken for the answer."""
MAX_EXAMPLES = 20
"""The newest questions of a group, among whose answers one is suggested."""
_NEWEST = QuestionGroup.week, QuestionGroup.week_asked, QuestionGroup.id
NOBODY = 0
"""In a filter: groups that are assigned to no operator."""


@dataclass(frozen=True)
class QuestionFilter:
    """Conditions on groups of an account."""

    state: QuestionState | None = QuestionState.OPEN
    """None: every state."""
    assignee_id: int | None = None
    """`NOBODY` for groups without an operator; None: any."""
    text: str = ""

    def select(self, account_id: int) -> Select[Any]:
        """Select groups with their assignee: the last week first, and in it what was asked most."""
        found = select(*QuestionGroup.__table__.columns, Operator.name.label("assignee"))
        found = found.outerjoin(Operator, Operator.id == QuestionGroup.assignee_id)
        return found.where(*self._conditions(account_id)).order_by(*(column.desc() for column in _NEWEST))

    def _conditions(self, account_id: int) -> list[ColumnElement[bool]]:
        conditions = [QuestionGroup.account_id == account_id]
        if self.state:
            conditions.append(QuestionGroup.state == self.state)
        if self.assignee_id == NOBODY:
            conditions.append(QuestionGroup.assignee_id.is_(None))
        elif self.assignee_id:
            conditions.append(QuestionGroup.assignee_id == self.assignee_id)
        if self.text:
            conditions.append(QuestionGroup.text.icontains(self.text, autoescape=True))
        return conditions


@dataclass(frozen=True)
class Position:
    """The place of a group in the list."""

    week: date
    asked: int
    id: int

    def is_before(self) -> ColumnElement[bool]:
        """Return the condition for the groups behind it."""
        week, asked, number = _NEWEST
        same_week = week == self.week
        return or_(
            week < self.week,
            and_(same_week, asked < self.asked),
            and_(same_week, asked == self.asked, number < self.id),
        )


def page(
    connection: Connection, account_id: int, chosen: QuestionFilter, after: Position | None, limit: int
) -> Sequence[Row[Any]]:
    """Return the groups behind a position of the list."""
    found = chosen.select(account_id).limit(limit)
    return connection.execute(found.where(after.is_before()) if after else found).all()


def find(connection: Connection, account_id: int, group_id: int) -> Row[Any] | None:
    """Return a group of an account, or None."""
    found = QuestionFilter(state=None).select(account_id).where(QuestionGroup.id == group_id)
    return connection.execute(found).one_or_none()


def counts(connection: Connection, account_id: int) -> dict[QuestionState, int]:
    """Return how many groups of an account have each state."""
    found = select(QuestionGroup.state, func.count()).where(QuestionGroup.account_id == account_id)
    counted = {row.state: row[1] for row in connection.execute(found.group_by(QuestionGroup.state))}
    return {state: counted.get(state, 0) for state in QuestionState}


def weeks(connection: Connection, group_ids: Collection[int], monday: date) -> dict[int, dict[date, int]]:
    """Return how often each group was asked in the last weeks, of which `monday` begins the last."""
    all_weeks = [monday - timedelta(weeks=ago) for ago in reversed(range(WEEKS))]
    found = {group_id: dict.fromkeys(all_weeks, 0) for group_id in group_ids}
    columns = QuestionWeek.group_id, QuestionWeek.week, QuestionWeek.asked
    counted = select(*columns).where(
        QuestionWeek.group_id.in_(group_ids), QuestionWeek.week.between(all_weeks[0], monday)
    )
    for group_id, week, asked in connection.execute(counted):
        found[group_id][week] = asked
    return found


# Examples, and what operators answered


@dataclass(frozen=True)
class Example:
    """A question as a follower wrote it, and what an operator answered."""

    message: Any
    answer: Any
    """None if no operator did within `ANSWERED_WITHIN`."""


def examples(
    connection: Connection, group_id: int, *, before: int | None = None, limit: int
) -> list[Example]:
    """Return the newest questions of a group, or those before a message of the log."""
    columns = MessageLog.id, MessageLog.text, MessageLog.received_at, MessageLog.follower_id
    names = Follower.openid, Follower.alias
    found = select(*columns, *names, _first_answer().label("answer_id")).select_from(QuestionExample)
    found = found.join(MessageLog, MessageLog.id == QuestionExample.message_id)
    found = found.outerjoin(Follower, Follower.id == MessageLog.follower_id)
    found = found.where(QuestionExample.group_id == group_id)
    if before:
        found = found.where(QuestionExample.message_id < before)
    rows = connection.execute(found.order_by(QuestionExample.message_id.desc()).limit(limit)).all()
    answers = _answers(connection, [row.answer_id for row in rows if row.answer_id])
    return [Example(row, _in_time(row, answers.get(row.answer_id))) for row in rows]


_Answer = aliased(MessageLog)


def _first_answer() -> ColumnElement[int | None]:
    """Return a column with the first text that an operator sent to the follower after a message."""
    found = select(_Answer.id).where(
        _Answer.follower_id == MessageLog.follower_id,
        _Answer.id > MessageLog.id,
        _Answer.direction == Direction.OUT,
        _Answer.kind == "text",
        _Answer.operator_id.is_not(None),
        _Answer.state == MessageState.SENT,
    )
    return found.order_by(_Answer.id).limit(1).correlate(MessageLog).scalar_subquery()


def _answers(connection: Connection, ids: Collection[int]) -> dict[int, Any]:
    columns = MessageLog.id, MessageLog.text, MessageLog.created_at, Operator.name.label("operator")
    found = select(*columns).outerjoin(Operator, Operator.id == MessageLog.operator_id)
    return {row.id: row for row in connection.execute(found.where(MessageLog.id.in_(ids)))}


def _in_time(question: Any, answer: Any) -> Any:
    return answer if answer and answer.created_at <= question.received_at + ANSWERED_WITHIN else None


def suggested_answers(connection: Connection, group_ids: Collection[int]) -> dict[int, str]:
    """Return the texts of the suggested answers of those groups that have one."""
    found = {
        group_id: suggested_answer(examples(connection, group_id, limit=MAX_EXAMPLES))
        for group_id in group_ids
    }
    return {group_id: answer.text for group_id, answer in found.items() if answer}


def suggested_answer(found: Sequence[Example]) -> Any:
    """Return the newest answer of an operator to one of the questions, or None."""
    return next((each.answer for each in found if each.answer), None)
