"""When the worker leaves the projections for later."""

from __future__ import annotations

import math

import pytest

from wechat_bot.services.projections.resting import BUSY_RATE, MAX_ROWS, MAX_SECONDS, Look, should_rest


def look(seconds: float, latest: int, behind: int = 0) -> Look:
    return Look(100.0 + seconds, latest, behind)


@pytest.mark.parametrize(
    ("before", "now", "rests"),
    [
        (look(0, 50), look(1, 50 + BUSY_RATE), False),
        (look(0, 50), look(1, 51 + BUSY_RATE), True),
        (look(0, 50), look(10, 51 + BUSY_RATE), False),
        (look(0, 50), look(1, 9000, MAX_ROWS - 1), True),
        (look(0, 50), look(1, 9000, MAX_ROWS), False),
        (look(MAX_SECONDS - 2, 50), look(MAX_SECONDS - 1, 9000), True),
        (look(MAX_SECONDS - 1, 50), look(MAX_SECONDS, 9000), False),
        (Look(-math.inf, 0, 0), look(0, 9000), False),
    ],
    ids=[
        "slow",
        "fast",
        "slow since long",
        "nearly too many",
        "too many",
        "nearly too old",
        "too old",
        "first",
    ],
)
def test_the_projector_rests_while_messages_come_fast_within_bounds(
    before: Look, now: Look, rests: bool
) -> None:
    assert should_rest(before, now, caught_up=100.0) == rests


def test_no_load_leaves_the_projections_behind_by_more_than_the_bounds() -> None:
    """Each second, up to ten thousand rows arrive, and a round that is not left out projects everything."""
    for arriving in (1, BUSY_RATE, BUSY_RATE + 1, 1_000, 10_000):
        done, caught_up, before, rested = 0, 0.0, Look(0, 0, 0), 0
        for second in range(1, 200):
            now = Look(second, second * arriving, second * arriving - done)
            assert now.behind < MAX_ROWS + arriving
            assert second - caught_up <= MAX_SECONDS
            if should_rest(before, now, caught_up):
                rested += 1
            else:
                done, caught_up = now.latest, now.seconds
            before = now
        assert (rested > 0) == (arriving > BUSY_RATE)
