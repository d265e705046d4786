"""``profile``: measures the stages of a push in one warm thread.

Pushes go through the WSGI application, while its functions are wrapped with clocks.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

from flask import Flask, Response
from werkzeug.test import EnvironBuilder

from wechat_bot import create_app
from wechat_bot.env_file import load_settings
from wechat_bot.extensions import db
from wechat_bot.routing import Router
from wechat_bot.services.inbox.handling import HandlerRunner
from wechat_bot.services.inbox.lookup import InboxReader
from wechat_bot.services.inbox.recorder import Recorder
from wechat_bot.settings import Synchronous
from wechat_bot.wechat.credentials import Mode
from wechat_bot.wechat.webhook import Webhook
from wechat_bot.wiring import services

from . import ours, traffic
from .databases import Database, SQLite, postgres
from .options import Options
from .report import Report, table
from .tools import Missing

P = ParamSpec("P")
R = TypeVar("R")

BATCH = 100
"""Pushes in one round, each of another follower in the database."""
WARM_UP_ROUNDS = 3

TOTAL = "**a push through the WSGI application**"
CONSTANT = "for comparison: a view that returns a constant"
REST = "the rest: Flask, Werkzeug, glue"
STAGES: Mapping[str, tuple[Any, str]] = {
    "`webhook.authenticate`": (Webhook, Webhook.authenticate.__name__),
    "`webhook.open`": (Webhook, Webhook.open.__name__),
    "lookup, one read": (InboxReader, InboxReader.load.__name__),
    "`router.resolve`": (Router, Router.resolve.__name__),
    "handler, reply fitted": (HandlerRunner, HandlerRunner.run.__name__),
    "record, one transaction": (Recorder, Recorder.record.__name__),
    "`webhook.seal`": (Webhook, Webhook.seal.__name__),
}
"""The stages of a push in their order: object and function name. A rename fails at import."""


@dataclass
class Clock:
    """Nanoseconds by stage: wall-clock time, and CPU time of this thread."""

    wall: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    cpu: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @contextmanager
    def wrapped(self, owner: Any, name: str, stage: str) -> Iterator[None]:
        """Add the time of the function `name` of `owner` to `stage` during the block."""
        with patch.object(owner, name, self.timed(getattr(owner, name), stage)):
            yield

    def timed(self, function: Callable[P, R], stage: str) -> Callable[P, R]:
        """Wrap `function`, so that its time is added to `stage`."""

        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
            try:
                return function(*args, **kwargs)
            finally:
                self.wall[stage] += time.perf_counter_ns() - wall
                self.cpu[stage] += time.thread_time_ns() - cpu

        return timed


Costs = dict[str, tuple[float, float]]
"""Medians by stage, in microseconds for each push: wall-clock time and CPU time."""


def run(options: Options) -> Report:
    tables, notes = {}, ""
    for synchronous in Synchronous:
        with TemporaryDirectory(prefix="bench-") as name:
            database = SQLite(Path(name) / "bot.db")
            tables[f"SQLite {synchronous}"] = _profile(database, synchronous, Path(name), options.rounds)
    try:
        with TemporaryDirectory(prefix="bench-") as name, postgres(options.postgres) as server:
            tables["PostgreSQL"] = _profile(server, Synchronous.FULL, Path(name), options.rounds)
    except Missing as error:
        notes = f"\nPostgreSQL: skipped: {error}.\n"
    return Report("\n".join(_table(name, costs) for name, costs in tables.items()) + notes)


def _profile(database: Database, synchronous: Synchronous, directory: Path, rounds: int) -> dict[Mode, Costs]:
    with _application(database, synchronous, directory) as app:
        return {mode: _costs(app, mode, rounds) for mode in (Mode.PLAIN, Mode.SAFE)}


@contextmanager
def _application(database: Database, synchronous: Synchronous, directory: Path) -> Iterator[Flask]:
    """Create the application in compatible mode, for plain and encrypted pushes; it logs to a file."""
    environ = ours.settings(Mode.COMPATIBLE, database, synchronous=synchronous)
    ours.migrate(directory, environ)
    with (directory / "log").open("w") as log, redirect_stdout(log):
        app = create_app(load_settings(directory / "no.env", environ))
        app.add_url_rule("/constant", view_func=lambda: Response("success"), methods=["POST"])
        yield app
        services(app).close()
        with app.app_context():
            db.engine.dispose()


def _costs(app: Flask, mode: Mode, rounds: int) -> Costs:
    """Return medians of `rounds` rounds, after warm-up rounds."""
    clocks = [_round(app, mode) for _ in range(WARM_UP_ROUNDS + rounds)][WARM_UP_ROUNDS:]
    stages = dict.fromkeys(stage for clock in clocks for stage in clock.wall)
    return {
        stage: (
            statistics.median(clock.wall[stage] for clock in clocks) / BATCH / 1000,
            statistics.median(clock.cpu[stage] for clock in clocks) / BATCH / 1000,
        )
        for stage in stages
    }


def _round(app: Flask, mode: Mode) -> Clock:
    """Measure a batch of new pushes to a view that returns a constant, and one to the callback."""
    clock = Clock()
    _push_batch(app, mode, "/constant", clock.timed(_call, CONSTANT))
    with _clocks(clock):
        _push_batch(app, mode, "/wechat", clock.timed(_call, TOTAL))
    for times in (clock.wall, clock.cpu):
        times[REST] = times[TOTAL] - sum(times[stage] for stage in STAGES)
    return clock


def _push_batch(app: Flask, mode: Mode, path: str, call: Callable[[Flask, dict[str, Any]], None]) -> None:
    pushes = list(traffic.pushes(mode, range(BATCH), time.time_ns(), followers=BATCH))
    for environ in [_environ(path, *push) for push in pushes]:
        call(app, environ)


@contextmanager
def _clocks(clock: Clock) -> Iterator[None]:
    """Wrap all stages with `clock` during the block."""
    with ExitStack() as stack:
        for stage, (owner, name) in STAGES.items():
            stack.enter_context(clock.wrapped(owner, name, stage))
        yield


def _environ(path: str, query: str, body: bytes) -> dict[str, Any]:
    return EnvironBuilder(path, method="POST", query_string=query, data=body).get_environ()


def _call(app: Flask, environ: dict[str, Any]) -> None:
    """Call the application as a server does.

    :raises RuntimeError: when the status is not 200.
    """
    statuses: list[str] = []

    def start_response(status: str, headers: Any, error: Any = None) -> Callable[[bytes], object]:
        statuses.append(status)
        return len  # WSGI requires a callable; it is not used

    b"".join(app.wsgi_app(environ, start_response))
    if statuses != ["200 OK"]:
        raise RuntimeError(f"a push was answered with {statuses}")


def _table(name: str, modes: Mapping[Mode, Costs]) -> str:
    """Format the stages as rows, with wall-clock and CPU time for each mode."""
    head = [name, *(f"{mode}, {what} µs" for mode in modes for what in ("wall", "CPU"))]
    rows = [
        [stage, *(f"{cost:.0f}" for costs in modes.values() for cost in costs[stage])]
        for stage in (*STAGES, REST, TOTAL, CONSTANT)
    ]
    return table(head, rows)
