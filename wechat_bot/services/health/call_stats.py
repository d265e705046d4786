"""Statistics of calls of the API, of pushes, and of other requests to the callback.

Counts are collected in memory and written every few seconds, so that neither callers nor attackers cause
load on the database.
"""

from __future__ import annotations

import atexit
import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock, Timer
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Engine, case, delete, insert, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import CallbackOutcome, CallCount, PushCount
from ...models.health import SLOT_SECONDS
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

SLOW_SECONDS = 4.0
"""Seconds after which a push is counted as slow. The platform waits for 5."""
PUSH_RETENTION = timedelta(days=29)
"""Time for which the counts of pushes are kept: four weeks are compared with now."""

_PATH = re.compile(r"/[a-z0-9_./-]{1,95}")
_MAX_KEYS = 1000
"""Maximum number of different calls in memory; further ones are counted under `OTHER`."""

_CallKey = tuple[int, str, int]


class PushOutcome(StrEnum):
    """How a push ended."""

    ANSWERED = "answered"
    """With what its message is answered, at once."""
    WAITED = "waited"
    """With the answer of a slow handler, for which it waited."""
    RETRIED = "retried"
    """With the answer to an earlier push of its message."""
    HELD = "held"
    """With the answer to an earlier message, which could not be sent otherwise."""
    FETCHED = "fetched"
    """With a page of an answer, because its follower tapped the link."""
    PART = "part"
    """With the beginning of an answer that is still being written."""
    LINK = "link"
    """With a link by which the answer can be fetched."""
    CUSTOMER_SERVICE = "customer_service"
    """With nothing. What there is to say is sent as a customer-service message."""
    LEFT = "left"
    """Without an answer, so that the platform pushes again and the next push can have it."""
    TOO_LATE = "too_late"
    """Its turn came after the platform's time-out."""
    NOT_RECORDED = "not_recorded"
    """The database did not take the message."""
    FAULT = "fault"
    """The program raised an unexpected exception."""

    @property
    def is_failure(self) -> bool:
        return self in _FAILURES

    @property
    def may_wait(self) -> bool:
        """Whether such a push waits for a slow handler as long as the platform allows."""
        return self in _WAITING


_FAILURES = {PushOutcome.TOO_LATE, PushOutcome.NOT_RECORDED, PushOutcome.FAULT}
_WAITING = {
    PushOutcome.WAITED,
    PushOutcome.RETRIED,
    PushOutcome.FETCHED,
    PushOutcome.PART,
    PushOutcome.LINK,
    PushOutcome.CUSTOMER_SERVICE,
    PushOutcome.LEFT,
}


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

    def record_push(self, account: str, kind: str, outcome: PushOutcome, seconds: float) -> None: ...

    def record_request(self, account: str, outcome: str) -> None: ...

    def record_call(self, account: str, path: str, errcode: int, seconds: float) -> None: ...


class CallStats:
    """Collects the statistics of one account. Thread-safe; recording neither raises nor uses the database.

    :param app_id: names the account in metrics; empty if it has none.
    :param metrics: receives the same events.
    """

    def __init__(
        self,
        engine: Engine,
        account_id: Callable[[], int],
        app_id: str = "",
        metrics: MetricsRecorder | None = None,
    ) -> None:
        self._engine = engine
        self._account_id = account_id
        self._app_id = app_id
        self._metrics = metrics
        self.also_tell: Callable[[Call], None] | None = None
        """Is told of each call, too."""
        self._lock = Lock()
        self._calls: dict[_CallKey, _CallCounts] = {}
        self._requests: dict[str, _RequestCounts] = {}
        self._pushes: Counter[tuple[int, str]] = Counter()
        """Columns of `PushCount` by slot and name."""
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
            self._metrics.record_call(self._app_id, path, errcode, call.seconds)
        if self.also_tell:
            self.also_tell(call)

    def record_request(self, outcome: str, detail: str = "") -> None:
        """Count a request to the callback that is no ordinary push. `detail` must contain nothing secret."""
        now = database_now()
        with self._lock:
            before = self._requests.get(outcome, _RequestCounts(0, now, now, ""))
            self._requests[outcome] = _RequestCounts(before.times + 1, before.first_at, now, detail[:255])
            self._schedule_write()
        if self._metrics:
            self._metrics.record_request(self._app_id, outcome)

    def record_push(self, kind: str, outcome: PushOutcome, seconds: float) -> None:
        """Count a push that has been handled."""
        slot = int(time.time()) // SLOT_SECONDS
        with self._lock:
            self._pushes[slot, "pushes"] += 1
            if outcome.is_failure:
                self._pushes[slot, "failed"] += 1
            if seconds > SLOW_SECONDS and not outcome.may_wait:
                self._pushes[slot, "slow"] += 1
            self._schedule_write()
        if self._metrics:
            self._metrics.record_push(self._app_id, kind, outcome, seconds)

    def flush(self) -> None:
        """Write the collected counts.

        If the database cannot be written, those of pushes are kept, since that is when pushes fail; the
        others are lost.
        """
        with self._lock:
            calls, self._calls = self._calls, {}
            requests, self._requests = self._requests, {}
            pushes, self._pushes = self._pushes, Counter()
            self._timer = None
        atexit.unregister(self.flush)
        try:
            if calls or requests or pushes:
                self._write(self._account_id() if calls or pushes else 0, calls, requests, pushes)
        except SQLAlchemyError as error:
            log.warning("call_stats are lost: %s", str(error).partition("\n")[0])
            with self._lock:
                self._pushes.update(pushes)

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
        self,
        account_id: int,
        calls: dict[_CallKey, _CallCounts],
        requests: dict[str, _RequestCounts],
        pushes: Counter[tuple[int, str]],
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
            for slot in sorted({slot for slot, _ in pushes}):
                new = {name: pushes[slot, name] for name in ("pushes", "failed", "slow")}
                changes = {name: getattr(PushCount, name) + count for name, count in new.items()}
                _upsert(connection, PushCount, {"account_id": account_id, "slot": slot}, new, changes)
            if account_id and self._pruned < now:
                _prune(connection, account_id, now)
        if account_id:
            self._pruned = now


def _prune(connection: Connection, account_id: int, hour: int) -> None:
    """Delete what is older than it is kept."""
    last_hour = hour - RETENTION // timedelta(hours=1)
    calls = CallCount.account_id == account_id, CallCount.hour < last_hour
    connection.execute(delete(CallCount).where(*calls))
    last_slot = hour * 3600 // SLOT_SECONDS - PUSH_RETENTION // timedelta(seconds=SLOT_SECONDS)
    pushes = PushCount.account_id == account_id, PushCount.slot < last_slot
    connection.execute(delete(PushCount).where(*pushes))


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
