"""How pushes are written down: many at once, in one transaction, by whichever thread comes first.

Every thread queues its exchange. The first one writes what is queued and wakes the others, of which the
first writes what was queued meanwhile. So concurrent pushes share one transaction and one flush to the
disk, and no thread of this process waits in the database's own queue (``docs/decisions/0002``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from threading import Lock

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from ...database.compiled import Connections
from ...database.transactions import is_transient, transaction
from .exchanges import Exchange, FastPath, RecordOutcome, record

RECORD_TIMEOUT = 3.0
"""Seconds after which a push that could not be recorded is given up; less than it may take."""

FAILURE_RETENTION = 60
"""So long a failure counts when nothing was written since: no news may mean that no pushes come."""

_BATCH = 200
_RACES = 3
"""So often a new follower or message may turn out to be known to another process."""


class NotRecorded(Exception):
    """The database did not take it. Nothing of it was acknowledged."""


class _Pending:
    """An exchange that waits to be written, by this thread or another."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.outcome: RecordOutcome | None = None
        self.error: Exception | None = None
        self.turn = Lock()
        """Released when it has been written, or when its thread shall write."""
        self.turn.acquire()

    @property
    def done(self) -> bool:
        return self.outcome is not None or self.error is not None


class Recorder:
    """Writes exchanges of one account. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connections = Connections(engine, limit=1)
        self._plain = FastPath(engine, self._connections)
        self._queue: list[_Pending] = []
        self._writing = False
        self._lock = Lock()
        """Guards the queue and who writes; held for no longer than it takes to look."""
        self._error: Exception | None = None
        self._failed_at = 0.0

    @property
    def last_error(self) -> Exception | None:
        """Why the last exchanges could not be written, if that was not long ago."""
        recent = time.monotonic() - self._failed_at < FAILURE_RETENTION
        return self._error if recent else None

    def close(self) -> None:
        """Close the connections of `engine`."""
        self._connections.close()

    def record(self, exchange: Exchange) -> RecordOutcome:
        """Write `exchange` unless its message is known; NotRecorded when the database does not take it."""
        pending = _Pending(exchange)
        deadline = time.monotonic() + RECORD_TIMEOUT
        with self._lock:
            self._queue.append(pending)
            writes, self._writing = not self._writing, True
        if not writes and not pending.turn.acquire(timeout=RECORD_TIMEOUT):
            self._withdraw(pending)
        if not pending.done:
            self._write_queued(deadline - 1)
        if pending.outcome is None:
            raise NotRecorded(str(pending.error).partition("\n")[0]) from pending.error
        return pending.outcome

    def _withdraw(self, pending: _Pending) -> None:
        """Give up waiting: NotRecorded, unless it is this thread's turn at this very moment."""
        with self._lock:
            if pending.turn.acquire(blocking=False):
                return
            if pending in self._queue:
                self._queue.remove(pending)
        raise NotRecorded("the database is too slow")

    def _write_queued(self, deadline: float) -> None:
        """Write what is queued, of this thread too; the next in the queue writes what comes meanwhile."""
        with self._lock:
            batch, self._queue = self._queue[:_BATCH], self._queue[_BATCH:]
        try:
            self._write(batch, deadline)
        finally:
            with self._lock:
                self._writing = bool(self._queue)
                for pending in batch[1:] + self._queue[:1]:
                    pending.turn.release()

    def _write(self, batch: Sequence[_Pending], deadline: float) -> None:
        try:
            outcomes = self._commit([pending.exchange for pending in batch], deadline)
        except Exception as error:  # noqa: BLE001 (nobody may wait in vain)
            if len(batch) == 1 or isinstance(error, OperationalError):
                self._error, self._failed_at = error, time.monotonic()
                for pending in batch:
                    pending.error = error
            else:  # one of them is to blame, and the others need not suffer
                for pending in batch:
                    self._write([pending], deadline)
        else:
            self._error = None
            for pending, outcome in zip(batch, outcomes, strict=True):
                pending.outcome = outcome

    def _commit(self, exchanges: Sequence[Exchange], deadline: float) -> list[RecordOutcome]:
        if all(self._plain.takes(exchange) for exchange in exchanges):
            try:
                self._plain.record(exchanges)
                return [RecordOutcome.RECORDED] * len(exchanges)
            except SQLAlchemyError:  # perhaps one is known: look closer
                pass
        return self._commit_carefully(exchanges, deadline)

    def _commit_carefully(self, exchanges: Sequence[Exchange], deadline: float) -> list[RecordOutcome]:
        """One transaction; run again when another process was in the way, or the database was restarted."""
        for attempt in count(1):
            try:
                with transaction(self._engine) as connection:
                    return record(connection, exchanges)
            except DBAPIError as error:
                lost_race = isinstance(error, IntegrityError) and attempt < _RACES
                if not (lost_race or is_transient(error)) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        raise AssertionError("unreachable")
