"""Changes the questions of an account's evaluation: each change in one transaction with the audit log."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from ...database.transactions import retry_conflicts
from ...models import StoredEvaluationCase
from ...routing import strict_json
from .. import audit
from ..accounts import locked_account
from ..audit import Actor
from .definitions import Case
from .reading import CaseEntry, find

MAX_CASES = 300
"""Questions of an account, so that a run ends within the hour."""


class TooManyCases(Exception):
    """The account would have more than `MAX_CASES`; nothing was written."""


class CaseNotFound(LookupError):
    """The account has no such question."""


class CaseConflict(Exception):
    """Somebody else has changed the question meanwhile; nothing was written."""

    def __init__(self, current: CaseEntry) -> None:
        super().__init__(f"question {current.id} has version {current.version} by now")
        self.current = current


@retry_conflicts
def add(engine: Engine, actor: Actor, account_id: int, added: Sequence[Case]) -> list[int]:
    """Add questions, and return their ids.

    :raises TooManyCases: if the account would have too many; none is added then.
    """
    with locked_account(engine, account_id) as connection:
        of_account = StoredEvaluationCase.account_id == account_id
        count = connection.scalar(select(func.count()).select_from(StoredEvaluationCase).where(of_account))
        if (count or 0) + len(added) > MAX_CASES:
            raise TooManyCases
        ids = []
        for case in added:
            values = {"account_id": account_id, "definition": strict_json.to_json(case), "version": 1}
            inserted = connection.execute(insert(StoredEvaluationCase), values)
            ids.append(int(inserted.inserted_primary_key[0]))  # type: ignore[index]
            audit.record(connection, actor, "case_added", subject(ids[-1]), after=values["definition"])
        return ids


@retry_conflicts
def save(engine: Engine, actor: Actor, account_id: int, case_id: int, version: int, case: Case) -> None:
    """Replace `version` of a question.

    :raises CaseNotFound: if there is no such question.
    :raises CaseConflict: if it has another version by now.
    """
    with locked_account(engine, account_id) as connection:
        current = _existing(connection, account_id, case_id)
        if current.version != version:
            raise CaseConflict(current)
        if current.case == case:
            return
        before, after = strict_json.to_json(current.case), strict_json.to_json(case)
        changed = update(StoredEvaluationCase).where(StoredEvaluationCase.id == case_id)
        connection.execute(changed.values(definition=after, version=version + 1))
        audit.record(connection, actor, "case_edited", subject(case_id), before=before, after=after)


@retry_conflicts
def remove(engine: Engine, actor: Actor, account_id: int, case_id: int) -> None:
    """Delete a question. The runs that asked it keep their results.

    :raises CaseNotFound: if there is no such question.
    """
    with locked_account(engine, account_id) as connection:
        before = strict_json.to_json(_existing(connection, account_id, case_id).case)
        connection.execute(delete(StoredEvaluationCase).where(StoredEvaluationCase.id == case_id))
        audit.record(connection, actor, "case_deleted", subject(case_id), before=before)


def subject(case_id: int) -> str:
    """Return the name of a question in the audit log."""
    return f"case:{case_id}"


def _existing(connection: Connection, account_id: int, case_id: int) -> CaseEntry:
    found = find(connection, account_id, case_id)
    if found is None:
        raise CaseNotFound
    return found
