"""``history``: response times of the console against the number of stored messages."""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, func, select, text

from wechat_bot.extensions import db
from wechat_bot.models import MessageLog, Role
from wechat_bot.services.health import status
from wechat_bot.services.messages import export
from wechat_bot.services.messages.filters import MessageFilter
from wechat_bot.services.projections.projector import Projector
from wechat_bot.wechat.credentials import Mode
from wechat_bot.wiring import services

from . import chart, filling, ours
from .databases import Database, SQLite, maintain, postgres
from .options import Options
from .report import Report, table, verdict
from .servers import running
from .tools import Missing

DIVISORS = (100, 10, 1)
"""There is a database with `Options.rows` divided by each of these."""
GOAL_MS = 50.0
GOAL_RATIO = 1.3
GOAL_STATEMENTS = 5
GOAL_GROWTH = 50
"""Maximum growth of memory during an export, in MiB."""
EXPORT_DIVISOR = 5
"""The stored messages divided by this are exported."""
NOISE_MS = 5.0
"""Shorter times count as this in ratios."""

RARE_COUNT = 125
"""Messages of a rare kind, and with a rare word, in both databases: more than a page."""
VARIETY = (
    "UPDATE message_logs SET kind = 'link' WHERE id % :every = 1",
    "UPDATE message_logs SET text = '我要看鲸鱼表演' WHERE id % :every = 7",
    "UPDATE message_logs SET text = text || ' ' || (13000000000 + (id * 7919) % 999999937) WHERE id % 50 = 1",
    "UPDATE message_logs SET follower_id = 1 WHERE id % 50 = 3",
)
"""Statements that make such messages, telephone numbers, and a follower with many messages."""

PAGES: Mapping[str, str] = {
    "messages": "/admin/messages?",
    "messages of a rare kind": "/admin/messages?kind=link",
    "messages of one follower": "/admin/messages?follower=1",
    "a common word, 退款": "/admin/messages?q=退款",
    "a rare word, 鲸鱼": "/admin/messages?q=鲸鱼",
    "a word that nobody wrote": "/admin/messages?q=鳄鱼",
    "a telephone number": "/admin/messages?q=13000395950",
    "a common word of one follower": "/admin/messages?follower=1&q=退款",
    "a common word on two days": "/admin/messages?q=退款&from=2020-01-03&to=2020-01-04",
    "one follower's thread": "/admin/conversations/1/messages?",
}
"""Pages that are requested at their beginning, in the middle, and near the end."""
DRAWN = (
    "messages, newest",
    "a common word, 退款, newest",
    "a rare word, 鲸鱼, oldest",
    "a common word of one follower, newest",
    "one follower's thread, middle",
    "conversations that wait longest",
)
"""The requests whose times are drawn."""
OTHER_PAGES: Mapping[str, str] = {
    "a conversation, with what operators write": "/admin/conversations/1",
    "the same from a day on": "/admin/conversations/1?date=2020-01-04",
    "conversations that wait longest": "/admin/conversations",
    "conversations with news": "/admin/conversations?tab=all",
}


@dataclass(frozen=True)
class Cost:
    """The cost of a request."""

    ms: Sequence[float]
    """Milliseconds for each size of the database: medians of all rounds."""
    statements: int

    @property
    def ratio(self) -> float:
        return max(self.ms[-1], NOISE_MS) / max(self.ms[0], NOISE_MS)


@dataclass(frozen=True)
class Stored:
    """A database with messages, which the projector has processed."""

    app: Flask
    engine: Engine
    size: int
    projection_us: float
    """Microseconds for each message, including its share of new followers."""


def run(options: Options) -> Report:
    parts = []
    for kind, make in _kinds(options).items():
        with ExitStack() as stack:
            sizes = [options.rows // divisor for divisor in DIVISORS]
            try:
                stored = [_store(make, size, stack) for size in sizes]
            except Missing as error:
                parts.append(f"{kind}: skipped: {error}\n")
                continue
            _log("reading them")
            costs = _costs([_requests(each) for each in stored], options.rounds)
            parts += [
                _table(kind, costs, sizes),
                _picture(kind, costs, sizes, options),
                _summary(kind, stored[-1]),
            ]
    return Report("\n".join(parts))


def _kinds(options: Options) -> dict[str, Callable[[Path, ExitStack], Database]]:
    return {
        "SQLite": lambda directory, _: SQLite(directory / "bot.db"),
        "PostgreSQL": lambda _, stack: stack.enter_context(postgres(options.postgres)),
    }


def _store(make: Callable[[Path, ExitStack], Database], size: int, stack: ExitStack) -> Stored:
    directory = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
    database = make(directory, stack)
    with running(ours.server("ours", Mode.SAFE, directory, database)):
        pass  # the pushes of its check are recorded; `filling` copies them
    _log(f"storing {size:,} messages")
    filling.fill(database, size)
    app = stack.enter_context(ours.application(database, directory))
    with app.app_context():
        engine = db.engine
    _add_variety(engine, size)
    _log("projecting them")
    stored = Stored(app, engine, size, _project(services(app).projector, size))
    maintain(engine)
    return stored


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _add_variety(engine: Engine, size: int) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        for statement in VARIETY:
            values = {"every": size // RARE_COUNT} if ":every" in statement else {}
            connection.execute(text(statement), values)


def _project(projector: Projector, size: int) -> float:
    """Process all messages; return the microseconds for each."""
    started = time.perf_counter()
    while left := projector.catch_up(10):
        _log(f"{left:,} left")
    return (time.perf_counter() - started) / size * 1e6


Request = Callable[[], object]


def _requests(stored: Stored) -> dict[str, Request]:
    """Return whole requests of an operator, by name: from the session to the page."""
    browser = _signed_in(stored)
    with stored.engine.connect() as connection:
        last = connection.scalar(select(func.max(MessageLog.id))) or 0
    requests: dict[str, Request] = {}
    for name, path in PAGES.items():
        for place, before in (("newest", last + 1), ("middle", last // 2), ("oldest", last // 10)):
            requests[f"{name}, {place}"] = partial(_get, browser, f"{path}&before={before}")
    return requests | {name: partial(_get, browser, path) for name, path in OTHER_PAGES.items()}


def _signed_in(stored: Stored) -> FlaskClient:
    ours.add_operator(stored.engine, Role.VIEWER)
    browser = stored.app.test_client()
    form = ours.sign_in_form(browser.get("/admin/sign-in").text)
    browser.post("/admin/sign-in", data=form)
    return browser


def _get(browser: FlaskClient, path: str) -> None:
    headers = {"HX-Request": "true"} if path.startswith("/admin/conversations/") else {}
    answer = browser.get(path, headers=headers)
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status}")


def _costs(requests: Sequence[Mapping[str, Request]], rounds: int) -> dict[str, Cost]:
    """Measure the requests of each database in turns. Statements are counted on the last."""
    costs = {}
    for name, last in requests[-1].items():
        statements = _statements(last)
        for each in requests:
            each[name]()
        times = [[_ms(each[name]) for each in requests] for _ in range(rounds)]
        costs[name] = Cost([statistics.median(column) for column in zip(*times, strict=True)], statements)
    return costs


def _ms(request: Request) -> float:
    started = time.perf_counter()
    request()
    return (time.perf_counter() - started) * 1000


def _statements(request: Request) -> int:
    """Count what a request sends, over any of the engines of an application."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    request()
    event.remove(Engine, "before_cursor_execute", note)
    return len(sent)


def _table(kind: str, costs: Mapping[str, Cost], sizes: Sequence[int]) -> str:
    rows = []
    for name, cost in costs.items():
        met = cost.ms[-1] <= GOAL_MS and cost.statements <= GOAL_STATEMENTS and cost.ratio <= GOAL_RATIO
        times = [f"{ms:.1f}" for ms in cost.ms]
        rows.append([name, *times, f"{cost.ratio:.2f}", str(cost.statements), verdict(0 if met else 1, 0)])
    head = [
        f"{kind}: request",
        *(f"ms, {size:,} stored" for size in sizes),
        "ratio",
        "statements",
        f"≤ {GOAL_MS:.0f} ms, ≤ {GOAL_RATIO}, ≤ {GOAL_STATEMENTS}",
    ]
    return table(head, rows)


def _picture(kind: str, costs: Mapping[str, Cost], sizes: Sequence[int], options: Options) -> str:
    """Draw the times of `DRAWN` against the size, and return the image for Markdown; nothing if quick."""
    if options.quick:
        return ""
    lines = {name: list(zip(sizes, costs[name].ms, strict=True)) for name in DRAWN}
    title = f"{kind}: milliseconds until a page is complete, by stored messages"
    return chart.save(f"history-{kind.lower()}", title, lines)


def _summary(kind: str, stored: Stored) -> str:
    count = stored.size // EXPORT_DIVISOR
    rate, growth = _export(stored, count)
    return table(
        [f"{kind}, {stored.size:,} stored", "", ""],
        [
            ["projecting a message", f"{stored.projection_us:.0f} µs", ""],
            [f"export of {count:,} messages", f"{rate:,.0f} messages a second", ""],
            ["its growth of memory", f"{growth:.1f} MiB", verdict(growth, GOAL_GROWTH)],
            ["size of the database, for each message", f"{_bytes_per_message(stored):.0f} bytes", ""],
        ],
    )


def _bytes_per_message(stored: Stored) -> float:
    """Return the size of the database with all indexes, in bytes for each message."""
    with stored.engine.connect() as connection:
        return status.database_size(connection) / stored.size


def _export(stored: Stored, count: int) -> tuple[float, float]:
    """Return messages per second, and the growth of the peak memory in MiB."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _peak_kib()
    started, done = time.perf_counter(), 0
    for _ in export.stream(stored.engine, services(stored.app).account_id, MessageFilter(), "csv"):
        done += export.BATCH_SIZE
        if done >= count:
            break
    return done / (time.perf_counter() - started), (_peak_kib() - before) / 1024


def _peak_kib() -> int:
    found = re.search(r"^VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])
