"""Reads the questions of an account's evaluation, its runs, and how two runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from ...models import EvaluationResult, EvaluationRun, EvaluationState, StoredEvaluationCase
from . import definitions
from .definitions import Case


@dataclass(frozen=True)
class CaseEntry:
    """A question as it is stored."""

    id: int
    version: int
    case: Case


@dataclass(frozen=True)
class Result:
    """What a question of a run was answered, and in the run before it."""

    case: Case
    now: Any
    before: Any
    """None if the run before did not ask it."""

    @property
    def passed(self) -> bool:
        return not self.now.failures

    @property
    def change(self) -> str:
        """``better`` or ``worse`` than in the run before; else empty."""
        if self.before is None or bool(self.before.failures) == bool(self.now.failures):
            return ""
        return "better" if self.passed else "worse"


def load(connection: Connection, account_id: int) -> list[CaseEntry]:
    """Return the questions of an account, in the order in which they were made."""
    return [_entry(row) for row in connection.execute(_cases(account_id).order_by(StoredEvaluationCase.id))]


def find(connection: Connection, account_id: int, case_id: int) -> CaseEntry | None:
    """Return a question of an account, or None."""
    row = connection.execute(_cases(account_id).where(StoredEvaluationCase.id == case_id)).one_or_none()
    return _entry(row) if row else None


def _cases(account_id: int) -> Select[Any]:
    columns = StoredEvaluationCase.id, StoredEvaluationCase.version, StoredEvaluationCase.definition
    return select(*columns).where(StoredEvaluationCase.account_id == account_id)


def _entry(row: Row[Any]) -> CaseEntry:
    return CaseEntry(row.id, row.version, definitions.read(row.definition))


# Runs


def runs(connection: Connection, account_id: int, limit: int) -> Sequence[Row[Any]]:
    """Return the newest runs of an account, as rows with the columns of `EvaluationRun`."""
    return connection.execute(_runs(account_id).order_by(EvaluationRun.id.desc()).limit(limit)).all()


def find_run(connection: Connection, account_id: int, run_id: int) -> Row[Any] | None:
    """Return a run of an account, or None."""
    return connection.execute(_runs(account_id).where(EvaluationRun.id == run_id)).one_or_none()


def run_before(connection: Connection, account_id: int, run_id: int) -> Row[Any] | None:
    """Return the last run before one that asked all questions, or None."""
    done = EvaluationRun.id < run_id, EvaluationRun.state == EvaluationState.DONE
    found = _runs(account_id).where(*done).order_by(EvaluationRun.id.desc())
    return connection.execute(found.limit(1)).one_or_none()


def results(connection: Connection, run_id: int, before_id: int | None) -> list[Result]:
    """Return the results of a run, compared with those of another: first what is worse, then what failed."""
    found = select(EvaluationResult.__table__).where(EvaluationResult.run_id.in_([run_id, before_id or 0]))
    now: dict[int, Any] = {}
    before: dict[int, Any] = {}
    for row in connection.execute(found.order_by(EvaluationResult.case_id)):
        (now if row.run_id == run_id else before)[row.case_id] = row
    compared = [
        Result(definitions.read(row.definition), row, before.get(case_id)) for case_id, row in now.items()
    ]
    return sorted(compared, key=lambda result: (result.change != "worse", result.passed))


def _runs(account_id: int) -> Select[Any]:
    return select(EvaluationRun.__table__).where(EvaluationRun.account_id == account_id)
