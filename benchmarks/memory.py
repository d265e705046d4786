"""``memory``: measures the memory of one worker while it takes many messages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from wechat_bot.wechat.credentials import Mode

from . import ours, tools, traffic
from .databases import SQLite
from .options import Options
from .processes import memory_usage, tree
from .report import Report, table
from .servers import Running, running

CONNECTIONS = 16
SAMPLES = 10
MAX_REQUESTS = 60_000
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Sample:
    messages: int
    resident: int
    """Resident bytes, including mapped files."""
    private: int
    """Resident bytes that belong to no file."""


def run(options: Options) -> Report:
    tools.wrk()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        server = ours.server("ours", Mode.SAFE, directory, SQLite(directory / "bot.db"), workers=1)
        samples = list(_measure(stack.enter_context(running(server)), directory, options))
    rows = [_row(sample, samples[0]) for sample in samples]
    head = ["messages taken", "RSS, MiB", "of it private, MiB", "growth since the first line, MiB"]
    return Report(table(head, rows))


def _measure(server: Running, directory: Path, options: Options) -> Iterator[Sample]:
    """Yield `SAMPLES` samples until `options.messages` are recorded; safe mode, 10,000 followers."""
    taken, rate = 0, 2000.0
    yield _sample(server, taken)
    next_sample = options.messages // SAMPLES
    while taken < options.messages:
        count = min(MAX_REQUESTS, int(2 * rate * options.seconds))
        traffic.write(Mode.SAFE, directory, count)
        turn = server.turn(directory, connections=CONNECTIONS, seconds=options.seconds)
        if not turn.rows:
            raise RuntimeError("the worker takes no messages")
        taken, rate = taken + turn.rows, turn.load.rate
        print(f"{taken} of {options.messages} messages", file=sys.stderr, flush=True)
        if taken >= next_sample:
            yield _sample(server, taken)
            next_sample = taken + options.messages // SAMPLES


def _sample(server: Running, taken: int) -> Sample:
    """Measure the largest process of the tree, which is the worker."""
    sizes = max((memory_usage(pid) for pid in tree(server.pid)), key=lambda sizes: sizes.get("VmRSS", 0))
    return Sample(taken, sizes["VmRSS"], sizes["RssAnon"])


def _row(sample: Sample, first: Sample) -> list[str]:
    sizes = (sample.resident, sample.private, sample.resident - first.resident)
    return [f"{sample.messages:,}", *(f"{size / MEBIBYTE:.1f}" for size in sizes)]
