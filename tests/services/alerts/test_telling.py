"""When channels are told of followers who wait, and how often."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from tests.conftest import MakeApp
from tests.services.alerts.played import ADMIN, Robot, Shop, playing_robot
from wechat_bot.database.transactions import transaction
from wechat_bot.models import Alert, AlertChannel, AlertFailure, Handover, Occasion
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.routing import Owner
from wechat_bot.services.alerts import channels, delivery
from wechat_bot.services.conversations import handover
from wechat_bot.settings import Switch
from wechat_bot.testing import FakePlatform

MINUTE = timedelta(minutes=1)


@pytest.fixture
def any_shop(make_app: MakeApp, any_database: str) -> Shop:
    return Shop(make_app(database_url=any_database, alerts_private_addresses=Switch.YES))


def answered(shop: Shop, follower_id: int) -> None:
    """Let the bot have the conversation back."""
    with transaction(shop.bot.engine) as connection:
        handover.end(connection, shop.account_id, [follower_id], None)


def test_a_channel_is_told_once_and_again_when_nobody_answers(any_shop: Shop, robot: Robot) -> None:
    shop = any_shop
    channel_id = shop.add("wecom", robot.url)
    shop.asks("oFirst")
    now = datetime.now(UTC)
    for minutes in range(10):
        shop.tell(now + minutes * MINUTE)
    name = pseudonym("oFirst")
    assert robot.texts == [
        f"公众号：1 位粉丝在等人工\n{name} 刚开始等",
        f"公众号：1 位粉丝在等人工，其中 1 位等了 5 分钟以上\n{name} 等了 5分钟",
    ]
    row = shop.row(channel_id)
    assert (row.last_failure, row.failures, row.failing_since) == (None, 0, None)
    assert row.last_at is not None


def test_who_waits_again_is_told_of_again(any_shop: Shop, robot: Robot) -> None:
    shop = any_shop
    shop.add("wecom", robot.url, occasions=["waiting"])
    shop.asks("oFirst")
    now = datetime.now(UTC)
    shop.tell(now)
    with shop.bot.engine.begin() as connection:
        connection.execute(update(Handover).values(since=now + 3 * MINUTE))
    shop.tell(now + 3 * MINUTE)
    shop.tell(now + 5 * MINUTE)
    assert len(robot.got) == 2
    with shop.bot.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Alert)) == 1


def test_what_comes_within_a_minute_is_counted_in_the_next_message(shop: Shop, robot: Robot) -> None:
    shop.add("wecom", robot.url, occasions=["waiting"])
    shop.asks("oFirst")
    now = datetime.now(UTC)
    shop.tell(now)
    for number in range(7):
        shop.asks(f"oFollower{number}")
        shop.tell(now + number * timedelta(seconds=5))
    answered(shop, 2)
    assert len(robot.got) == 1
    shop.tell(now + MINUTE)
    title, *lines = robot.texts[1].split("\n")
    assert title == "公众号：6 位粉丝在等人工"
    assert lines[-2:] == ["还有 1 位", "https://bot.example.com/admin/conversations"]
    assert len(lines) == 12
    shop.tell(now + 2 * MINUTE)
    assert len(robot.got) == 2


def test_who_waited_before_the_channel_was_made_is_not_told_of(shop: Shop, robot: Robot) -> None:
    shop.asks("oFirst")
    with shop.bot.engine.begin() as connection:
        connection.execute(update(Handover).values(since=datetime.now(UTC) - 2 * MINUTE))
    shop.add("wecom", robot.url)
    shop.tell(datetime.now(UTC) + 10 * MINUTE)
    assert robot.got == []


def test_a_channel_that_is_off_is_told_nothing(shop: Shop, robot: Robot) -> None:
    shop.add("wecom", robot.url, enabled=False)
    shop.asks("oFirst")
    shop.tell()
    assert robot.got == []


def test_another_account_is_told_nothing(shop: Shop, robot: Robot) -> None:
    shop.add("wecom", robot.url)
    shop.asks("oFirst")
    with shop.app.app_context():
        shop.bot.alerts.tell_due(shop.account_id + 1, datetime.now(UTC))
    assert robot.got == []


def test_in_quiet_hours_nothing_is_sent_and_who_still_waits_is_told_of_afterwards(
    shop: Shop, robot: Robot
) -> None:
    zone = shop.bot.account.time_zone
    night = datetime.now(zone).replace(hour=23, minute=0) + timedelta(days=1)
    shop.add("wecom", robot.url, quiet={"hours": ["22:00-08:00"]})
    shop.asks("oFirst")
    shop.asks("oSecond")
    shop.tell(night)
    shop.tell(night + timedelta(hours=8))
    assert robot.got == []
    answered(shop, 1)
    shop.tell(night + timedelta(hours=9))
    [text] = robot.texts
    assert text.startswith("公众号：1 位粉丝在等人工，其中 1 位等了 5 分钟以上")


def test_several_workers_tell_once(any_shop: Shop, robot: Robot) -> None:
    shop = any_shop
    shop.add("wecom", robot.url)
    shop.asks("oFirst")
    now = datetime.now(UTC)
    barrier = threading.Barrier(4)

    def work(_number: int) -> None:
        barrier.wait()
        shop.tell(now)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(robot.got) == 1


def test_a_worker_that_dies_while_it_sends_loses_nothing(
    shop: Shop, robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.add("wecom", robot.url)
    shop.asks("oFirst")
    now = datetime.now(UTC)
    with monkeypatch.context() as dying:
        dying.setattr(shop.bot.alerts, "_tell", lambda *_: None)
        shop.tell(now)
    shop.tell(now + timedelta(seconds=30))
    assert robot.got == []
    shop.tell(now + MINUTE)
    assert len(robot.got) == 1


def test_a_dead_robot_rests_longer_each_time_and_is_told_in_the_end(shop: Shop, robot: Robot) -> None:
    robot.status, robot.answer = 500, b""
    channel_id = shop.add("wecom", robot.url, occasions=["waiting"])
    shop.asks("oFirst")
    now = datetime.now(UTC)
    pauses = []
    for _ in range(8):
        shop.tell(now)
        pauses.append((shop.row(channel_id).next_at - now) / MINUTE)
        now = shop.row(channel_id).next_at
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    row = shop.row(channel_id)
    assert (row.failures, row.last_failure, row.last_code) == (8, AlertFailure.STATUS, 500)
    robot.status, robot.answer = 200, {"errcode": 0}
    shop.tell(now)
    row = shop.row(channel_id)
    assert (row.failures, row.last_failure, row.failing_since) == (0, None, None)
    assert len(robot.got) == 9


def test_a_silent_robot_does_not_delay_the_others(
    shop: Shop, robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT", 30)
    with playing_robot() as silent:
        silent.silent.set()
        shop.add("wecom", silent.url)
        shop.add("wecom", robot.url)
        shop.asks("oFirst")
        worker = threading.Thread(target=shop.tell)
        worker.start()
        while not (robot.got and silent.got):
            worker.join(0.01)
            assert worker.is_alive()
        silent.woken.set()
        worker.join()


def test_a_test_that_succeeds_ends_the_pause(shop: Shop, robot: Robot) -> None:
    robot.status, robot.answer = 500, b""
    channel_id = shop.add("wecom", robot.url)
    for _ in range(5):
        assert shop.test(channel_id)
    robot.status, robot.answer = 200, {"errcode": 0}
    assert shop.test(channel_id) is None
    row = shop.row(channel_id)
    assert (row.failures, row.failing_since) == (0, None)
    assert row.next_at <= datetime.now(UTC) + MINUTE


def test_a_channel_that_is_deleted_while_it_is_told_stays_deleted(
    shop: Shop, robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel_id = shop.add("wecom", robot.url)
    shop.asks("oFirst")
    deliver = shop.bot.alerts._deliver

    def delete_first(*args: object) -> object:
        channels.remove(shop.bot.engine, ADMIN, shop.account_id, channel_id)
        return deliver(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(shop.bot.alerts, "_deliver", delete_first)
    shop.tell()
    with shop.bot.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(AlertChannel)) == 0
        assert connection.scalar(select(func.count()).select_from(Alert)) == 0


def test_another_occasion_later_does_not_repeat_the_first(shop: Shop, robot: Robot) -> None:
    channel_id = shop.add("wecom", robot.url, occasions=["unanswered"], minutes=1)
    shop.asks("oFirst")
    now = datetime.now(UTC)
    shop.tell(now + MINUTE)
    both = {"occasions": [str(each) for each in Occasion], "minutes": 1}
    definition = {**shop.row(channel_id).definition, **both}
    with shop.bot.engine.begin() as connection:
        connection.execute(update(AlertChannel).values(definition=definition))
    shop.asks("oSecond")
    for minutes in range(2, 6):
        shop.tell(now + minutes * MINUTE)
    assert len(robot.got) == 2


def test_the_handover_knows_when_somebody_was_told_first(shop: Shop, robot: Robot) -> None:
    shop.add("wecom", robot.url)
    shop.asks("oFirst")
    now = datetime.now(UTC)
    for minutes in (0, 5):
        shop.tell(now + minutes * MINUTE)
    with shop.bot.engine.connect() as connection:
        assert connection.scalar(select(Handover.alerted_at)) == now


def test_who_is_answered_by_the_bot_or_an_operator_does_not_wait(shop: Shop, robot: Robot) -> None:
    shop.add("wecom", robot.url)
    FakePlatform.of(shop.app).follower("oFirst").text("帮助")
    shop.asks("oSecond")
    with shop.bot.engine.begin() as connection:
        connection.execute(update(Handover).values(owner=Owner.OPERATOR))
    shop.tell(datetime.now(UTC) + 10 * MINUTE)
    assert robot.got == []
