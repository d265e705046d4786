"""``history``: what operators wait for when millions of messages are stored, against few."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, event, func, select, text

from wechat_bot import create_app
from wechat_bot.extensions import db
from wechat_bot.models import Follower, MessageLog, Status, Thread
from wechat_bot.services import export, history
from wechat_bot.services.digest import Digest
from wechat_bot.services.history import MessageFilter
from wechat_bot.settings import Settings
from wechat_bot.wechat.credentials import Mode

from . import filling, ours
from .databases import Database, SQLite, postgres
from .options import Options
from .report import Report, table, verdict
from .servers import running
from .tools import Missing

SHARE = 100
"""The few are so many times fewer."""
GOAL_MS = 50.0
GOAL_RATIO = 1.3
GOAL_STATEMENTS = 5
GOAL_GROWTH = 50
"""MiB, of memory during an export."""
EXPORTED = 5
"""One of so many messages is exported."""
NOISE_MS = 5.0
"""Ratios of less than that say nothing."""

VARIETY = (
    "UPDATE message_logs SET kind = 'link' WHERE id % 20011 = 1 AND direction = 'in'",
    "UPDATE message_logs SET text = '我要看鲸鱼表演' WHERE id % 40009 = 7",
    "UPDATE message_logs SET text = text || ' ' || (13000000000 + (id * 7919) % 999999937) WHERE id % 50 = 1",
    "UPDATE message_logs SET follower_id = 1 WHERE id % 50 = 3",
)
"""A rare kind, a rare word, telephone numbers, and a follower who talks a lot."""

FILTERS: Mapping[str, Mapping[str, str]] = {
    "messages": {},
    "messages of a rare kind": {"kind": "link"},
    "one follower's thread": {"follower": "1"},
    "a common word, 退款": {"q": "退款"},
    "a rare word, 鲸鱼": {"q": "鲸鱼"},
    "a word that nobody wrote": {"q": "鳄鱼"},
    "a telephone number": {"q": "13000395950"},
    "a common word in one thread": {"follower": "1", "q": "退款"},
    "a common word on two days": {"q": "退款", "from": "2020-01-03", "to": "2020-01-04"},
}


@dataclass(frozen=True)
class Cost:
    """Of a page and its counts."""

    ms: float
    statements: int


@dataclass(frozen=True)
class Findings:
    costs: Mapping[str, Cost]
    digest_us: float
    """For each message, with its share of the followers."""
    export_rate: float
    """Messages a second."""
    export_growth: float
    """MiB."""


def run(options: Options) -> Report:
    parts = []
    for kind, make in _kinds(options).items():
        try:
            few, many = (_measure(make, size, options) for size in (options.rows // SHARE, options.rows))
        except Missing as error:
            parts.append(f"{kind}: skipped: {error}\n")
        else:
            parts.append(_table(kind, few, many, options))
    return Report("\n".join(parts))


def _kinds(options: Options) -> dict[str, Callable[[Path, ExitStack], Database]]:
    return {
        "SQLite": lambda directory, _: SQLite(directory / "bot.db"),
        "PostgreSQL": lambda _, stack: stack.enter_context(postgres(options.postgres)),
    }


def _measure(make: Callable[[Path, ExitStack], Database], size: int, options: Options) -> Findings:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        database = make(directory, stack)
        with running(ours.server("ours", Mode.SAFE, directory, database)):
            pass  # it has answered a few pushes, of which the stored ones are copies
        _say(f"storing {size:,} messages")
        filling.fill(database, size)
        app = stack.enter_context(_application(database, directory))
        with app.app_context():
            engine = db.engine
        _vary(engine)
        _say("digesting them")
        digest_us = _digest(app.extensions["digest"], size)
        _settle(engine)
        costs = dict(_costs(engine, app.extensions["digest"], options.rounds))
        rate, growth = _export(engine, size // EXPORTED)
    return Findings(costs, digest_us, rate, growth)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _application(database: Database, directory: Path) -> Iterator[Flask]:
    environ = ours.settings(Mode.SAFE, database)
    with (directory / "log").open("w") as log, redirect_stdout(log):
        app = create_app(Settings.load(directory / "no.env", environ))
    try:
        yield app
    finally:
        with app.app_context():
            db.engine.dispose()


def _vary(engine: Engine) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        for statement in VARIETY:
            connection.execute(text(statement))


def _digest(digest: Digest, size: int) -> float:
    """µs for each message."""
    started = time.perf_counter()
    while left := digest.catch_up(10):
        _say(f"{left:,} left")
    return (time.perf_counter() - started) / size * 1e6


def _settle(engine: Engine) -> None:
    """Leave the database as it is some time later."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("VACUUM ANALYZE"))
        else:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


def _costs(engine: Engine, digest: Digest, rounds: int) -> Iterator[tuple[str, Cost]]:
    """Medians of `rounds` pages with their counts: the newest, one in the middle, and the oldest."""
    with engine.connect() as connection:
        last = connection.scalar(select(func.max(MessageLog.id))) or 0
        for name, values in FILTERS.items():
            chosen = MessageFilter.parse(values, UTC)
            for place, before in (("newest", None), ("middle", last // 2), ("oldest", last // SHARE)):
                yield f"{name}, {place}", _cost(engine, _Look(connection, digest, chosen, before), rounds)
        yield (
            "one follower's thread, from a day on",
            _cost(engine, lambda: history.thread(connection, 1, day=date(2020, 1, 4)), rounds),
        )
        yield "conversations that need a person", _cost(engine, lambda: _conversations(connection), rounds)


@dataclass(frozen=True)
class _Look:
    """What the view of the messages does."""

    connection: Connection
    digest: Digest
    chosen: MessageFilter
    before: int | None

    def __call__(self) -> None:
        self.digest.catch_up()
        history.page(self.connection, self.chosen, before=self.before)
        history.facets(self.connection, self.chosen)


def _conversations(connection: Connection) -> None:
    found = select(Thread.__table__, Follower.openid, MessageLog.text)
    found = found.join(Follower, Follower.id == Thread.follower_id)
    found = found.join(MessageLog, MessageLog.id == Thread.last_id).where(Thread.status == Status.OPEN)
    connection.execute(found.order_by(Thread.last_id.desc()).limit(41)).all()


def _cost(engine: Engine, look: Callable[[], Any], rounds: int) -> Cost:
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    look()
    event.remove(engine, "before_cursor_execute", note)
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        look()
        times.append(time.perf_counter() - started)
    return Cost(statistics.median(times) * 1000, len(sent))


def _export(engine: Engine, count: int) -> tuple[float, float]:
    """Messages a second, and by how many MiB the peak of memory grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, done = time.perf_counter(), 0
    for _ in export.stream(engine, MessageFilter(), "csv"):
        done += export.BATCH
        if done >= count:
            break
    seconds = time.perf_counter() - started
    return done / seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def _table(kind: str, few: Findings, many: Findings, options: Options) -> str:
    rows = []
    for name, cost in many.costs.items():
        its = few.costs[name]
        ratio = max(cost.ms, NOISE_MS) / max(its.ms, NOISE_MS)
        met = cost.ms <= GOAL_MS and cost.statements <= GOAL_STATEMENTS and ratio <= GOAL_RATIO
        found = verdict(0 if met else 1, 0)
        rows.append([name, f"{its.ms:.1f}", f"{cost.ms:.1f}", f"{ratio:.2f}", str(cost.statements), found])
    head = [
        f"{kind}: page with its counts",
        f"ms, {options.rows // SHARE:,} stored",
        f"ms, {options.rows:,} stored",
        "ratio",
        "statements",
        f"≤ {GOAL_MS:.0f} ms, ≤ {GOAL_RATIO}, ≤ {GOAL_STATEMENTS}",
    ]
    more = [
        ["digesting a message", f"{many.digest_us:.0f} µs", ""],
        [
            f"export of {options.rows // EXPORTED:,} messages",
            f"{many.export_rate:,.0f} messages a second",
            "",
        ],
        ["its growth of memory", f"{many.export_growth:.1f} MiB", verdict(many.export_growth, GOAL_GROWTH)],
    ]
    return table(head, rows) + "\n" + table([f"{kind}, {options.rows:,} stored", "", ""], more)
