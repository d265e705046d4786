"""How long and how often a follower may be written to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select
from sqlalchemy.orm import aliased

from tests.conftest import MakeApp
from tests.services.messages.journal import Journal
from wechat_bot.handlers import router
from wechat_bot.models import Channel, Conversation, Direction, Follower, MessageLog, MessageState
from wechat_bot.services.outbox.window import (
    UNLIMITED,
    Closed,
    Window,
    compute_window,
    estimate_window,
    not_yet_closed,
    spent_since,
)
from wechat_bot.services.projections.projector import Projector

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
    state: MessageState = MessageState.ANSWERED
    errcode: int | None = None
    payload: dict[str, str] = field(default_factory=dict)


def tapped(ago: timedelta) -> Row:
    """A tap on an entry of a menu message."""
    return Row(Direction.IN, NOW - ago, payload={"bizmsgmenuid": "101"})


def wrote(ago: timedelta) -> Row:
    return Row(Direction.IN, NOW - ago)


def did(event: str, ago: timedelta, **payload: str) -> Row:
    return Row(Direction.IN, NOW - ago, "event", event, payload=payload)


def sent(
    state: MessageState = MessageState.SENT, errcode: int | None = None, channel: Channel = Channel.CUSTOMER
) -> Row:
    return Row(Direction.OUT, NOW, channel=channel, state=state, errcode=errcode)


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
            [sent(MessageState.QUEUED), sent(MessageState.SENDING), sent(MessageState.UNKNOWN), wrote(HOURS)],
            Window(None, closes(HOURS, 48 * HOURS), 2, 5),
            id="what is on its way counts, and what may have arrived",
        ),
        pytest.param(
            [
                sent(MessageState.FAILED),
                sent(MessageState.WITHDRAWN),
                sent(channel=Channel.REPLY),
                wrote(HOURS),
            ],
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
            [tapped(30 * SECONDS)],
            Window(None, closes(30 * SECONDS, 60 * SECONDS), 3, 3),
            id="a tap on a menu message: three in a minute",
        ),
        pytest.param([tapped(61 * SECONDS)], Window(Closed.SILENT), id="the minute of the tap is over"),
        pytest.param(
            [tapped(HOURS), sent(), wrote(2 * HOURS)],
            Window(None, closes(2 * HOURS, 48 * HOURS), 4, 5),
            id="a tap takes nothing away from the message before it",
        ),
        pytest.param(
            [*[sent()] * 9, did("user_pay_from_pay_cell", HOURS)],
            Window(None, closes(HOURS, 48 * HOURS), UNLIMITED - 9, UNLIMITED),
            id="a payment: as many as one likes",
        ),
        pytest.param(
            [did("subscribe", HOURS, EventKey="last_trade_no_42"), wrote(2 * HOURS)],
            Window(None, closes(HOURS, 48 * HOURS), UNLIMITED, UNLIMITED),
            id="who followed from the page of a payment has paid",
        ),
        pytest.param(
            [sent(MessageState.FAILED, 45015), wrote(HOURS)],
            Window(Closed.SILENT),
            id="the platform knows better about the time",
        ),
        pytest.param(
            [sent(MessageState.FAILED, 45047), wrote(HOURS)],
            Window(Closed.USED_UP, closes(HOURS, 48 * HOURS), 0, 5),
            id="and about the count",
        ),
        pytest.param(
            [wrote(SECONDS), sent(MessageState.FAILED, 45015), wrote(HOURS)],
            Window(None, closes(SECONDS, 48 * HOURS), 5, 5),
            id="until the follower writes again",
        ),
    ],
)
def test_what_a_follower_did_decides_how_often_he_may_be_written_to(
    newest: list[Row], expected: Window
) -> None:
    assert compute_window(True, newest, NOW) == expected


def test_who_left_may_not_be_written_to() -> None:
    assert compute_window(False, [wrote(SECONDS)], NOW) == Window(Closed.LEFT)


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    return make_app(database_url=any_database)


def test_many_windows_are_told_at_a_glance(journal: Journal, engine: Engine) -> None:
    """Who wrote first is closed first; who wrote too long ago, left, or only tapped or chose is not shown."""
    wrote_at = {
        "oLate": 49 * HOURS,
        "oSoon": 47 * HOURS,
        "oLeft": 3 * HOURS,
        "oUsedUp": 2 * HOURS,
        "oTapped": HOURS,
        "oChose": HOURS,
    }
    for openid, ago in wrote_at.items():
        follower = journal.follower(openid, subscribed=openid != "oLeft")
        kind, event = ("event", "click") if openid == "oTapped" else ("text", "")
        fields = {"bizmsgmenuid": "101"} if openid == "oChose" else {"Content": "在吗"}
        journal.add(follower_id=follower, created_at=NOW - ago, kind=kind, event=event, payload=fields)
        answers = 5 if openid == "oUsedUp" else 1
        sent: dict[str, Any] = {"follower_id": follower, "direction": Direction.OUT, "created_at": NOW - ago}
        journal.add_many(["好"] * answers, channel=Channel.CUSTOMER, **sent)
        journal.add_many(["好"], channel=Channel.CUSTOMER, state=MessageState.FAILED, **sent)
        journal.add_many(["好"], channel=Channel.REPLY, **sent)
    Projector(engine, router).catch_up()
    written = aliased(MessageLog)
    found = (
        select(
            Follower.openid,
            Follower.subscribed,
            written.created_at.label("written_at"),
            spent_since(Conversation.follower_id, Conversation.last_in_id).label("spent"),
        )
        .join(Conversation, Conversation.follower_id == Follower.id)
        .join(MessageLog, MessageLog.id == Conversation.last_id)
        .outerjoin(written, written.id == Conversation.last_in_id)
    )
    with engine.connect() as connection:
        rows = connection.execute(found).all()
        closing = found.where(not_yet_closed(written.created_at, NOW)).order_by(Conversation.last_in_id)
        names = [row.openid for row in connection.execute(closing)]
    assert names == ["oSoon", "oUsedUp"]
    windows = {row.openid: estimate_window(row.subscribed, row.written_at, row.spent, NOW) for row in rows}
    assert windows == {
        "oLate": Window(Closed.SILENT),
        "oSoon": Window(None, closes(47 * HOURS, 48 * HOURS), 4, 5),
        "oLeft": Window(Closed.LEFT),
        "oUsedUp": Window(Closed.USED_UP, closes(2 * HOURS, 48 * HOURS), 0, 5),
        "oTapped": Window(Closed.SILENT),
        "oChose": Window(Closed.SILENT),
    }
