"""When the worker leaves the projections for later, because pushes need the processors and the database."""

from __future__ import annotations

from dataclasses import dataclass

BUSY_RATE = 1000
"""Rows a second above which messages arrive fast. Projecting fewer takes less than a tenth of a processor."""
MAX_ROWS = 20_000
MAX_SECONDS = 60.0


@dataclass(frozen=True)
class Look:
    """What the worker sees of the message log when a round begins."""

    seconds: float
    """The time, on a monotonic clock."""
    latest: int
    """The id of the newest message."""
    behind: int
    """Messages that the projections lack."""


def should_rest(before: Look, now: Look, caught_up: float) -> bool:
    """Decide whether a round of the worker is left out, from what this round and the one before it see.

    It is while more than `BUSY_RATE` rows a second arrive, but not once the projections lack `MAX_ROWS`
    messages or were complete `MAX_SECONDS` ago, which is the time `caught_up`.
    """
    busy = now.latest - before.latest > BUSY_RATE * (now.seconds - before.seconds)
    return busy and now.behind < MAX_ROWS and now.seconds - caught_up < MAX_SECONDS
