"""How far a projection of a table has come, with the ids below that may still be committed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

GAP_TIMEOUT = 60
"""Seconds after which a missing id is no longer expected: its transaction was rolled back."""
MAX_GAPS = 200


@dataclass(frozen=True)
class Watermark:
    """The position of a projection, as `Progress` stores it."""

    id: int
    """All ids up to here are done, except those in `gaps`."""
    gaps: list[Any]

    def advanced(self, new: Iterable[tuple[int, datetime]], late: Collection[int], now: float) -> Watermark:
        """Return the position after `new` ids with the times of their rows, and `late` ids out of the gaps.

        `now` is Unix time.
        """
        gaps = [part for gap in self.gaps for part in _without(gap, late)]
        last_id = self.id
        for row_id, seen in new:
            if row_id > last_id + 1:
                gaps.append([last_id + 1, row_id - 1, int(seen.timestamp())])
            last_id = row_id
        return Watermark(last_id, [gap for gap in gaps if now - gap[2] <= GAP_TIMEOUT][-MAX_GAPS:])


def _without(gap: Sequence[int], ids: Collection[int]) -> Iterable[list[int]]:
    """Return the parts of `gap` that are left when `ids` are taken out of it."""
    first, last, since = gap
    for row_id in sorted(row_id for row_id in ids if first <= row_id <= last):
        if first < row_id:
            yield [first, row_id - 1, since]
        first = row_id + 1
    if first <= last:
        yield [first, last, since]
