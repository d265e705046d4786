"""Options of the benchmarks: durations, repetitions and sizes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from wechat_bot.wechat.credentials import Mode

POSTGRES_URL = os.environ.get("BENCH_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of all commands.

    :raises ValueError: when the database server is on another machine.
    """

    quick: bool
    seconds: int
    """Duration of the load in one turn of one server."""
    repeats: int
    """Turns of each server."""
    connections: tuple[int, ...]
    modes: tuple[Mode, ...] = (Mode.PLAIN, Mode.SAFE)
    messages: int
    """Messages pushed to one worker while its memory is measured."""
    rows: int
    """Messages stored before `growth` and `history` are measured."""
    minutes: int
    """Duration of `soak` on each database."""
    rate: int
    """Messages a second in `soak`."""
    starts: int
    """Starts of the program in `startup`."""
    rounds: int
    """Repetitions of each stage in `profile` and of each page in `history`."""
    numbered: int
    """Messages that are pushed during each fault of `drill`."""
    pushes_per_second: int
    """How many of these are pushed in a second."""
    postgres: str = POSTGRES_URL

    def __post_init__(self) -> None:
        if urlsplit(self.postgres).hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise ValueError("--postgres must name a server on this machine")


THOROUGH = Options(
    quick=False,
    seconds=5,
    repeats=3,
    connections=(16, 64),
    messages=200_000,
    rows=5_000_000,
    minutes=60,
    rate=300,
    starts=9,
    rounds=30,
    numbered=5_000,
    pushes_per_second=150,
)
QUICK = Options(
    quick=True,
    seconds=1,
    repeats=1,
    connections=(16,),
    messages=4_000,
    rows=40_000,
    minutes=1,
    rate=30,
    starts=3,
    rounds=4,
    numbered=300,
    pushes_per_second=60,
)
