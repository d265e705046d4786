"""How calls of the API went, and what requests to the callback were refused for: counted for operators.

Counts gather in memory and are written some seconds later, so that neither a caller nor an attacker makes
the database work.
"""

from __future__ import annotations

import atexit
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock, Timer
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Engine, case, delete, insert, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute

from ...database.transactions import retry_conflicts, transaction
from ...models import CallbackOutcome, CallCount
from ...wechat.api import Call

log = logging.getLogger(__name__)

VERIFIED = "verified"
"""The outcome of a request that verified the URL; the others are those of `Refusal`."""
WRITE_DELAY = 5.0
"""So long counts wait in memory."""
RETENTION = timedelta(days=30)
"""So long calls are remembered, by the hour."""
OTHER = "other"
"""The path of calls whose own says nothing, such as those to a file."""
NO_ANSWER = -1000
"""Stands for the errcode of a call that got no answer; the platform's own are -1, 0 or more."""

_PATH = re.compile(r"/[a-z0-9_./-]{1,95}")
_MOST = 1000

_CallKey = tuple[int, str, int]


@dataclass(frozen=True)
class _Calls:
    calls: int
    milliseconds: int
    slowest: int
    last_at: datetime
    last_message: str

    def plus(self, later: _Calls) -> _Calls:
        return _Calls(
            self.calls + later.calls,
            self.milliseconds + later.milliseconds,
            max(self.slowest, later.slowest),
            later.last_at,
            later.last_message,
        )


@dataclass(frozen=True)
class _Requests:
    times: int
    first_at: datetime
    last_at: datetime
    detail: str


class MetricsRecorder(Protocol):
    """Counts the same for a monitoring system; see `wechat_bot.metrics.Metrics`."""

    def record_push(self, kind: str, outcome: str, seconds: float) -> None: ...

    def record_request(self, outcome: str) -> None: ...

    def record_call(self, path: str, errcode: int, seconds: float) -> None: ...


class CallStats:
    """What happened to one account. Thread-safe; no method raises or waits for the database.

    `metrics` are told the same.
    """

    def __init__(
        self, engine: Engine, account_id: Callable[[], int], metrics: MetricsRecorder | None = None
    ) -> None:
        self._engine = engine
        self._account_id = account_id
        self._metrics = metrics
        self._lock = Lock()
        self._calls: dict[_CallKey, _Calls] = {}
        self._requests: dict[str, _Requests] = {}
        self._timer: Timer | None = None
        self._pruned = 0

    def record_call(self, call: Call) -> None:
        """A call of the API has ended."""
        path = call.path if _PATH.fullmatch(call.path) else OTHER
        now, milliseconds = datetime.now(UTC), round(call.seconds * 1000)
        one = _Calls(1, milliseconds, milliseconds, now, call.errmsg[:255])
        with self._lock:
            key = (_hour(now), path if len(self._calls) < _MOST else OTHER, _errcode(call))
            before = self._calls.get(key)
            self._calls[key] = before.plus(one) if before else one
            self._write_soon()
        if self._metrics:
            self._metrics.record_call(path, _errcode(call), call.seconds)

    def record_request(self, outcome: str, detail: str = "") -> None:
        """A request to the callback has ended without a message; `detail` has nothing that is secret."""
        now = datetime.now(UTC)
        with self._lock:
            before = self._requests.get(outcome, _Requests(0, now, now, ""))
            self._requests[outcome] = _Requests(before.times + 1, before.first_at, now, detail[:255])
            self._write_soon()
        if self._metrics:
            self._metrics.record_request(outcome)

    def record_push(self, kind: str, outcome: str, seconds: float) -> None:
        """A push has been answered, or left for the next one. Its message is in the history."""
        if self._metrics:
            self._metrics.record_push(kind, outcome, seconds)

    def flush(self) -> None:
        """Write what has gathered. What the database does not take now is lost."""
        with self._lock:
            calls, self._calls = self._calls, {}
            requests, self._requests = self._requests, {}
            self._timer = None
        atexit.unregister(self.flush)
        try:
            if calls or requests:
                self._write(calls, requests)
        except SQLAlchemyError as error:
            log.warning("call_stats are lost: %s", str(error).partition("\n")[0])

    def close(self) -> None:
        """Write what has gathered now, and nothing later."""
        with self._lock:
            timer = self._timer
        if timer:
            timer.cancel()
            self.flush()

    def _write_soon(self) -> None:
        if self._timer is None:
            self._timer = Timer(WRITE_DELAY, self.flush)
            self._timer.daemon = True
            self._timer.start()
            atexit.register(self.flush)

    def _write(self, calls: dict[_CallKey, _Calls], requests: dict[str, _Requests]) -> None:
        account_id = self._account_id() if calls else 0
        self._add(account_id, calls, requests)
        hour = _hour(datetime.now(UTC))
        if calls and self._pruned < hour:
            self._pruned = hour
            _prune(self._engine, account_id, hour)

    @retry_conflicts
    def _add(self, account_id: int, calls: dict[_CallKey, _Calls], requests: dict[str, _Requests]) -> None:
        with transaction(self._engine) as connection:
            for (hour, path, errcode), counted in sorted(calls.items()):
                key = {"account_id": account_id, "hour": hour, "path": path, "errcode": errcode}
                _add_calls(connection, key, counted)
            for outcome, seen in sorted(requests.items()):
                _add_requests(connection, outcome, seen)


def _add_calls(connection: Connection, key: dict[str, Any], counted: _Calls) -> None:
    values: dict[str, Any] = vars(counted)
    this: list[ColumnElement[bool]] = [getattr(CallCount, name) == value for name, value in key.items()]
    added = (
        update(CallCount)
        .where(*this)
        .values(
            values
            | {
                "calls": CallCount.calls + counted.calls,
                "milliseconds": CallCount.milliseconds + counted.milliseconds,
                "slowest": _greater(CallCount.slowest, counted.slowest),
                "last_at": _greater(CallCount.last_at, counted.last_at),
            }
        )
    )
    if not connection.execute(added).rowcount:
        connection.execute(insert(CallCount).values(key | values))


def _add_requests(connection: Connection, outcome: str, seen: _Requests) -> None:
    values: dict[str, Any] = vars(seen)
    added = (
        update(CallbackOutcome)
        .where(CallbackOutcome.outcome == outcome)
        .values(
            times=CallbackOutcome.times + seen.times,
            last_at=_greater(CallbackOutcome.last_at, seen.last_at),
            detail=seen.detail,
        )
    )
    if not connection.execute(added).rowcount:
        connection.execute(insert(CallbackOutcome).values(outcome=outcome, **values))


def _greater(column: InstrumentedAttribute[Any], value: Any) -> ColumnElement[Any]:
    """The greater one: another process may have written what it saw meanwhile."""
    return case((column > value, column), else_=value)


@retry_conflicts
def _prune(engine: Engine, account_id: int, hour: int) -> None:
    oldest = hour - int(RETENTION.total_seconds()) // 3600
    with transaction(engine) as connection:
        connection.execute(
            delete(CallCount).where(CallCount.account_id == account_id, CallCount.hour < oldest)
        )


def _hour(at: datetime) -> int:
    return int(at.timestamp()) // 3600


def _errcode(call: Call) -> int:
    """Calls without an answer have none of the platform's codes."""
    return NO_ANSWER if call.errmsg and not call.errcode else call.errcode
