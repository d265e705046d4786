"""Questions of followers that nobody answered, grouped by likeness, with their counts by week."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import ROW_ID, UTCDateTime


class QuestionState(StrEnum):
    """What became of a group of questions."""

    OPEN = "open"
    DONE = "done"
    """Something answers it now. The group is open again once a follower asks in vain."""
    IGNORED = "ignored"
    """It needs no answer. The group stays so, however often it is asked."""


class QuestionGroup(Model):
    """Questions that are like the first one of them."""

    __tablename__ = "question_groups"
    __table_args__ = (Index(None, "account_id", "state", "week", "week_asked", "id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    text: Mapped[str] = mapped_column(String(200))
    """The beginning of the first question, with which others are compared."""
    message_id: Mapped[int] = mapped_column(ROW_ID)
    """The message of the first question."""
    state: Mapped[QuestionState] = mapped_column(String(8), default=QuestionState.OPEN)
    reason: Mapped[str] = mapped_column(String(255), default="")
    """Why it is ignored."""
    changed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When an operator set the state last."""
    reopened_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When a follower asked again after it was done; None if it is open for another reason."""
    assignee_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    asked: Mapped[int] = mapped_column(default=0)
    """Questions of all weeks."""
    first_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_at: Mapped[datetime] = mapped_column(UTCDateTime)
    week: Mapped[date]
    """The Monday of the week of the last question."""
    week_asked: Mapped[int] = mapped_column(default=0)
    """Questions of that week."""


class QuestionToken(Model):
    """An entry of the index by which the groups are found that a text may be like."""

    __tablename__ = "question_tokens"
    __table_args__ = (Index(None, "group_id"), MYSQL)

    account_id: Mapped[int] = mapped_column(ROW_ID, primary_key=True, autoincrement=False)
    token: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    group_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("question_groups.id"), primary_key=True)
    size: Mapped[int]
    """Tokens of the group's text."""


class QuestionWeek(Model):
    """How often the questions of a group were asked in a week."""

    __tablename__ = "question_weeks"
    __table_args__ = (MYSQL,)

    group_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("question_groups.id"), primary_key=True)
    week: Mapped[date] = mapped_column(primary_key=True)
    """The Monday."""
    asked: Mapped[int]


class QuestionExample(Model):
    """A message of the log that is a question of a group."""

    __tablename__ = "question_examples"
    __table_args__ = (Index(None, "group_id", "message_id"), MYSQL)

    message_id: Mapped[int] = mapped_column(ROW_ID, primary_key=True, autoincrement=False)
    group_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("question_groups.id"))
