"""Runs that import what an account has at the platform: one at a time, in a job of the worker."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, Select, insert, select, update

from ..database.clock import database_now
from ..database.transactions import retry_conflicts, write
from ..jobs import Enqueue, Job
from ..models import ImportState, KnowledgeImport, MaterialImport
from ..models.rows import new_row
from ..wechat.errors import APIError
from . import audit
from .accounts import locked_account
from .audit import Actor

log = logging.getLogger(__name__)

Table = type[MaterialImport] | type[KnowledgeImport]

RUN_TIMEOUT = timedelta(minutes=3)
"""How long a run may take for one step before it counts as interrupted."""


class ImportRuns:
    """The runs of one kind: rows of `table`, of which `job` continues one.

    `action` is what the audit log calls the start of one.
    """

    def __init__(self, engine: Engine, table: Table, job: Job, action: str, enqueue: Enqueue) -> None:
        self._engine = engine
        self._table = table
        self._job = job
        self._action = action
        self._enqueue = enqueue

    def start(self, actor: Actor, account_id: int) -> None:
        """Let a worker begin a run, unless one goes on."""
        if run_id := self._begin(actor, account_id):
            self._enqueue(self._job, run_id, 0)

    @retry_conflicts
    def _begin(self, actor: Actor, account_id: int) -> int | None:
        with locked_account(self._engine, account_id) as connection:
            newest = connection.execute(newest_run(self._table, account_id)).one_or_none()
            if newest and newest.state == ImportState.RUNNING:
                return None
            who = {"operator_id": actor.operator_id, "operator": actor.name[:64]}
            row = new_row(self._table, account_id=account_id, seen_at=database_now(), **who)
            [run_id] = connection.execute(insert(self._table).values(row)).inserted_primary_key or (0,)
            audit.record(connection, actor, self._action, f"import:{run_id}")
            return int(run_id)

    def resume_interrupted(self, account_id: int, now: datetime) -> None:
        """Let a worker continue a run that was interrupted."""
        with self._engine.connect() as connection:
            newest = connection.execute(newest_run(self._table, account_id)).one_or_none()
        if newest and newest.state == ImportState.RUNNING and newest.seen_at < now - RUN_TIMEOUT:
            self.update(newest.id, seen_at=now)
            self._enqueue(self._job, newest.id, 0)

    def find_running(self, run_id: int) -> Row[Any] | None:
        """Return a run that has not ended."""
        found = select(self._table.__table__).where(self._table.id == run_id)
        with self._engine.connect() as connection:
            run = connection.execute(found).one()
        return run if run.state == ImportState.RUNNING else None

    def update(self, run_id: int, **values: Any) -> None:
        """Store how far a run is."""
        this = update(self._table).where(self._table.id == run_id)
        write(self._engine, this.values({"seen_at": database_now(), **values}))

    @contextmanager
    def ending(self, run_id: int) -> Iterator[None]:
        """End a run with the block, which may raise an `APIError`."""
        try:
            yield
        except APIError as error:
            log.warning("%s: not everything could be imported: %s", self._action, error)
            failed = {"errcode": error.errcode or None, "error": str(error)[:255]}
            self.update(run_id, state=ImportState.FAILED, **failed)
        else:
            self.update(run_id, state=ImportState.DONE)


def newest_run(table: Table, account_id: int) -> Select[Any]:
    """Select the run of an account that was begun last."""
    runs = select(table.__table__).where(table.account_id == account_id)
    return runs.order_by(table.id.desc()).limit(1)
