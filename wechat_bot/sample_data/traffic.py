"""Distribution of sample messages over time: by hour of the day, by weekday, and growing every week."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
"""The time zone of the followers."""
BY_HOUR = (2, 1, 1, 1, 1, 2, 4, 9, 15, 21, 24, 23, 20, 17, 19, 20, 20, 21, 22, 27, 32, 30, 18, 7)
BY_DAY = (10, 10, 10, 11, 12, 14, 13)
"""Weights of the weekdays, Monday first, and above of the hours."""
GROWTH = 0.6
"""Relative growth of the traffic from the first to the last day."""
HOUR = timedelta(hours=1)


class TrafficCurve:
    """Maps fractions of the messages between `since` and `until` to times."""

    def __init__(self, rng: Random, since: datetime, until: datetime) -> None:
        self._since = since
        count = -((since - until) // HOUR)
        days = [rng.uniform(0.8, 1.25) for _ in range(count // 24 + 2)]
        hours = [since + HOUR * number for number in range(count)]
        weights = [_weight(hour) * days[n // 24] * (1 + GROWTH * n / count) for n, hour in enumerate(hours)]
        weights[-1] *= (until - hours[-1]) / HOUR
        self._sums = list(accumulate(weights, initial=0.0))
        self._last = (until - hours[-1]) / HOUR

    def at(self, done: float) -> datetime:
        """Return the time at which the fraction `done` of all messages has been sent, 0 <= done < 1."""
        goal = done * self._sums[-1]
        hour = min(bisect_right(self._sums, goal) - 1, len(self._sums) - 2)
        begun, ended = self._sums[hour : hour + 2]
        length = self._last if hour == len(self._sums) - 2 else 1.0
        return self._since + HOUR * (hour + length * (goal - begun) / (ended - begun))


def _weight(hour: datetime) -> float:
    local = hour.astimezone(ZONE)
    return BY_HOUR[local.hour] * BY_DAY[local.weekday()]
