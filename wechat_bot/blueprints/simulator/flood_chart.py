"""The figures of a flood, second by second, and where they are in the picture."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from ...simulator.flood import Outcome, Result
from ...simulator.flood_run import FloodRun

MIN_SPAN = 15
"""Seconds that the picture shows at least: the time of three pushes."""
SCALES = (1, 2, 5, 10, 15)
"""Maxima of the scale of response times, in seconds."""


class Fate(StrEnum):
    """What has become of a follower, in the order in which the picture stacks them."""

    ANSWERED = "answered"
    LATE = "late"
    """Answered by a customer-service message."""
    FETCH = "fetch"
    SILENT = "silent"
    NOTICE = "notice"
    WAITING = "waiting"


@dataclass(frozen=True)
class Second:
    """What had become of the followers at its end, and the ordinary messages that were sent in it."""

    number: int
    """From 1."""
    counts: Mapping[Fate, int]
    ordinary: Sequence[Result]

    @property
    def slowest(self) -> float | None:
        return max((each.seconds for each in self.ordinary), default=None)

    @property
    def notices(self) -> int:
        return sum(each.outcome is Outcome.NOTICE for each in self.ordinary)


@dataclass(frozen=True)
class FloodChart:
    """The seconds of a flood, of which the last may have just begun."""

    followers: int
    seconds: Sequence[Second]
    ordinary: Sequence[Result]

    @property
    def totals(self) -> Mapping[Fate, int]:
        return self.seconds[-1].counts

    @cached_property
    def total(self) -> Second:
        """The whole flood as if it were one second."""
        return Second(len(self.seconds), self.totals, self.ordinary)

    @property
    def span(self) -> int:
        return max(MIN_SPAN, len(self.seconds))

    @property
    def ticks(self) -> range:
        return range(0, self.span + 1, 5 if self.span <= 30 else 10)

    @property
    def scale(self) -> float:
        """The maximum of the scale of response times, in seconds."""
        slowest = self.total.slowest or 0.0
        return next((scale for scale in SCALES if slowest <= scale), math.ceil(slowest))

    def x(self, seconds: float, width: float) -> float:
        return round(min(seconds, self.span) / self.span * width, 1)

    def stack(self, second: Second, height: float) -> Iterator[tuple[Fate, float, float]]:
        """Yield each fate with the distance of its block from the top, and the height of the block."""
        top = height
        for fate, count in second.counts.items():
            if count:
                block = count / self.followers * height
                top -= block
                yield fate, round(top, 1), round(block, 1)


def draw(run: FloodRun, arrivals: Mapping[str, float], now: float) -> FloodChart:
    """Return the chart of a flood.

    :param arrivals: when customer-service messages reached followers, in seconds since the flood began.
    :param now: in Unix time.
    """
    last = max(1, math.ceil(max(_moments(run, arrivals, now))))
    seconds = [
        Second(number, counts, [each for each in run.ordinary if number - 1 <= each.started < number])
        for number, counts in enumerate(_counts(run, arrivals, last), 1)
    ]
    return FloodChart(run.plan.followers, seconds, run.ordinary)


def _moments(run: FloodRun, arrivals: Mapping[str, float], now: float) -> Iterator[float]:
    """Yield when something happened that the chart shows, in seconds since the flood began."""
    yield from (each.started + each.seconds for each in run.questions)
    yield from (each.started for each in run.ordinary)
    yield from arrivals.values()
    if len(run.questions) < run.plan.followers:
        yield now - run.began if run.seconds is None else run.seconds


def _counts(run: FloodRun, arrivals: Mapping[str, float], last: int) -> Iterator[Mapping[Fate, int]]:
    """Yield what had become of the followers by the end of each second, from 1 to `last`."""
    changes: defaultdict[int, Counter[Fate]] = defaultdict(Counter)
    for each in run.questions:
        fate = Fate(each.outcome.value)
        _move(changes, each.started + each.seconds, Fate.WAITING, fate)
        if each.openid in arrivals:
            _move(changes, max(arrivals[each.openid], each.started + each.seconds), fate, Fate.LATE)
    counts = Counter({Fate.WAITING: run.plan.followers})
    for second in range(1, last + 1):
        counts.update(changes[second])
        yield {fate: counts[fate] for fate in Fate}


def _move(changes: Mapping[int, Counter[Fate]], moment: float, old: Fate, new: Fate) -> None:
    """Move a follower from one fate to another in the second that `moment` belongs to."""
    change = changes[max(1, math.ceil(moment))]
    change[old] -= 1
    change[new] += 1
