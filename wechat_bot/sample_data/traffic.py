"""When people write: more by day and evening than at night, more at weekends, and more every week."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
BY_HOUR = (2, 1, 1, 1, 1, 2, 4, 9, 15, 21, 24, 23, 20, 17, 19, 20, 20, 21, 22, 27, 32, 30, 18, 7)
BY_DAY = (10, 10, 10, 11, 12, 14, 13)
GROWTH = 0.6
"""By how much the last day is busier than the first."""
HOUR = timedelta(hours=1)


class TrafficCurve:
    """Places fractions of what happens between `since` and `until` in time."""

    def __init__(self, rng: Random, since: datetime, until: datetime) -> None:
        self._since = since
        count = -((since - until) // HOUR)
        days = [rng.uniform(0.8, 1.25) for _ in range(count // 24 + 2)]
        hours = [since + HOUR * number for number in range(count)]
        weights = [_busy(hour) * days[n // 24] * (1 + GROWTH * n / count) for n, hour in enumerate(hours)]
        weights[-1] *= (until - hours[-1]) / HOUR
        self._sums = list(accumulate(weights, initial=0.0))
        self._last = (until - hours[-1]) / HOUR

    def at(self, done: float) -> datetime:
        """When the fraction `done` of everything has happened; not for 1."""
        goal = done * self._sums[-1]
        hour = min(bisect_right(self._sums, goal) - 1, len(self._sums) - 2)
        begun, ended = self._sums[hour : hour + 2]
        length = self._last if hour == len(self._sums) - 2 else 1.0
        return self._since + HOUR * (hour + length * (goal - begun) / (ended - begun))


def _busy(hour: datetime) -> float:
    local = hour.astimezone(ZONE)
    return BY_HOUR[local.hour] * BY_DAY[local.weekday()]
