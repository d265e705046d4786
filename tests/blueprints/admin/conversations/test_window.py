"""The colour of the window in which a follower can be answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wechat_bot.blueprints.admin.conversations.outgoing import urgency
from wechat_bot.services.outbox.window import Window


@pytest.mark.parametrize(
    ("minutes", "left", "colour"),
    [
        (59, 5, "red"),
        (62, 5, "yellow"),
        (5 * 60 + 59, 5, "yellow"),
        (6 * 60 + 2, 1, "yellow"),
        (6 * 60 + 2, 2, "green"),
        (6 * 60 + 2, 5, "green"),
    ],
)
def test_a_window_that_closes_within_the_hour_is_red(minutes: int, left: int, colour: str) -> None:
    ends_at = datetime.now(UTC) + timedelta(minutes=minutes)
    assert urgency(Window(None, ends_at, left, 5)) == f"bg-{colour}-lt"
