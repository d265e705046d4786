"""The record of all questions to the assistant: costs, outcomes, and what operators think of answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, case, func, insert, select, update
from sqlalchemy.exc import StatementError

from ...database.transactions import retry_conflicts, transaction
from ...models import ModelAnswer, Outcome
from ...models.rows import Row as Values
from .. import audit
from ..audit import Actor
from .guards import Spent


@dataclass(eq=False)
class _Entry:
    values: Values
    id: int = 0


class AnswerLog:
    """Inserts rows of `ModelAnswer`, those of concurrent threads in one transaction. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock, self._turn = Lock(), Lock()
        self._pending: list[_Entry] = []

    def insert(self, values: Values) -> int:
        """Insert a row, and return its id."""
        entry = _Entry(values)
        with self._lock:
            self._pending.append(entry)
        with self._turn:
            if not entry.id:  # or another thread has inserted it
                self._insert_pending(entry)
        return entry.id

    def _insert_pending(self, entry: _Entry) -> None:
        with self._lock:
            batch, self._pending = self._pending, []
        try:
            self._insert_all(batch)
        except StatementError:  # of one of them, perhaps
            with self._lock:
                self._pending += [each for each in batch if each is not entry]
            self._insert_all([entry])

    @retry_conflicts
    def _insert_all(self, batch: Sequence[_Entry]) -> None:
        ids: list[int] = []
        with transaction(self._engine) as connection:
            for entry in batch:
                inserted = connection.execute(insert(ModelAnswer).values(entry.values))
                ids += inserted.inserted_primary_key or ()
        for entry, row_id in zip(batch, ids, strict=True):
            entry.id = int(row_id)


def spent(
    connection: Connection, account_id: int, follower_id: int | None, now: datetime, zone: tzinfo
) -> Spent:
    """Return what answers have taken until `now`, on the day of `zone`. Those under way are not counted."""
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    today = ModelAnswer.created_at >= midnight
    tokens = func.sum(ModelAnswer.prompt_tokens + ModelAnswer.completion_tokens)
    of_account = select(tokens, func.sum(ModelAnswer.cost)).where(ModelAnswer.account_id == account_id, today)
    used_tokens, yuan = connection.execute(of_account).one()
    last_minute, of_follower = 0, 0
    if follower_id is not None:
        since = now - timedelta(minutes=1)
        recent = func.sum(case((ModelAnswer.created_at > since, 1), else_=0))
        count = select(recent, func.sum(case((today, 1), else_=0))).where(
            ModelAnswer.follower_id == follower_id,
            ModelAnswer.created_at >= min(since, midnight),
            ModelAnswer.outcome != Outcome.OVER_BUDGET,
        )
        last_minute, of_follower = connection.execute(count).one()
    return Spent(int(last_minute or 0), int(of_follower or 0), int(used_tokens or 0), float(yuan or 0))


# For operators


def find(connection: Connection, account_id: int, answer_id: int) -> Row[Any] | None:
    """Return a row of `ModelAnswer` of the account, or None."""
    found = _of(account_id).where(ModelAnswer.id == answer_id)
    return connection.execute(found).one_or_none()


def by_keys(connection: Connection, account_id: int, keys: Collection[str]) -> dict[str, Row[Any]]:
    """Return the newest rows of answered messages, by the dedup keys of these."""
    if not keys:
        return {}
    found = _of(account_id).where(ModelAnswer.dedup_key.in_(keys)).order_by(ModelAnswer.id)
    return {row.dedup_key: row for row in connection.execute(found)}


def _of(account_id: int) -> Select[Any]:
    return select(ModelAnswer.__table__).where(ModelAnswer.account_id == account_id)


@retry_conflicts
def rate(engine: Engine, actor: Actor, account_id: int, answer_id: int, rating: int) -> None:
    """Store what an operator thinks of an answer: 1 good, -1 bad, 0 neither.

    :raises LookupError: if the account has no such answer.
    """
    this = ModelAnswer.id == answer_id, ModelAnswer.account_id == account_id
    with transaction(engine) as connection:
        before = connection.scalar(select(ModelAnswer.rating).where(*this).with_for_update())
        if before is None:
            raise LookupError(answer_id)
        if before == rating:
            return
        rated_by = actor.operator_id if rating else None
        connection.execute(update(ModelAnswer).where(*this).values(rating=rating, rated_by=rated_by))
        audit.record(
            connection, actor, "model_answer_rated", f"model_answer:{answer_id}", before=before, after=rating
        )
