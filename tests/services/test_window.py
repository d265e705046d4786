"""How long and how often a follower may be written to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from wechat_bot.models import Channel, Direction, State
from wechat_bot.services.window import Closed, Window, reckon

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOURS = timedelta(hours=1)
SECONDS = timedelta(seconds=1)


@dataclass(frozen=True)
class Row:
    direction: Direction
    created_at: datetime
    kind: str = "text"
    event: str = ""
    channel: Channel | None = None
    state: State = State.ANSWERED
    error: str = ""


def wrote(ago: timedelta) -> Row:
    return Row(Direction.IN, NOW - ago)


def did(event: str, ago: timedelta) -> Row:
    return Row(Direction.IN, NOW - ago, "event", event)


def sent(state: State = State.SENT, error: str = "", channel: Channel = Channel.CUSTOMER) -> Row:
    return Row(Direction.OUT, NOW, channel=channel, state=state, error=error)


def closes(ago: timedelta, after: timedelta) -> datetime:
    return NOW - ago + after


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        pytest.param([], Window(Closed.SILENT), id="never wrote"),
        pytest.param([wrote(HOURS)], Window(None, closes(HOURS, 48 * HOURS), 5, 5), id="a message: five"),
        pytest.param([wrote(49 * HOURS)], Window(Closed.SILENT), id="too long ago"),
        pytest.param([wrote(48 * HOURS)], Window(Closed.SILENT), id="to the second"),
        pytest.param(
            [sent(), sent(), wrote(HOURS)], Window(None, closes(HOURS, 48 * HOURS), 3, 5), id="two are spent"
        ),
        pytest.param(
            [sent(State.QUEUED), sent(State.SENDING), sent(State.UNKNOWN), wrote(HOURS)],
            Window(None, closes(HOURS, 48 * HOURS), 2, 5),
            id="what is on its way counts, and what may have arrived",
        ),
        pytest.param(
            [sent(State.FAILED), sent(State.WITHDRAWN), sent(channel=Channel.REPLY), wrote(HOURS)],
            Window(None, closes(HOURS, 48 * HOURS), 5, 5),
            id="what failed, was taken back, or rode on an answer does not",
        ),
        pytest.param(
            [sent()] * 5 + [wrote(HOURS)],
            Window(Closed.USED_UP, closes(HOURS, 48 * HOURS), 0, 5),
            id="five are all",
        ),
        pytest.param(
            [wrote(HOURS), sent(), sent(), wrote(2 * HOURS)],
            Window(None, closes(HOURS, 48 * HOURS), 5, 5),
            id="another message begins anew",
        ),
        pytest.param(
            [did("click", 30 * SECONDS)],
            Window(None, closes(30 * SECONDS, 60 * SECONDS), 3, 3),
            id="a tap on the menu: three in a minute",
        ),
        pytest.param([did("click", 61 * SECONDS)], Window(Closed.SILENT), id="the minute is over"),
        pytest.param([did("view", SECONDS)], Window(Closed.SILENT), id="a link of the menu allows nothing"),
        pytest.param(
            [did("subscribe", SECONDS), wrote(HOURS)],
            Window(None, closes(HOURS, 48 * HOURS), 5, 5),
            id="the larger count and the longer time",
        ),
        pytest.param(
            [did("scan", SECONDS)] + [sent()] * 5 + [wrote(HOURS)],
            Window(None, closes(SECONDS, 60 * SECONDS), 3, 3),
            id="a scan after five: three in a minute",
        ),
        pytest.param(
            [sent(State.FAILED, "45015 out of time"), wrote(HOURS)],
            Window(Closed.SILENT),
            id="the platform knows better about the time",
        ),
        pytest.param(
            [sent(State.FAILED, "45047 out of count"), wrote(HOURS)],
            Window(Closed.USED_UP, closes(HOURS, 48 * HOURS), 0, 5),
            id="and about the count",
        ),
        pytest.param(
            [wrote(SECONDS), sent(State.FAILED, "45015 out of time"), wrote(HOURS)],
            Window(None, closes(SECONDS, 48 * HOURS), 5, 5),
            id="until the follower writes again",
        ),
    ],
)
def test_what_a_follower_did_decides_how_often_he_may_be_written_to(
    newest: list[Row], expected: Window
) -> None:
    assert reckon(True, newest, NOW) == expected


def test_who_left_may_not_be_written_to() -> None:
    assert reckon(False, [wrote(SECONDS)], NOW) == Window(Closed.LEFT)
