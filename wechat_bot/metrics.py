"""Prometheus metrics, aggregated over all processes. Requires the extra ``metrics``.

Processes share counters through files in the folder PROMETHEUS_MULTIPROC_DIR, which must exist before this
module is imported; without it, the metrics are those of one process. Gauges are read from the database on
each scrape.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .services.health import status

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_METRICS = CollectorRegistry()
_PUSHES = Counter(
    "wechat_pushes", "Pushes by what they brought and how they ended.", ["kind", "outcome"], registry=_METRICS
)
_ANSWER_SECONDS = Histogram(
    "wechat_answer_seconds",
    "Until a push was answered; the platform waits 5 seconds.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 4.5, 5),
    registry=_METRICS,
)
_REQUESTS = Counter(
    "wechat_callback_requests",
    "Requests to the callback that are no ordinary push.",
    ["outcome"],
    registry=_METRICS,
)
_CALLS = Counter("wechat_api_calls", "Calls of the platform's API.", ["path", "errcode"], registry=_METRICS)
_CALL_SECONDS = Histogram(
    "wechat_api_call_seconds",
    "Until a call of the platform's API ended.",
    ["path"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=_METRICS,
)


class Metrics(Collector):
    """The counters of an application, and gauges from its database."""

    def __init__(self, engine: Engine, digest_left: Callable[[], int]) -> None:
        self._engine = engine
        self._digest_left = digest_left

    def record_push(self, kind: str, outcome: str, seconds: float) -> None:
        _PUSHES.labels(kind, outcome).inc()
        _ANSWER_SECONDS.observe(seconds)

    def record_request(self, outcome: str) -> None:
        _REQUESTS.labels(outcome).inc()

    def record_call(self, path: str, errcode: int, seconds: float) -> None:
        _CALLS.labels(path, str(errcode)).inc()
        _CALL_SECONDS.labels(path).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        registry = CollectorRegistry()
        if FOLDER in os.environ:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(_METRICS)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the gauges; only ``wechat_database_up`` if the database cannot be reached."""
        try:
            yield from self._gauges()
            up = 1
        except SQLAlchemyError:
            up = 0
        yield GaugeMetricFamily("wechat_database_up", "Whether the database answers.", up)

    def _gauges(self) -> Iterator[GaugeMetricFamily]:
        with self._engine.connect() as connection:
            backlog = status.backlog(connection, account_id=None)
            alive = sum(map(status.is_alive, status.workers(connection)))
            slow = status.slow_handlers(connection)
        for name, meaning, counts in (
            ("wechat_outgoing_messages", "Outgoing messages that are not sent, by state.", backlog.outgoing),
            (
                "wechat_incoming_messages",
                "Incoming messages that are not answered, by state.",
                backlog.incoming,
            ),
            ("wechat_media", "Files of followers that are not stored, by state.", backlog.media),
        ):
            gauge = GaugeMetricFamily(name, meaning, labels=["state"])
            for state, count in counts.items():
                gauge.add_metric([state], count)
            yield gauge
        yield GaugeMetricFamily("wechat_workers", "Background workers that are alive.", alive)
        yield GaugeMetricFamily(
            "wechat_digest_lag", "Messages and followers that cannot be found yet.", self._digest_left()
        )
        for name, meaning, value in (
            ("wechat_slow_handlers_running", "Slow handlers that run.", slow.running),
            ("wechat_slow_handlers_limit", "Slow handlers that may run at once.", slow.max_running),
            ("wechat_waiting_messages", "Messages whose pushes wait for an answer.", slow.waiting),
            ("wechat_waiting_limit", "Messages whose pushes may wait at once.", slow.max_waiting),
            ("wechat_queued_messages", "Messages that wait for a slow handler.", slow.queued),
            ("wechat_oldest_unfinished_seconds", "Age of the oldest unanswered message.", slow.oldest),
        ):
            yield GaugeMetricFamily(name, meaning, value)
        if slow.p95_ms is not None:
            seconds = slow.p95_ms / 1000
            yield GaugeMetricFamily(
                "wechat_slow_handler_p95_seconds", "95 % of recent runs took at most so long.", seconds
            )
