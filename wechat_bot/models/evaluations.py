"""Questions with what is expected of the answers, and runs that ask them all."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import LONG_TEXT, ROW_ID, UTCDateTime


class EvaluationState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    """An operator ended it, or the budget of the day is used up."""
    FAILED = "failed"
    """It could not be carried out, see `EvaluationRun.error`."""


class StoredEvaluationCase(Model):
    """A question of an account, with what is expected."""

    __tablename__ = "evaluation_cases"
    __table_args__ = (Index(None, "account_id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`services.evaluations.definitions.Case`."""
    version: Mapped[int] = mapped_column(default=1)
    """Counts the changes of the definition, so that none is lost."""


class EvaluationRun(Model):
    """All questions of an account, asked once."""

    __tablename__ = "evaluation_runs"
    __table_args__ = (Index(None, "account_id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    state: Mapped[EvaluationState] = mapped_column(String(8), default=EvaluationState.RUNNING)
    draft: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The fields of the profile that are not those of the saved one; empty if none is."""
    profile_version: Mapped[int] = mapped_column(default=0)
    """The version of the saved profile; 0 if none was needed."""
    operator_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    operator: Mapped[str] = mapped_column(String(64))
    """The name of who started it, at that time."""
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """When it last got on, or ended."""
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    passed: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(String(255), default="")


class EvaluationResult(Model):
    """What a question of a run was answered."""

    __tablename__ = "evaluation_results"
    __table_args__ = (MYSQL,)

    run_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("evaluation_runs.id"), primary_key=True)
    case_id: Mapped[int] = mapped_column(ROW_ID, primary_key=True, autoincrement=False)
    """The question, which may be deleted meanwhile."""
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The question as it was asked."""
    failures: Mapped[list[list[str]]] = mapped_column(JSON)
    """What is not as expected: `services.evaluations.definitions.Failure` and details; empty if it passed."""
    outcome: Mapped[str] = mapped_column(String(16))
    answer: Mapped[str] = mapped_column(LONG_TEXT)
    rule_id: Mapped[int | None] = mapped_column(ROW_ID)
    """The rule that answers instead of the model."""
    passages: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    milliseconds: Mapped[int] = mapped_column(default=0)
    tokens: Mapped[int] = mapped_column(default=0)
