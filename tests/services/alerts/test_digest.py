"""The digest of a week, and when it is sent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, update

from tests.conftest import MakeApp
from tests.services.alerts.played import Robot, Shop
from tests.services.messages.journal import Journal
from wechat_bot.database.transactions import transaction
from wechat_bot.models import AlertChannel, Direction, HandoverEvent
from wechat_bot.models.rows import new_row
from wechat_bot.routing import HandoverReason, Owner
from wechat_bot.services.alerts.digest import Digest, digest_of, due_since
from wechat_bot.settings import Switch

ZONE = ZoneInfo("Asia/Shanghai")
MONDAY = date(2026, 11, 16)
NEXT_MONDAY = datetime(2026, 11, 23, 9, tzinfo=ZONE)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE)


class Week:
    """What happened to an account's followers."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.journal = Journal(shop.bot.engine)
        self.li, self.wang = (self.journal.follower(openid) for openid in ("oLi", "oWang"))

    def wrote(self, follower_id: int, time: datetime, **columns: object) -> None:
        self.journal.add("在吗", follower_id=follower_id, created_at=time, **columns)

    def answered(self, follower_id: int, time: datetime) -> None:
        self.wrote(follower_id, time, direction=Direction.OUT, operator_id=1)

    def belongs(self, follower_id: int, owner: Owner, time: datetime) -> None:
        ours = {"account_id": self.journal.account_id, "follower_id": follower_id}
        row = new_row(HandoverEvent, **ours, at=time, owner=owner, reason=HandoverReason.ASKED)
        with transaction(self.shop.bot.engine) as connection:
            connection.execute(insert(HandoverEvent), row)

    def digest(self) -> Digest:
        self.shop.bot.projector.catch_up()
        with self.shop.bot.engine.connect() as connection:
            return digest_of(connection, self.journal.account_id, MONDAY, ZONE)


@pytest.fixture
def week(make_app: MakeApp, any_database: str) -> Week:
    return Week(Shop(make_app(database_url=any_database, alerts_private_addresses=Switch.YES)))


def test_followers_and_handovers_of_the_week_are_counted(week: Week) -> None:
    week.wrote(week.li, at(15, 23, 59))
    week.wrote(week.li, at(16, 0))
    week.wrote(week.li, at(17, 12))
    week.wrote(week.wang, at(22, 23, 59))
    week.wrote(week.wang, at(23, 0))
    week.belongs(week.li, Owner.WAITING, at(15, 23, 59))
    week.belongs(week.li, Owner.WAITING, at(16, 0))
    week.belongs(week.wang, Owner.WAITING, at(23, 0))
    assert week.digest() == Digest(MONDAY, followers=2, handovers=1, first_responses=())


def test_events_and_answers_are_no_writing(week: Week) -> None:
    week.wrote(week.li, at(16, 10), kind="event", event="subscribe")
    week.answered(week.wang, at(16, 10))
    assert week.digest() == Digest(MONDAY, followers=0, handovers=0, first_responses=())


def test_the_first_answer_of_an_operator_ends_the_waiting(week: Week) -> None:
    week.belongs(week.li, Owner.WAITING, at(16, 10))
    week.wrote(week.li, at(16, 10, 1), direction=Direction.OUT)
    week.answered(week.li, at(16, 10, 4))
    week.answered(week.li, at(16, 10, 8))
    week.belongs(week.li, Owner.BOT, at(16, 11))
    week.belongs(week.li, Owner.WAITING, at(17, 10))
    week.answered(week.li, at(17, 10, 2))
    week.belongs(week.wang, Owner.WAITING, at(22, 23))
    week.answered(week.wang, at(23, 1))
    digest = week.digest()
    assert sorted(digest.first_responses) == [120, 240, 7200]
    assert digest.median == timedelta(minutes=4)


def test_an_answer_after_the_bot_had_the_conversation_back_is_none(week: Week) -> None:
    week.belongs(week.li, Owner.WAITING, at(16, 10))
    week.belongs(week.li, Owner.BOT, at(16, 12))
    week.answered(week.li, at(18, 10))
    digest = week.digest()
    assert (digest.handovers, digest.first_responses, digest.median) == (1, (), None)


@pytest.mark.parametrize(
    ("now", "since"),
    [
        (at(23, 8, 59), at(16, 9)),
        (at(23, 9), at(23, 9)),
        (at(25, 12), at(23, 9)),
        (at(29, 23, 59), at(23, 9)),
    ],
)
def test_a_digest_is_due_on_mondays_at_nine(now: datetime, since: datetime) -> None:
    assert due_since(now) == since


def test_a_channel_gets_it_once_a_week(week: Week, robot: Robot) -> None:
    shop = week.shop
    week.wrote(week.li, at(17, 12))
    week.belongs(week.li, Owner.WAITING, at(17, 12))
    week.answered(week.li, at(17, 12, 10))
    shop.bot.projector.catch_up()
    shop.add("wecom", robot.url, occasions=["digest"])
    shop.add("wecom", robot.url, occasions=["waiting", "unanswered"])
    with shop.bot.engine.begin() as connection:
        made = {"created_at": at(22, 12).astimezone(UTC), "next_at": at(22, 12).astimezone(UTC)}
        connection.execute(update(AlertChannel).values(made))
    shop.tell(NEXT_MONDAY.astimezone(UTC) - timedelta(minutes=1))
    assert robot.got == []
    for hours in range(0, 7 * 24, 6):
        shop.tell(NEXT_MONDAY.astimezone(UTC) + timedelta(hours=hours))
    assert robot.texts == [
        "公众号：一周小结（2026-11-16 到 2026-11-22）\n1 位粉丝来过消息\n"
        "转人工 1 次，其中 1 次有人回复\n第一次回复的中位数：10分钟"
    ]
    shop.tell(NEXT_MONDAY.astimezone(UTC) + timedelta(days=7))
    assert "0 位粉丝来过消息\n转人工 0 次，其中 0 次有人回复" in robot.texts[1]


def test_a_channel_that_was_made_after_monday_gets_the_next_one(shop: Shop, robot: Robot) -> None:
    shop.add("webhook", robot.url, occasions=["digest"])
    now = datetime.now(ZONE)
    shop.tell(now.astimezone(UTC))
    assert robot.got == []
    shop.tell(now.astimezone(UTC) + timedelta(days=7))
    [body] = robot.bodies
    assert body["digest"]["followers"] == 0
    assert body["digest"]["median_seconds"] is None
