"""What becomes of a push: recorded once, answered, stored with all that belongs to it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select, update

from tests.conftest import MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import BotSession, Direction, Follower, MessageLog, MessageState
from wechat_bot.routing import Answer, Context, Router, keyword
from wechat_bot.services.inbox.handling import Push
from wechat_bot.services.messages.records import reply_key
from wechat_bot.services.outbox.window import load_window
from wechat_bot.settings import Environment
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.messages import Event, SubscribeEvent, TextMessage
from wechat_bot.wechat.parsing import parse
from wechat_bot.wechat.replies import Article, NewsReply


@pytest.fixture
def app(make_app: MakeApp, any_database: str, router: Router) -> Flask:
    return make_app(router, database_url=any_database)


@pytest.fixture
def router() -> Router:
    router = Router()

    @router.on(TextMessage, keyword("count"))
    def count(message: TextMessage, ctx: Context) -> Answer:
        ctx.session["count"] = ctx.session.get("count", 0) + 1
        return str(ctx.session["count"])

    @router.on(TextMessage, keyword("fail"))
    def fail(message: TextMessage, ctx: Context) -> Answer:
        ctx.session["count"] = -1
        raise ValueError("on purpose")

    @router.on(TextMessage, keyword("silence"))
    def silence(message: TextMessage, ctx: Context) -> Answer:
        return " "

    @router.on(TextMessage, keyword("long"))
    def long(message: TextMessage, ctx: Context) -> Answer:
        return "第一句。" * 200 + "最后一句。"

    @router.on(TextMessage, keyword("news"))
    def news(message: TextMessage, ctx: Context) -> Answer:
        return NewsReply((Article("一"), Article("二")))

    @router.on(SubscribeEvent)
    def welcome(event: SubscribeEvent, ctx: Context) -> Answer:
        return "again" if ctx.returning else "first"

    @router.on(Event)
    def reply_to_any_event(event: Event, ctx: Context) -> Answer:
        return event.name

    @router.on(TextMessage)
    def echo(message: TextMessage, ctx: Context) -> Answer:
        return message.content

    return router


def logs(engine: Engine, **where: Any) -> list[Any]:
    with engine.connect() as connection:
        query = select(MessageLog).filter_by(**where).order_by(MessageLog.id)
        return list(connection.execute(query).all())


def only_follower(engine: Engine) -> Any:
    with engine.connect() as connection:
        return connection.execute(select(Follower)).one()


def test_a_message_and_its_reply_are_stored_as_two_rows(platform: FakePlatform, engine: Engine) -> None:
    fields = platform.message("text", Content="你好 😀\n]]> & <b>", Unknown="kept")
    assert platform.push(fields).shown == "你好 😀\n]]> & <b>"
    incoming, outgoing = logs(engine)
    assert (incoming.direction, incoming.kind, incoming.state) == (
        Direction.IN,
        "text",
        MessageState.ANSWERED,
    )
    assert incoming.text == "你好 😀\n]]> & <b>"
    assert incoming.payload == fields
    assert incoming.platform_id == fields["MsgId"]
    assert incoming.created_at == datetime.fromtimestamp(int(fields["CreateTime"]), UTC)
    assert incoming.origin == "test_receiving.echo"
    assert (outgoing.direction, outgoing.state) == (Direction.OUT, MessageState.SENT)
    assert outgoing.payload == {"MsgType": "text", "Content": "你好 😀\n]]> & <b>"}
    assert outgoing.dedup_key == reply_key(incoming.dedup_key)
    assert outgoing.follower_id == incoming.follower_id == only_follower(engine).id


def test_a_retry_gets_the_stored_answer_and_runs_no_handler(platform: FakePlatform, engine: Engine) -> None:
    fields = platform.message("text", Content="count")
    assert [platform.push(fields).shown for _ in range(4)] == ["1", "1", "1", "1"]
    assert len(logs(engine)) == 2
    assert platform.text("count") == "2"


def test_a_session_survives_between_messages_and_belongs_to_one_follower(platform: FakePlatform) -> None:
    assert [platform.text("count"), platform.text("count")] == ["1", "2"]
    assert platform.follower("oSomeoneElse").text("count") == "1"


def test_a_session_is_forgotten_after_its_time(platform: FakePlatform, engine: Engine) -> None:
    platform.text("count")
    with engine.begin() as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(update(BotSession).values(expires_at=past))
    assert platform.text("count") == "1"


def test_a_handler_that_raises_changes_nothing(platform: FakePlatform, engine: Engine) -> None:
    platform.text("count")
    platform.text("fail")
    assert platform.text("count") == "2"
    [failed] = logs(engine, state=MessageState.FAILED)
    assert failed.error == "ValueError: on purpose"


@pytest.mark.parametrize(
    ("app_env", "apology", "shown"),
    [
        (Environment.DEVELOPMENT, "", "test_receiving.fail: ValueError: on purpose"),
        (Environment.DEVELOPMENT, "抱歉。", "抱歉。"),
        (Environment.PRODUCTION, "", None),
        (Environment.PRODUCTION, "抱歉。", "抱歉。"),
    ],
)
def test_a_handler_that_raises_shows_its_error_in_development_only(
    make_app: MakeApp, router: Router, app_env: Environment, apology: str, shown: str | None
) -> None:
    platform = FakePlatform.of(make_app(router, app_env=app_env, wechat_apology=apology))
    assert platform.text("fail") == shown


def test_a_blank_answer_is_silence(platform: FakePlatform, engine: Engine) -> None:
    assert platform.text("silence") is None
    assert len(logs(engine)) == 1


def test_what_the_platform_shows_no_reply_to_is_answered_with_success(platform: FakePlatform) -> None:
    assert platform.push(platform.event("LOCATION", **POSITION)).attempts[0].answer == b"success"
    assert platform.unfollow() is None


def test_a_follower_who_wrote_is_shown_one_article(platform: FakePlatform) -> None:
    assert platform.text("news") == NewsReply((Article("一"),))


def test_the_rest_of_a_long_text_comes_with_the_next_message(platform: FakePlatform, engine: Engine) -> None:
    first, link = str(platform.text("long")).split("\n")
    assert "下一页 (2/2)" in link
    fetch = platform.message("text", Content="继续")
    rest = platform.push(fetch).shown
    assert isinstance(rest, str)
    assert first + rest == "第一句。" * 200 + "最后一句。"
    assert platform.push(fetch).shown == rest, "a retry gets the same"
    assert platform.text("谢谢") == "谢谢", "nothing is left"
    assert {row.state for row in logs(engine, direction=Direction.OUT)} == {MessageState.SENT}


def test_a_position_report_does_not_use_up_what_is_held(platform: FakePlatform) -> None:
    platform.text("long")
    assert platform.push(platform.event("LOCATION", **POSITION)).attempts[0].answer == b"success"
    assert str(platform.text("继续")).endswith("最后一句。")


def test_a_question_that_a_handler_waits_for_is_not_taken_for_fetching(platform: FakePlatform) -> None:
    platform.text("long")
    assert platform.text("count") == "1"
    assert str(platform.text("继续")).endswith("最后一句。")


def test_following_twice_greets_differently_and_counts(platform: FakePlatform, engine: Engine) -> None:
    platform_time = iter(range(1_800_000_000, 1_800_000_100, 10))
    for name, shown in [("subscribe", "first"), ("unsubscribe", None), ("subscribe", "again")]:
        fields = platform.event(name, EventKey="qrscene_door") | {"CreateTime": str(next(platform_time))}
        assert platform.push(fields).shown == shown
    follower = only_follower(engine)
    assert (follower.subscribed, follower.follow_count, follower.scene) == (True, 2, "door")


def test_an_unfollow_that_arrives_after_a_later_follow_changes_nothing(
    platform: FakePlatform, engine: Engine
) -> None:
    platform.push(platform.event("subscribe") | {"CreateTime": "1800000010"})
    platform.push(platform.event("unsubscribe") | {"CreateTime": "1800000000"})
    assert only_follower(engine).subscribed is True
    platform.push(platform.event("unsubscribe") | {"CreateTime": "1800000020"})
    assert only_follower(engine).subscribed is False


@pytest.mark.parametrize("names", [("subscribe", "unsubscribe"), ("unsubscribe", "subscribe")])
def test_of_a_follow_and_an_unfollow_within_one_second_the_last_to_arrive_counts(
    platform: FakePlatform, engine: Engine, names: tuple[str, str]
) -> None:
    for name in names:
        platform.push(platform.event(name) | {"CreateTime": "1800000000"})
    assert only_follower(engine).subscribed is (names[-1] == "subscribe")


POSITION = {"Latitude": "31.2", "Longitude": "121.4", "Precision": "65"}


def leave(platform: FakePlatform, now: int) -> None:
    """Follow at `now` - 100 and unfollow at `now` - 50."""
    platform.push(platform.event("subscribe") | {"CreateTime": str(now - 100)})
    platform.push(platform.event("unsubscribe") | {"CreateTime": str(now - 50)})


def test_who_writes_or_acts_later_than_the_unfollow_follows_again(
    platform: FakePlatform, engine: Engine
) -> None:
    now = int(time.time())
    acts = [
        platform.message("text", Content="还在"),
        platform.message("image", MediaId="m"),
        platform.event("CLICK", EventKey="k"),
        platform.event("SCAN", EventKey="k"),
        platform.event("LOCATION", **POSITION),
    ]
    for number, act in enumerate(acts):
        follower = platform.follower(f"o{number}")
        leave(follower, now)
        follower.push(act | {"FromUserName": follower.openid, "CreateTime": str(now)})
    with engine.connect() as connection:
        followers = connection.execute(select(Follower).order_by(Follower.id)).all()
        assert [follower.subscribed for follower in followers] == [True] * len(acts)
        wrote = load_window(connection, followers[0].id, followers[0].subscribed, datetime.now(UTC))
        assert wrote.closed is None, "an operator may answer"


def test_what_is_no_later_act_of_the_follower_does_not_follow_again(
    platform: FakePlatform, engine: Engine
) -> None:
    now = int(time.time())
    leave(platform, now)
    platform.push(platform.message("text", Content="早些时候") | {"CreateTime": str(now - 80)})
    platform.push(platform.message("text", Content="同一秒") | {"CreateTime": str(now - 50)})
    platform.push(platform.event("user_del_card", CardId="p") | {"CreateTime": str(now)})
    platform.push(platform.event("TEMPLATESENDJOBFINISH", MsgID="1") | {"CreateTime": str(now)})
    assert only_follower(engine).subscribed is False


def test_an_older_unfollow_does_not_undo_a_later_message(platform: FakePlatform, engine: Engine) -> None:
    now = int(time.time())
    leave(platform, now)
    platform.push(platform.message("text", Content="还在") | {"CreateTime": str(now)})
    platform.push(platform.event("unsubscribe", EventKey="again") | {"CreateTime": str(now - 20)})
    assert only_follower(engine).subscribed is True
    assert only_follower(engine).follow_count == 1


def test_a_job_that_reports_is_no_follower(platform: FakePlatform, engine: Engine) -> None:
    fields = platform.event("MASSSENDJOBFINISH", MsgID="1", Status="send success")
    platform.push(fields | {"FromUserName": "mphelper"})
    [row] = logs(engine)
    assert row.follower_id is None
    with engine.connect() as connection:
        assert connection.scalar(select(func.count(Follower.id))) == 0


def test_control_characters_and_nul_are_stored_as_sent(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    for times in (1, 2):  # of a new follower, and of a known one
        query, body, _ = platform.request(platform.message("text", Content="a@b"))
        answer = app.test_client().post(f"/wechat?{query}", data=body.replace(b"@", b"\x00\x07"))
        assert answer.status_code == 200
        incoming = [row for row in logs(engine) if row.direction == Direction.IN]
        assert [row.payload["Content"] for row in incoming] == ["a\x00\x07b"] * times


def test_two_messages_of_a_new_follower_at_once_are_both_kept(platform: FakePlatform, engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda _: platform.text("count"), range(8)))
    assert sorted(str(text) for text in shown) == [str(n) for n in range(1, 9)]
    assert len(logs(engine)) == 16


def test_one_message_pushed_by_many_at_once_is_stored_once(platform: FakePlatform, engine: Engine) -> None:
    fields = platform.message("text", Content="count")
    with ThreadPoolExecutor(8) as pool:
        shown = set(pool.map(lambda _: platform.push(fields).shown, range(8)))
    assert shown == {"1"}
    assert len(logs(engine)) == 2


@pytest.mark.parametrize(
    ("number", "age", "is_last"),
    [
        (1, 0.0, False),
        (2, 5.0, False),
        (2, 0.5, True),  # too early: the process that had the first one died
        (2, 9.5, True),  # the second one was lost on the way
        (3, 8.0, True),
        (3, 10.0, True),
    ],
)
def test_which_push_is_the_last_is_told_by_number_and_time(
    platform: FakePlatform, number: int, age: float, is_last: bool
) -> None:
    now = datetime.now(UTC)
    push = Push(parse(platform.message("text", Content="x")), received_at=now, number=number)
    push.first_at = now - timedelta(seconds=age) if number > 1 else None
    assert push.is_last is is_last


def test_a_session_that_cannot_be_stored_is_the_handlers_failure(make_app: MakeApp) -> None:
    router = Router()

    @router.on(TextMessage)
    def unstorable(message: TextMessage, ctx: Context) -> Answer:
        ctx.session["lock"] = threading.Lock()
        return "never"

    app = make_app(router)
    assert "TypeError" in str(FakePlatform.of(app).text("x"))
    with app.app_context():
        [failed] = logs(db.engine, direction=Direction.IN)
    assert failed.state == MessageState.FAILED
