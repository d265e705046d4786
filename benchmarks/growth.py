"""``growth``: compares the cost of a push with millions of stored messages and with none."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine, func, select, update

from wechat_bot.models import Follower, MessageLog, Progress
from wechat_bot.wechat.credentials import Mode

from . import filling, ours, tools, traffic
from .databases import Database, SQLite, postgres
from .options import Options
from .report import Report, table, verdict
from .servers import Running, Turn, running
from .tools import Missing

CONNECTIONS = 16
GOAL = 1.1
"""Maximum ratio of the costs."""
MAX_REQUESTS = 60_000
PROCESSED: Mapping[str, type[MessageLog | Follower]] = {
    "messages": MessageLog,
    "questions": MessageLog,
    "followers": Follower,
}
"""The tables that the worker follows, by the name of its position."""


def run(options: Options) -> Report:
    """Measure each database; both instances have the same followers, so that only the messages differ."""
    tools.wrk()
    rows, skipped = [], []
    for kind, make in _kinds(options).items():
        try:
            rows.append([kind, *_measure(make, options)])
        except Missing as error:
            skipped.append([kind, *["–"] * 4, f"skipped: {error}"])
    head = ["", "CPU µs/push, none stored", f"{options.rows:,} stored", "ratio (min–max)", "wanted", ""]
    return Report(table(head, rows + skipped))


def _kinds(options: Options) -> dict[str, Callable[[Path, ExitStack], Database]]:
    return {
        "SQLite FULL": lambda directory, _: SQLite(directory / "bot.db"),
        "PostgreSQL, with the database's own": lambda _, stack: stack.enter_context(
            postgres(options.postgres)
        ),
    }


def _measure(make: Callable[[Path, ExitStack], Database], options: Options) -> list[str]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        pair = [_serve(make, directory / str(messages), messages, stack) for messages in (0, options.rows)]
        empty, full = _take_turns(pair, directory, options)
    ratios = [two.cpu_us / one.cpu_us for one, two in zip(empty, full, strict=True)]
    ratio = statistics.median(ratios)
    costs = [f"{statistics.median(turn.cpu_us for turn in turns):.0f}" for turns in (empty, full)]
    found = f"{ratio:.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
    return [*costs, found, f"≤ {GOAL}", verdict(ratio, GOAL)]


def _serve(
    make: Callable[[Path, ExitStack], Database], home: Path, messages: int, stack: ExitStack
) -> Running:
    """Start the program on a database with `messages` stored messages."""
    home.mkdir()
    database = make(home, stack)
    server = ours.server("ours", Mode.SAFE, home, database)
    with running(server):
        pass  # the pushes of its check are recorded; `filling` copies them
    print(f"storing {messages:,} messages", file=sys.stderr, flush=True)
    filling.fill(database, messages)
    _mark_as_processed(database)
    return stack.enter_context(running(server))


def _mark_as_processed(database: Database) -> None:
    """Leave nothing to the worker, which would still be busy when the measurement begins."""
    engine = create_engine(database.url)
    with engine.begin() as connection:
        for name, model in PROCESSED.items():
            newest = select(func.coalesce(func.max(model.id), 0)).scalar_subquery()
            connection.execute(update(Progress).where(Progress.name == name).values(watermark=newest))
    engine.dispose()


def _take_turns(servers: Sequence[Running], directory: Path, options: Options) -> list[list[Turn]]:
    """Measure the servers in turns, after one turn of each as warm-up."""
    turns: list[list[Turn]] = [[] for _ in servers]
    rate = 2500.0
    for number in range(options.repeats + 1):
        traffic.write(Mode.SAFE, directory, min(MAX_REQUESTS, int(2 * rate * options.seconds)))
        for server, measured in zip(servers, turns, strict=True):
            turn = server.turn(directory, connections=CONNECTIONS, seconds=options.seconds)
            rate = max(rate, turn.load.rate)
            if number:
                measured.append(turn)
    return turns
