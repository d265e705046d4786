"""When pushes have stopped, fail or are late, and what channels are told of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, update

from tests.conftest import MakeApp, statements
from tests.services.alerts.played import Robot, Shop
from wechat_bot.database.transactions import transaction
from wechat_bot.models import AlertChannel, Occasion, PushCount
from wechat_bot.models.health import SLOT_SECONDS, slot_of
from wechat_bot.services.alerts.troubles import DAY, WEEK, Traffic, expected, traffic
from wechat_bot.settings import Switch

STOPPED, FAILING, LATE = Occasion.STOPPED, Occasion.FAILING, Occasion.LATE
NOW = datetime(2040, 1, 25, 10, 2, tzinfo=UTC)
SLOT = timedelta(seconds=SLOT_SECONDS)


@pytest.mark.parametrize(
    ("days", "weeks", "count"),
    [
        ([100, 120, 80, 100, 0, 0, 110], [90], 90),
        ([100, 100, 100, 100, 100, 100, 0], [0, 0, 0], 0),  # closed on this day of the week
        ([5000, 10, 12, 9, 11, 10, 10], [5000, 10, 11], 10),  # a broadcast is no rhythm
        ([100, 100, 100], [], 0),  # a new account
    ],
)
def test_what_is_expected_is_what_usually_comes(days: list[int], weeks: list[int], count: float) -> None:
    assert expected(days, weeks) == count


@pytest.mark.parametrize(
    ("seen", "troubles"),
    [
        (Traffic(expected=20), (STOPPED,)),
        (Traffic(expected=19), ()),
        (Traffic(pushes=1, expected=500), ()),
        (Traffic(pushes=20, failed=3), (FAILING,)),
        (Traffic(pushes=20, failed=2), ()),
        (Traffic(pushes=19, failed=19, slow=19), ()),
        (Traffic(pushes=100, slow=6), (LATE,)),
        (Traffic(pushes=100, failed=50, slow=50), (FAILING, LATE)),
    ],
)
def test_a_trouble_begins_when_there_is_enough_to_judge(seen: Traffic, troubles: tuple[Occasion]) -> None:
    assert seen.troubles(()) == troubles


@pytest.mark.parametrize(
    ("before", "seen", "troubles"),
    [
        (STOPPED, Traffic(expected=0), (STOPPED,)),  # at night nothing is expected
        (STOPPED, Traffic(pushes=1), ()),
        (FAILING, Traffic(pushes=100, failed=6), (FAILING,)),
        (FAILING, Traffic(pushes=100, failed=5), ()),
        (FAILING, Traffic(pushes=1), ()),
        (FAILING, Traffic(), (FAILING,)),
        (LATE, Traffic(pushes=100, slow=3), (LATE,)),
        (LATE, Traffic(pushes=100, slow=2), ()),
    ],
)
def test_a_trouble_is_over_when_it_clearly_is(
    before: Occasion, seen: Traffic, troubles: tuple[Occasion, ...]
) -> None:
    assert seen.troubles((before,)) == troubles


class Counts:
    """The counts of an account's pushes until `NOW`."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def came(self, slot: int, pushes: int, failed: int = 0, slow: int = 0) -> None:
        """Let pushes come in a slot, so many slots before the one of `NOW`."""
        row = {"slot": slot_of(NOW) - slot, "pushes": pushes, "failed": failed, "slow": slow}
        with transaction(self.shop.bot.engine) as connection:
            connection.execute(insert(PushCount).values(account_id=self.shop.account_id, **row))

    def forget(self) -> None:
        with transaction(self.shop.bot.engine) as connection:
            connection.execute(delete(PushCount).where(PushCount.slot > slot_of(NOW) - 12))

    def traffic(self) -> Traffic:
        with self.shop.bot.engine.connect() as connection:
            return traffic(connection, self.shop.account_id, NOW)


@pytest.fixture
def counts(make_app: MakeApp, any_database: str) -> Counts:
    return Counts(Shop(make_app(database_url=any_database, alerts_private_addresses=Switch.YES)))


def test_a_silence_is_compared_with_the_same_time_of_other_days_and_weeks(counts: Counts) -> None:
    counts.came(4, 10)
    for day in range(1, 8):
        for slot in range(5):  # three of which are as long ago as the silence
            counts.came(day * DAY + slot, 10)
    counts.came(3 * WEEK + 3, 70)
    seen = counts.traffic()
    assert (seen.pushes, seen.silence) == (0, 3 * SLOT)
    assert seen.expected == 30  # each day; of the weeks 30, 0 and 70


def test_an_account_without_pushes_expects_none(counts: Counts) -> None:
    assert counts.traffic() == Traffic()


def test_little_is_asked_of_the_database(counts: Counts) -> None:
    counts.came(30 * DAY, 1)
    with statements() as sent:
        counts.traffic()
    assert len(sent) == 3
    counts.came(0, 1)
    with statements() as sent:
        counts.traffic()
    assert len(sent) == 1


def test_a_channel_is_told_of_each_trouble_and_that_it_is_over(counts: Counts, robot: Robot) -> None:
    shop = counts.shop
    shop.add("wecom", robot.url)
    shop.add("webhook", robot.url, occasions=["waiting"])
    counts.came(1, 100, failed=40, slow=20)
    for minute in range(3):
        shop.tell(NOW + minute * timedelta(minutes=1))
    assert robot.texts == [
        "公众号：推送有问题\n最近 10 分钟的 100 次推送，有 40 次没有处理好\n"
        "最近 10 分钟的 100 次推送，有 20 次过了 4 秒才回应"
    ]
    counts.forget()
    counts.came(0, 100, slow=20)
    shop.tell(NOW + timedelta(minutes=3))
    counts.forget()
    counts.came(0, 100)
    shop.tell(NOW + timedelta(minutes=4))
    assert robot.texts[1:] == ["公众号：推送恢复正常\n推送又处理得好了", "公众号：推送恢复正常\n回应又及时了"]


def test_a_silence_is_told_of_once_also_overnight(shop: Shop, robot: Robot) -> None:
    counts = Counts(shop)
    shop.add("webhook", robot.url, occasions=["stopped"])
    counts.came(4, 10)
    for day in (*range(1, 8), 14):
        counts.came(day * DAY + 2, 25)
    for hours in range(0, 48, 6):
        shop.tell(NOW + timedelta(hours=hours))
    [body] = robot.bodies
    assert body["title"] == "公众号：推送有问题"
    assert body["text"] == (
        "15分钟没有收到推送，平时这段时间有 25 次左右\nhttps://bot.example.com/admin/health"
    )
    assert body["troubles"] == {
        "begun": ["stopped"],
        "over": [],
        "pushes": 0,
        "failed": 0,
        "slow": 0,
        "silent_seconds": 900,
        "expected": 25,
    }
    with transaction(shop.bot.engine) as connection:
        later = slot_of(NOW + timedelta(hours=48))
        row = {"account_id": shop.account_id, "slot": later, "pushes": 1, "failed": 0, "slow": 0}
        connection.execute(insert(PushCount).values(row))
    shop.tell(NOW + timedelta(hours=48))
    assert robot.bodies[1]["troubles"]["over"] == ["stopped"]


def test_a_channel_that_no_longer_wants_it_is_not_told_that_it_is_over(shop: Shop, robot: Robot) -> None:
    counts = Counts(shop)
    channel_id = shop.add("wecom", robot.url, occasions=["failing"])
    counts.came(0, 100, failed=100)
    shop.tell(NOW)
    assert shop.row(channel_id).troubles == ["failing"]
    counts.forget()
    counts.came(0, 100, slow=100)
    definition = {**shop.row(channel_id).definition, "occasions": ["late"]}
    with transaction(shop.bot.engine) as connection:
        connection.execute(update(AlertChannel).values(definition=definition))
    shop.tell(NOW + timedelta(minutes=2))
    assert [text.partition("\n")[0] for text in robot.texts] == ["公众号：推送有问题"] * 2
    assert shop.row(channel_id).troubles == ["late"]
