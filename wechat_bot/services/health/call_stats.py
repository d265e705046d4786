"""Statistics of calls of the API and of requests to the callback, for the health page.

Counts are collected in memory and written every few seconds, so that neither callers nor attackers cause
load on the database.
"""

from __future__ import annotations

import atexit
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock, Timer
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Engine, case, delete, insert, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import CallbackOutcome, CallCount
from ...models.projections import hour_of
from ...wechat.api import Call

log = logging.getLogger(__name__)

VERIFIED = "verified"
"""Outcome of a request that verified the URL. Refused requests have the values of `Refusal`."""
PARTLY_UNDERSTOOD = "partly_understood"
"""Outcome of a push with elements that are missing or invalid, which its detail names."""
PROGRAM_FAULT = "program_fault"
"""Outcome of a request whose handling raised an unexpected exception. Its detail is the type and place."""
WRITE_DELAY = 5.0
"""Seconds that counts are collected in memory before they are written."""
RETENTION = timedelta(days=30)
"""Time for which the hourly counts of calls are kept."""
OTHER = "other"
"""Replaces paths that cannot be grouped, such as those of files."""
NO_ANSWER = -1000
"""Errcode of a call without a response. The platform's own errcodes are -1 or greater."""

_PATH = re.compile(r"/[a-z0-9_./-]{1,95}")
_MAX_KEYS = 1000
"""Maximum number of different calls in memory; further ones are counted under `OTHER`."""

_CallKey = tuple[int, str, int]


@dataclass(frozen=True)
class _CallCounts:
    calls: int
    milliseconds: int
    slowest: int
    last_at: datetime
    last_message: str


@dataclass(frozen=True)
class _RequestCounts:
    times: int
    first_at: datetime
    last_at: datetime
    detail: str


class MetricsRecorder(Protocol):
    """Counts the same events for a monitoring system; see `wechat_bot.metrics.Metrics`."""

    def record_push(self, kind: str, outcome: str, seconds: float) -> None: ...

    def record_request(self, outcome: str) -> None: ...

    def record_call(self, path: str, errcode: int, seconds: float) -> None: ...


class CallStats:
    """Collects the statistics of one account. Thread-safe; recording neither raises nor uses the database.

    :param metrics: receives the same events.
    """

    def __init__(
        self, engine: Engine, account_id: Callable[[], int], metrics: MetricsRecorder | None = None
    ) -> None:
        self._engine = engine
        self._account_id = account_id
        self._metrics = metrics
        self._lock = Lock()
        self._calls: dict[_CallKey, _CallCounts] = {}
        self._requests: dict[str, _RequestCounts] = {}
        self._timer: Timer | None = None
        self._pruned = 0

    def record_call(self, call: Call) -> None:
        """Count a call of the API that has ended."""
        path = call.path if _PATH.fullmatch(call.path) else OTHER
        errcode = NO_ANSWER if call.errmsg and not call.errcode else call.errcode
        now, milliseconds = database_now(), round(call.seconds * 1000)
        with self._lock:
            key = (hour_of(now), path if len(self._calls) < _MAX_KEYS else OTHER, errcode)
            before = self._calls.get(key, _CallCounts(0, 0, 0, now, ""))
            self._calls[key] = _CallCounts(
                before.calls + 1,
                before.milliseconds + milliseconds,
                max(before.slowest, milliseconds),
                now,
                call.errmsg[:255],
            )
            self._schedule_write()
        if self._metrics:
            self._metrics.record_call(path, errcode, call.seconds)

    def record_request(self, outcome: str, detail: str = "") -> None:
        """Count a request to the callback that is no ordinary push. `detail` must contain nothing secret."""
        now = database_now()
        with self._lock:
            before = self._requests.get(outcome, _RequestCounts(0, now, now, ""))
            self._requests[outcome] = _RequestCounts(before.times + 1, before.first_at, now, detail[:255])
            self._schedule_write()
        if self._metrics:
            self._metrics.record_request(outcome)

    def record_push(self, kind: str, outcome: str, seconds: float) -> None:
        """Report a push that has been handled. Its message is in the history, so only metrics count it."""
        if self._metrics:
            self._metrics.record_push(kind, outcome, seconds)

    def flush(self) -> None:
        """Write the collected counts. They are lost if the database cannot be written."""
        with self._lock:
            calls, self._calls = self._calls, {}
            requests, self._requests = self._requests, {}
            self._timer = None
        atexit.unregister(self.flush)
        try:
            if calls or requests:
                self._write(self._account_id() if calls else 0, calls, requests)
        except SQLAlchemyError as error:
            log.warning("call_stats are lost: %s", str(error).partition("\n")[0])

    def close(self) -> None:
        """Write the collected counts, and cancel the pending write."""
        with self._lock:
            timer = self._timer
        if timer:
            timer.cancel()
            self.flush()

    def _schedule_write(self) -> None:
        if self._timer is None:
            self._timer = Timer(WRITE_DELAY, self.flush)
            self._timer.daemon = True
            self._timer.start()
            atexit.register(self.flush)

    @retry_conflicts
    def _write(
        self, account_id: int, calls: dict[_CallKey, _CallCounts], requests: dict[str, _RequestCounts]
    ) -> None:
        now = hour_of(database_now())
        with transaction(self._engine) as connection:
            for (hour, path, errcode), counts in sorted(calls.items()):
                key = {"account_id": account_id, "hour": hour, "path": path, "errcode": errcode}
                changes = {
                    "calls": CallCount.calls + counts.calls,
                    "milliseconds": CallCount.milliseconds + counts.milliseconds,
                    "slowest": _greater(CallCount.slowest, counts.slowest),
                    "last_at": _greater(CallCount.last_at, counts.last_at),
                    "last_message": counts.last_message,
                }
                _upsert(connection, CallCount, key, vars(counts), changes)
            for outcome, seen in sorted(requests.items()):
                changes = {
                    "times": CallbackOutcome.times + seen.times,
                    "last_at": _greater(CallbackOutcome.last_at, seen.last_at),
                    "detail": seen.detail,
                }
                _upsert(connection, CallbackOutcome, {"outcome": outcome}, vars(seen), changes)
            if calls and self._pruned < now:
                old = CallCount.hour < now - int(RETENTION.total_seconds()) // 3600
                connection.execute(delete(CallCount).where(CallCount.account_id == account_id, old))
        if calls:
            self._pruned = now


def _upsert(
    connection: Connection, model: Any, key: dict[str, Any], new: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Apply `changes` to the row with `key`, which is inserted with the values `new` if there is none."""
    this = [getattr(model, name) == value for name, value in key.items()]
    if not connection.execute(update(model).where(*this).values(changes)).rowcount:
        connection.execute(insert(model).values(key | new))


def _greater(column: InstrumentedAttribute[Any], value: Any) -> ColumnElement[Any]:
    """Return the greater value, since another process may have written a later one."""
    return case((column > value, column), else_=value)
