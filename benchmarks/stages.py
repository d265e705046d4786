"""``profile``: where the time of a push goes, stage by stage, in one warm thread of one process.

Real pushes go through the WSGI application, whose parts are wrapped with clocks meanwhile.
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
from wechat_bot.blueprints import callback
from wechat_bot.extensions import db
from wechat_bot.routing import Router
from wechat_bot.services.inbox.handling import HandlerRunner
from wechat_bot.services.inbox.lookup import InboxReader
from wechat_bot.services.inbox.recorder import Recorder
from wechat_bot.settings import Settings, Synchronous
from wechat_bot.wechat.credentials import Mode
from wechat_bot.wechat.webhook import Webhook

from . import ours, traffic
from .databases import Database, SQLite, postgres
from .options import Options
from .report import Report, table
from .tools import Missing

P = ParamSpec("P")
R = TypeVar("R")

BATCH = 100
"""Pushes in one round, one of each of as many followers, whom the database knows."""
WARM_UP_ROUNDS = 3

TOTAL = "**a push through the WSGI application**"
CONSTANT = "for comparison: a view that returns a constant"
REST = "the rest: Flask, Werkzeug, glue"
STAGES: Mapping[str, tuple[Any, str]] = {
    "`webhook.open`": (Webhook, "open"),
    "recall, one read": (InboxReader, "recall"),
    "`router.resolve`": (Router, "resolve"),
    "handler, reply fitted": (HandlerRunner, "run"),
    "record, one transaction": (Recorder, "record"),
    "`webhook.seal`": (Webhook, "seal"),
    "log line": (callback.log, "info"),
}
"""What a push consists of, in its order."""


@dataclass
class Clock:
    """Nanoseconds by stage: on the wall, and of this thread's CPU."""

    wall: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    cpu: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @contextmanager
    def wrapped(self, owner: Any, name: str, stage: str) -> Iterator[None]:
        """Count the time of the function `name` of `owner` as that of `stage`."""
        with patch.object(owner, name, self.timed(getattr(owner, name), stage)):
            yield

    def timed(self, function: Callable[P, R], stage: str) -> Callable[P, R]:
        """`function`, whose time counts."""

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
"""Medians of the rounds by stage: µs for each push on the wall, and of CPU."""


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
    """The application, which takes plain and encrypted pushes and logs to a file."""
    environ = ours.settings(Mode.COMPATIBLE, database, synchronous=synchronous)
    ours.migrate(directory, environ)
    with (directory / "log").open("w") as log, redirect_stdout(log):
        app = create_app(Settings.load(directory / "no.env", environ))
        app.add_url_rule("/constant", view_func=lambda: Response("success"), methods=["POST"])
        yield app
        with app.app_context():
            db.engine.dispose()


def _costs(app: Flask, mode: Mode, rounds: int) -> Costs:
    """Medians of `rounds` rounds, after those that warm up."""
    seen = [_round(app, mode) for _ in range(WARM_UP_ROUNDS + rounds)][WARM_UP_ROUNDS:]
    stages = dict.fromkeys(stage for clock in seen for stage in clock.wall)
    return {
        stage: (
            statistics.median(clock.wall[stage] for clock in seen) / BATCH / 1000,
            statistics.median(clock.cpu[stage] for clock in seen) / BATCH / 1000,
        )
        for stage in stages
    }


def _round(app: Flask, mode: Mode) -> Clock:
    """A batch of new pushes to a view that returns a constant, and one with clocks at all stages."""
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
    """Clocks at all stages, which are taken away again."""
    with ExitStack() as stack:
        for stage, (owner, name) in STAGES.items():
            stack.enter_context(clock.wrapped(owner, name, stage))
        yield


def _environ(path: str, query: str, body: bytes) -> dict[str, Any]:
    return EnvironBuilder(path, method="POST", query_string=query, data=body).get_environ()


def _call(app: Flask, environ: dict[str, Any]) -> None:
    """What a server does with a request; RuntimeError when it is not answered with success."""
    statuses: list[str] = []

    def start_response(status: str, headers: Any, error: Any = None) -> Callable[[bytes], object]:
        statuses.append(status)
        return len  # which nobody calls

    b"".join(app.wsgi_app(environ, start_response))
    if statuses != ["200 OK"]:
        raise RuntimeError(f"a push was answered with {statuses}")


def _table(name: str, modes: Mapping[Mode, Costs]) -> str:
    """Stages as rows; for each mode the time on the wall and that of the CPU."""
    head = [name, *(f"{mode}, {what} µs" for mode in modes for what in ("wall", "CPU"))]
    rows = [
        [stage, *(f"{cost:.0f}" for costs in modes.values() for cost in costs[stage])]
        for stage in (*STAGES, REST, TOTAL, CONSTANT)
    ]
    return table(head, rows)
