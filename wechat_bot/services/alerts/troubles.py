"""Troubles with pushes: none come, many fail, or many are answered late. Found in the counts of pushes.

Who decides whether an account is silent has to know its rhythm: what is expected is the smaller one of what
usually comes at this time of the day, and at this time of the week.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal, select, union_all

from ...models import Occasion, PushCount
from ...models.health import SLOT_SECONDS, slot_of

DAY = 24 * 3600 // SLOT_SECONDS
WEEK = 7 * DAY
"""Slots of a day and of a week."""
MIN_EXPECTED = 20
"""Pushes that have to be expected before their absence is a trouble."""
MIN_PUSHES = 20
"""Pushes of which a share is a trouble."""
FAILED_SHARE = 0.1
LATE_SHARE = 0.05
"""Shares of the pushes from which they are a trouble. 5 % that are late make the 95th percentile late."""
MAX_SILENCE = DAY
"""Slots of a silence that are compared with those of other days, so that these are no part of it."""


@dataclass(frozen=True)
class Traffic:
    """The pushes of an account lately."""

    pushes: int = 0
    failed: int = 0
    slow: int = 0
    """Those of the slot that has begun and of the one before, so of 5 to 10 minutes."""
    silence: timedelta = timedelta(0)
    """Since the last push, in whole slots."""
    expected: float = 0.0
    """How many pushes usually come in such a time."""

    def troubles(self, before: Collection[Occasion]) -> tuple[Occasion, ...]:
        """Return the present troubles, in the order of `TROUBLES`. Those `before` are judged more strictly:
        they last until pushes come again, or until the share that is bad is half of what began them."""
        found = {
            Occasion.STOPPED: not self.pushes
            and (Occasion.STOPPED in before or self.expected >= MIN_EXPECTED),
            Occasion.FAILING: self._is_bad(self.failed, FAILED_SHARE, was=Occasion.FAILING in before),
            Occasion.LATE: self._is_bad(self.slow, LATE_SHARE, was=Occasion.LATE in before),
        }
        return tuple(occasion for occasion, is_present in found.items() if is_present)

    def _is_bad(self, count: int, share: float, *, was: bool) -> bool:
        if was:
            return not self.pushes or count > self.pushes * share / 2
        return self.pushes >= MIN_PUSHES and count > self.pushes * share


def expected(days: Sequence[int], weeks: Sequence[int]) -> float:
    """Return how many pushes are expected, from how many came on other days, and on this day of other weeks.

    0 if not even a week is known.
    """
    return min(median(days), median(weeks)) if weeks else 0.0


def traffic(connection: Connection, account_id: int, now: datetime) -> Traffic:
    """Read the pushes of an account, in one statement, and in two more while there are none."""
    slot, ours = slot_of(now), PushCount.account_id == account_id
    recent = select(PushCount.pushes, PushCount.failed, PushCount.slow).where(
        ours, PushCount.slot >= slot - 1
    )
    rows = connection.execute(recent).all()
    pushes, failed, slow = (sum(row[column] for row in rows) for column in range(3))
    if pushes:
        return Traffic(pushes, failed, slow)
    ends: Any = select(func.min(PushCount.slot), func.max(PushCount.slot)).where(ours)
    first, last = connection.execute(ends).one()
    if first is None:
        return Traffic()
    begin = max(last + 1, slot - MAX_SILENCE)
    windows = {days: (begin - days * DAY, slot - days * DAY) for days in (*range(1, 8), 14, 21, 28)}
    sums = _sums(connection, ours, {days: window for days, window in windows.items() if window[0] >= first})
    days = [sums[number] for number in range(1, 8) if number in sums]
    weeks = [count for number, count in sums.items() if number % 7 == 0]
    silence = timedelta(seconds=(slot - last - 1) * SLOT_SECONDS)
    return Traffic(silence=silence, expected=expected(days, weeks))


def _sums(
    connection: Connection, ours: ColumnElement[bool], windows: Mapping[int, tuple[int, int]]
) -> dict[int, int]:
    """Return the pushes in windows of slots, by the names of these."""
    if not windows:
        return {}
    pushes = func.coalesce(func.sum(PushCount.pushes), 0)
    found = [
        select(literal(name), pushes).where(ours, PushCount.slot >= begin, PushCount.slot < end)
        for name, (begin, end) in windows.items()
    ]
    return {name: int(count) for name, count in connection.execute(union_all(*found))}
