"""Prometheus metrics, aggregated over all processes. Requires the extra ``metrics``.

Processes share counters through files in the folder PROMETHEUS_MULTIPROC_DIR, which must exist before this
module is imported; without it, the metrics are those of one process. Gauges are read from the database on
each scrape. The label ``account`` is the AppID, empty for an account that has none.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import tzinfo
from functools import cache
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.exc import SQLAlchemyError

from .database.clock import database_now
from .models import AccessToken, Account
from .services.assistant.records import spent
from .services.health import status
from .services.health.call_stats import PushOutcome

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
MAX_CHILDREN = 2000
"""Upper limit of the combinations of labels of a metric. What is above it is counted as `OTHER`."""
OTHER = "other"

M = TypeVar("M", bound=MetricWrapperBase)

_METRICS = CollectorRegistry()


class Labelled(Generic[M]):
    """The children of a metric by the values of their labels, the account first."""

    def __init__(self, metric: M) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], M] = {}

    def __call__(self, *labels: str) -> M:
        """Return a child. Finding one again costs a push much less than the metric's own `labels`."""
        found = self._children.get(labels)
        if found is None:
            if len(self._children) >= MAX_CHILDREN:
                labels = labels[0], *(OTHER for _ in labels[1:])
            found = self._children[labels] = self._metric.labels(*labels)
        return found


_PUSHES = Labelled(
    Counter(
        "wechat_pushes",
        "Pushes by what they brought and how they ended.",
        ["account", "kind", "outcome"],
        registry=_METRICS,
    )
)
_ANSWER_SECONDS = Labelled(
    Histogram(
        "wechat_answer_seconds",
        "Until a push was answered, by whether it waited for a slow handler. The platform waits 5 seconds.",
        ["account", "kind", "waited"],
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 4.5, 5),
        registry=_METRICS,
    )
)
_REQUESTS = Labelled(
    Counter(
        "wechat_callback_requests",
        "Requests to the callback that are no ordinary push.",
        ["account", "outcome"],
        registry=_METRICS,
    )
)
_CALLS = Labelled(
    Counter(
        "wechat_api_calls", "Calls of the platform's API.", ["account", "path", "errcode"], registry=_METRICS
    )
)
_CALL_SECONDS = Labelled(
    Histogram(
        "wechat_api_call_seconds",
        "Until a call of the platform's API ended.",
        ["account", "path"],
        buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        registry=_METRICS,
    )
)
_WAIT_SECONDS = Histogram(
    "wechat_database_wait_seconds",
    "Until a page or task had a connection to the database.",
    buckets=(0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10),
    registry=_METRICS,
)
_USE_SECONDS = Counter(
    "wechat_database_use_seconds",
    "Seconds for which pages and tasks had connections to the database, all together.",
    registry=_METRICS,
)


def watch_pool(engine: Engine) -> None:
    """Measure how long connections of `engine` are waited for and used."""
    pool: Any = engine.pool
    connect = pool.connect

    def timed() -> Any:
        with _WAIT_SECONDS.time():
            return connect()

    pool.connect = timed  # no event tells of the waiting

    @event.listens_for(pool, "checkout")
    def begin(_connection: Any, record: Any, _proxy: Any) -> None:
        record.info["out_since"] = perf_counter()

    @event.listens_for(pool, "checkin")
    def end(_connection: Any, record: Any) -> None:
        now = perf_counter()
        _USE_SECONDS.inc(now - record.info.pop("out_since", now))


class Metrics(Collector):
    """The counters of an application, and gauges from its database and its `folder`.

    :param digest_left: returns how many rows cannot be found yet.
    :param zone: the time zone in which the assistant's day begins.
    """

    def __init__(self, engine: Engine, digest_left: Callable[[], int], folder: Path, zone: tzinfo) -> None:
        self._engine = engine
        self._digest_left = digest_left
        self._folder = folder
        self._zone = zone

    def record_push(self, account: str, kind: str, outcome: PushOutcome, seconds: float) -> None:
        _PUSHES(account, kind, outcome).inc()
        _ANSWER_SECONDS(account, kind, "yes" if outcome.may_wait else "no").observe(seconds)

    def record_request(self, account: str, outcome: str) -> None:
        _REQUESTS(account, outcome).inc()

    def record_call(self, account: str, path: str, errcode: int, seconds: float) -> None:
        _CALLS(account, path, str(errcode)).inc()
        _CALL_SECONDS(account, path).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        registry = CollectorRegistry()
        if FOLDER in os.environ:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(_METRICS)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Read the gauges; few if the database cannot be reached."""
        yield _build_info()
        with suppress(OSError):
            free = status.free_space(self._folder)
            yield GaugeMetricFamily("wechat_disk_free_bytes", "Free space for the program's files.", free)
        try:
            with self._engine.connect() as connection:
                yield from self._of_accounts(connection)
                yield from _of_processes(connection)
            left = self._digest_left()
            yield GaugeMetricFamily(
                "wechat_digest_lag", "Messages and followers that cannot be found yet.", left
            )
            up = 1
        except SQLAlchemyError:
            up = 0
        yield GaugeMetricFamily("wechat_database_up", "Whether the database answers.", up)

    def _of_accounts(self, connection: Connection) -> Iterator[Metric]:
        by_state = ["account", "state"]
        outgoing = GaugeMetricFamily(
            "wechat_outgoing_messages", "Outgoing messages that are not sent, by state.", labels=by_state
        )
        incoming = GaugeMetricFamily(
            "wechat_incoming_messages", "Incoming messages that are not answered, by state.", labels=by_state
        )
        media = GaugeMetricFamily(
            "wechat_media", "Files of followers that are not stored, by state.", labels=by_state
        )
        refused = GaugeMetricFamily(
            "wechat_account_refused", "Whether the platform refuses the account.", labels=["account"]
        )
        expiry = GaugeMetricFamily(
            "wechat_access_token_expiry_timestamp_seconds",
            "When a token or ticket of the API expires; a new one is fetched when it is needed.",
            labels=["account", "kind"],
        )
        tokens = CounterMetricFamily(
            "wechat_assistant_tokens", "Tokens of the assistant's answers since midnight.", labels=["account"]
        )
        cost = CounterMetricFamily(
            "wechat_assistant_cost_yuan",
            "Cost of the assistant's answers since midnight.",
            labels=["account"],
        )
        now = database_now()
        for account in connection.execute(select(Account.id, Account.app_id, Account.refused_at)).all():
            backlog = status.backlog(connection, account.id)
            states = (outgoing, backlog.outgoing), (incoming, backlog.incoming), (media, backlog.media)
            for family, counts in states:
                for state, count in counts.items():
                    family.add_metric([account.app_id, state], count)
            refused.add_metric([account.app_id], account.refused_at is not None)
            today = spent(connection, account.id, None, now, self._zone)
            tokens.add_metric([account.app_id], today.tokens)
            cost.add_metric([account.app_id], today.yuan)
        found = select(Account.app_id, AccessToken.kind, AccessToken.expires_at).join_from(
            AccessToken, Account
        )
        for token in connection.execute(found.where(AccessToken.expires_at.is_not(None))):
            expiry.add_metric([token.app_id, token.kind], token.expires_at.timestamp())
        yield from (outgoing, incoming, media, refused, expiry, tokens, cost)


def _of_processes(connection: Connection) -> Iterator[Metric]:
    alive = sum(map(status.is_alive, status.workers(connection)))
    slow = status.slow_handlers(connection)
    for name, meaning, value in (
        ("wechat_workers", "Background workers that are alive.", alive),
        ("wechat_slow_handlers_running", "Slow handlers that run.", slow.running),
        ("wechat_slow_handlers_limit", "Slow handlers that may run at once.", slow.max_running),
        ("wechat_waiting_messages", "Messages whose pushes wait for an answer.", slow.waiting),
        ("wechat_waiting_limit", "Messages whose pushes may wait at once.", slow.max_waiting),
        ("wechat_queued_messages", "Messages that wait for a slow handler.", slow.queued),
        ("wechat_oldest_queued_seconds", "Age of the oldest message that could start.", slow.oldest_queued),
        ("wechat_oldest_unfinished_seconds", "Age of the oldest unanswered message.", slow.oldest),
    ):
        yield GaugeMetricFamily(name, meaning, value)
    p95 = GaugeMetricFamily("wechat_slow_handler_p95_seconds", "95 % of recent runs took at most so long.")
    if slow.p95_ms is not None:
        p95.add_metric([], slow.p95_ms / 1000)
    yield p95


def _build_info() -> Metric:
    labels = {"version": version("wechat-bot"), "revision": _revision()}
    info = GaugeMetricFamily("wechat_build_info", "The program that runs.", labels=list(labels))
    info.add_metric(list(labels.values()), 1)
    return info


@cache
def _revision() -> str:
    """Return the commit of the checkout from which the program runs; empty if it was installed otherwise."""
    folder = Path(__file__).parents[1]
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    return ""
