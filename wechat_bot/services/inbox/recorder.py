"""Writes what the inbox writes, in batches: concurrent pushes of a process share one transaction.

Every thread queues its exchange or change. The first one writes all that is queued and wakes the others, of
which the first writes what was queued meanwhile. So concurrent pushes share one transaction and one flush to
the disk, and no two threads of this process compete for the database's lock (``docs/decisions/0002``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count
from threading import Lock
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from ...database.compiled import Connections
from ...database.transactions import is_transient, is_unavailable, transaction
from .exchanges import Exchange, RecordOutcome, record
from .fast_path import FastPath

T = TypeVar("T")
Change = Callable[[Connection], Any]
"""Changes rows in a transaction, which may run again."""

RECORD_TIMEOUT = 3.0
"""Seconds after which a push that could not be recorded is given up; less than the platform waits."""

FAILURE_RETENTION = 60
"""Seconds for which a failure counts when nothing was written since, as there may be no pushes."""

_BATCH_SIZE = 200
_MAX_RACES = 3
"""How often a transaction runs again because another process inserted the same message or follower."""


class NotRecorded(Exception):
    """The database did not take the exchange or change, of which nothing was acknowledged."""


def is_passing(error: Exception) -> bool:
    """Whether the database is at fault, so that the same may succeed later."""
    return isinstance(error, NotRecorded) or is_unavailable(error)


class _Pending:
    """An exchange or change that waits to be written, by this thread or another."""

    def __init__(self, work: Exchange | Change) -> None:
        self.work = work
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None
        self.turn = Lock()
        """Released when the work has been written, or when its thread shall write."""
        self.turn.acquire()


class Recorder:
    """Writes for the inbox of one account. Thread-safe.

    `engine` must be for its use alone: so a connection is always free for it, whatever handlers and pages do.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connections = Connections(engine, limit=1)
        self._fast_path = FastPath(engine, self._connections)
        self._queue: list[_Pending] = []
        self._writing = False
        self._lock = Lock()
        """Guards `_queue` and `_writing`; never held while the database is used."""
        self._error: Exception | None = None
        self._failed_at = 0.0

    @property
    def last_error(self) -> Exception | None:
        """The error of the database because of which the last exchanges failed, if it is recent."""
        recent = time.monotonic() - self._failed_at < FAILURE_RETENTION
        return self._error if recent else None

    def close(self) -> None:
        """Close the connections of `engine`."""
        self._connections.close()

    def record(self, exchange: Exchange) -> RecordOutcome:
        """Write `exchange` unless its message is known.

        :raises NotRecorded: if the database does not take it.
        :raises Exception: any other error is a fault of the program, and concerns this exchange alone.
        """
        return cast(RecordOutcome, self._perform(exchange))

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run `change` in a transaction, and return its result.

        :raises NotRecorded: if the database does not take it.
        :raises Exception: any other error is a fault of the program, and concerns this change alone.
        """
        return cast(T, self._perform(change))

    def _perform(self, work: Exchange | Change) -> Any:
        pending = _Pending(work)
        deadline = time.monotonic() + RECORD_TIMEOUT
        with self._lock:
            self._queue.append(pending)
            writes, self._writing = not self._writing, True
        if not writes and not pending.turn.acquire(timeout=RECORD_TIMEOUT):
            self._withdraw(pending)
        if not pending.done:
            self._write_queued(deadline - 1)
        if pending.error is None:
            return pending.result
        if is_unavailable(pending.error):
            raise NotRecorded(str(pending.error).partition("\n")[0]) from pending.error
        raise pending.error

    def _withdraw(self, pending: _Pending) -> None:
        """Stop waiting, unless this thread is asked to write at this very moment.

        :raises NotRecorded: when the time is up.
        """
        with self._lock:
            if pending.turn.acquire(blocking=False):
                return
            if pending in self._queue:
                self._queue.remove(pending)
        raise NotRecorded("the database is too slow")

    def _write_queued(self, deadline: float) -> None:
        """Write what is queued; the next thread in the queue writes what comes meanwhile."""
        with self._lock:
            batch, self._queue = self._queue[:_BATCH_SIZE], self._queue[_BATCH_SIZE:]
        try:
            self._write(batch, deadline)
        finally:
            with self._lock:
                self._writing = bool(self._queue)
                for pending in batch[1:] + self._queue[:1]:
                    pending.turn.release()

    def _write(self, batch: Sequence[_Pending], deadline: float) -> None:
        """Write a batch; if it fails by the fault of one piece of work, write each by itself."""
        try:
            results = self._commit([pending.work for pending in batch], deadline)
        except Exception as error:  # noqa: BLE001 (the other threads must not wait in vain)
            if is_unavailable(error):
                self._error, self._failed_at = error, time.monotonic()
            elif len(batch) > 1:
                for pending in batch:
                    self._write([pending], deadline)
                return
            for pending in batch:
                pending.error, pending.done = error, True
        else:
            self._error = None
            for pending, result in zip(batch, results, strict=True):
                pending.result, pending.done = result, True

    def _commit(self, batch: Sequence[Exchange | Change], deadline: float) -> Sequence[Any]:
        exchanges = [work for work in batch if isinstance(work, Exchange)]
        if len(exchanges) == len(batch) and all(map(self._fast_path.accepts, exchanges)):
            try:
                if self._fast_path.record(exchanges):
                    return [RecordOutcome.RECORDED] * len(exchanges)
            except SQLAlchemyError:  # perhaps one is known: `record` finds out
                pass
        return self._commit_any(batch, exchanges, deadline)

    def _commit_any(
        self, batch: Sequence[Exchange | Change], exchanges: Sequence[Exchange], deadline: float
    ) -> Sequence[Any]:
        """Write in one transaction, which runs again after a conflict or a short loss of the database."""
        for attempt in count(1):
            try:
                with transaction(self._engine) as connection:
                    again = attempt > 1
                    outcomes = iter(record(connection, exchanges, after_conflict=again) if exchanges else ())
                    return [next(outcomes) if isinstance(w, Exchange) else w(connection) for w in batch]
            except DBAPIError as error:
                lost_race = isinstance(error, IntegrityError) and attempt < _MAX_RACES
                if not (lost_race or is_transient(error)) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02 * attempt)  # each attempt may open a connection
        raise AssertionError("unreachable")
