"""What followers, operators and other processes see of rules while the bot runs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select, update

from tests.conftest import APP_SECRET, MakeApp, statements
from wechat_bot.database.transactions import write
from wechat_bot.extensions import db
from wechat_bot.handlers import rules
from wechat_bot.handlers.commands import HELP
from wechat_bot.models import (
    BotSession,
    Channel,
    Conversation,
    ConversationStatus,
    Direction,
    Follower,
    LibraryFile,
    MessageLog,
    MessageState,
    StoredRule,
)
from wechat_bot.routing import Answer, Context, Router, keyword
from wechat_bot.services.audit import Actor
from wechat_bot.services.followers import profiles
from wechat_bot.services.rules import editing, reading
from wechat_bot.services.rules.reading import Hits
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.simulator.state import APIFault, APIFaultKind
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.api import WeChatClient
from wechat_bot.wechat.api.draft import Article
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.replies import ImageReply, NewsReply, TextReply
from wechat_bot.wiring import services

ACTOR = Actor(None, "li", "192.0.2.1")
SILENT = "抱歉，我没有听懂。发送“帮助”看看我会什么。"


def definition(*words: str, say: Any = "十元", **more: Any) -> dict[str, Any]:
    return {
        "name": "规则",
        "trigger": {"type": "text"} if words else {"type": "nothing_matched"},
        "patterns": [{"match": "contains", "text": word} for word in words],
        "answers": [{"kind": "text", "text": say}] if isinstance(say, str) else say,
        **more,
    }


def texts(*words: str) -> list[dict[str, str]]:
    return [{"kind": "text", "text": word} for word in words]


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Iterator[Flask]:
    app = make_app(database_url=any_database)
    with app.app_context():
        yield app
        db.engine.dispose()


@pytest.fixture
def engine(app: Flask) -> Engine:
    return db.engine


def add(app: Flask, *words: str, **more: Any) -> int:
    bot = services(app)
    return editing.create(bot.engine, ACTOR, bot.account_id, definition(*words, **more)).id


def origins(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        incoming = MessageLog.direction == Direction.IN
        return [*connection.scalars(select(MessageLog.origin).where(incoming).order_by(MessageLog.id))]


def follower(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalars(select(Follower.id)).one()


def test_a_rule_answers_and_the_log_names_it(app: Flask, platform: FakePlatform, engine: Engine) -> None:
    row_id = add(app, "价格")
    assert platform.text("请问价格？") == "十元"
    assert platform.text("不相干") == SILENT
    assert origins(engine) == [f"rule.{row_id}", "fallback.apologize"]


def test_a_change_is_live_with_the_next_push_in_every_process(
    app: Flask, platform: FakePlatform, make_app: MakeApp, any_database: str
) -> None:
    other = FakePlatform.of(make_app(database_url=any_database))
    bot = services(app)
    assert [one.text("价格") for one in (platform, other)] == [SILENT, SILENT]
    row_id = add(app, "价格")
    assert [one.text("价格") for one in (platform, other)] == ["十元", "十元"]
    editing.save(bot.engine, ACTOR, bot.account_id, row_id, 1, definition("价格", say="十二元"))
    assert [one.text("价格") for one in (platform, other)] == ["十二元", "十二元"]
    editing.delete(bot.engine, ACTOR, bot.account_id, row_id)
    assert [one.text("价格") for one in (platform, other)] == [SILENT, SILENT]


def test_a_push_reads_no_rules_while_they_do_not_change(app: Flask, platform: FakePlatform) -> None:
    add(app, "价格")
    platform.text("价格")
    with statements() as sent:
        assert platform.text("价格") == "十元"
        assert platform.text("帮助") == HELP
    assert sent == []


def test_rules_stand_between_handlers_with_conditions_and_the_fallback(
    app: Flask, platform: FakePlatform
) -> None:
    add(app, "帮助", "你好")
    assert platform.text("帮助") == HELP
    assert platform.text("你好") == "十元"
    add(app, say="稍后回复")
    assert platform.text("不相干") == "稍后回复"


def test_an_owner_puts_handlers_before_between_and_after_the_rules(
    make_app: MakeApp, any_database: str
) -> None:
    before, between, after, router = Router(), Router(), Router(), Router()

    def answering(name: str) -> Any:
        def handler(message: TextMessage, ctx: Context) -> Answer:
            return name

        return handler

    before.on(TextMessage, keyword("a"))(answering("before"))
    between.on(TextMessage, keyword("a", "b", "c"))(answering("between"))
    after.on(TextMessage)(answering("after"))
    for part in (before, rules.router, between, rules.last, after):
        router.include(part)
    app = make_app(router, database_url=any_database)
    platform = FakePlatform.of(app)
    with app.app_context():
        add(app, "a", "b", say="rule")
        assert [platform.text(word) for word in "abcd"] == ["before", "rule", "between", "after"]
        add(app, say="rest")
        assert [platform.text(word) for word in "abcd"] == ["before", "rule", "between", "rest"]
        db.engine.dispose()


def test_the_welcome_of_a_rule_takes_the_place_of_the_handler_s(app: Flask, platform: FakePlatform) -> None:
    assert "欢迎关注" in str(platform.follower("oFirst").follow())
    welcome = {"type": "followed", "followers": "new"}
    add(app, say="你好", trigger=welcome)
    assert platform.follower("oSecond").follow() == "你好"


def test_an_open_dialogue_wins_over_rules(app: Flask, platform: FakePlatform) -> None:
    add(app, "小明")
    platform.text("改名")
    assert platform.text("小明") == "好的，小明。"
    assert platform.text("小明") == "十元"


def test_a_rule_calls_the_follower_by_the_name_that_it_was_told(app: Flask, platform: FakePlatform) -> None:
    add(app, "价格", say="{{name|朋友}}，十元")
    assert platform.text("价格") == "朋友，十元"
    platform.text("改名")
    platform.text("小明")
    assert platform.text("价格") == "小明，十元"


# What rules keep of a follower


def test_a_rule_rests_for_one_follower_and_not_for_others(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    row_id = add(app, "价格", cool_down=3600)
    assert [platform.text("价格") for _ in range(3)] == ["十元", SILENT, SILENT]
    assert platform.follower("oOther").text("价格") == "十元"
    write(engine, update(BotSession).values(rule_memory={str(row_id): {"until": 0.0}}))
    assert platform.text("价格") == "十元"


def test_of_messages_at_once_one_is_answered_and_the_others_meet_the_cool_down(
    app: Flask, platform: FakePlatform
) -> None:
    add(app, "价格", cool_down=3600)
    platform.text("你好")
    started = Barrier(4)

    def ask(message: Any) -> Any:
        started.wait()
        return platform.push(message).shown

    messages = [platform.message("text", Content="价格") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, messages)) == ["十元", SILENT, SILENT, SILENT]


def test_a_rule_of_another_release_is_left_out_and_the_others_answer(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    unreadable = add(app, "价格")
    write(engine, update(StoredRule).where(StoredRule.id == unreadable).values(definition={"name": "?"}))
    add(app, "价格", say="十二元")
    assert platform.text("价格") == "十二元"


def test_a_retry_of_a_push_finds_the_answer_and_no_cool_down(app: Flask, platform: FakePlatform) -> None:
    add(app, "价格", cool_down=3600)
    message = platform.message("text", Content="价格")
    assert [platform.push(message).shown for _ in range(3)] == ["十元"] * 3


def test_answers_take_turns_and_the_session_of_handlers_lives_no_longer_for_it(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    add(app, "笑话", say=texts("一", "二"), pick="in_turn")
    platform.text("改名")
    platform.text("小明")
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=9)
    write(engine, update(BotSession).values(expires_at=expires_at))
    assert [platform.text("笑话") for _ in range(3)] == ["一", "二", "一"]
    with engine.connect() as connection:
        session = connection.execute(select(BotSession)).one()
    assert (session.session, session.expires_at) == ({"name": "小明"}, expires_at)


def test_a_rule_knows_tags_and_since_when_somebody_follows(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    add(app, "价格", say="会员八元", audience={"tags": ["会员"]})
    add(app, "价格", say="新人九元", audience={"followed_since": "2026-01-01"})
    assert platform.text("价格") == "新人九元"
    write(engine, update(Follower).values(status_at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert platform.text("价格") == SILENT
    bot = services(app)
    profiles.tag(bot.engine, bot.capabilities, ACTOR, bot.account_id, [follower(engine)], "会员")
    profiles.tag(bot.engine, bot.capabilities, ACTOR, bot.account_id, [follower(engine)], "老板, 'x'")
    assert platform.text("价格") == "会员八元"


# Several answers


def test_texts_become_one_where_only_pushes_can_be_answered(app: Flask, platform: FakePlatform) -> None:
    add(app, "价格", say=texts("一", "二", "三"))
    assert platform.text("价格") == "一\n\n二\n\n三"


def test_what_does_not_fit_is_fetched_by_a_tap_or_with_the_next_push(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    add(app, "价格", say=texts("一" * 600, "二" * 600))
    shown = str(platform.text("价格"))
    assert shown.startswith("一")
    assert "下一页 (2/2)" in shown
    assert str(platform.text("不相干")).endswith("二")
    assert platform.text("不相干") == SILENT


def test_the_others_follow_as_customer_service_messages_where_these_are_allowed(
    make_app: MakeApp, any_database: str, api: FakeAPI
) -> None:
    app = make_app(api=api, database_url=any_database, wechat_app_secret=APP_SECRET)
    platform = FakePlatform.of(app)
    with app.app_context():
        row_id = add(app, "价格", say=texts("一", "二", "三"))
        assert platform.text("价格") == "一"
        with db.engine.connect() as connection:
            found = select(MessageLog.text, MessageLog.channel, MessageLog.state, MessageLog.origin)
            outgoing = found.where(MessageLog.direction == Direction.OUT).order_by(MessageLog.id)
            assert connection.execute(outgoing).all() == [
                ("一", Channel.REPLY, MessageState.SENT, f"rule.{row_id}"),
                ("二", Channel.CUSTOMER, MessageState.QUEUED, f"rule.{row_id}"),
                ("三", Channel.CUSTOMER, MessageState.QUEUED, f"rule.{row_id}"),
            ]
        db.engine.dispose()


CARDS: list[dict[str, Any]] = [
    {"kind": "choices", "text": "{{name|朋友}}要什么？", "choices": ["红茶", "绿茶"], "ending": "点一下"},
    {"kind": "mini_program", "app_id": "wx1", "path": "a", "title": "茶店", "url": "https://t.example"},
    {
        "kind": "published",
        "article_id": "ArT",
        "article": {"title": "茶的一年", "url": "https://t.example/y"},
    },
]


def publish(client: WeChatClient | None, api: FakeAPI) -> str:
    """Publish an article, and return its id."""
    assert client
    cover = client.material.add("image", "a.png", PNG, "image/png").media_id
    job = client.publish.submit(client.draft.add([Article("茶的一年", "<p>茶</p>", cover)]))
    api.advance(2)
    return client.publish.get(job.publish_id).article_id


def test_what_is_sent_by_the_api_has_the_platform_s_own_form(make_app: MakeApp, api: FakeAPI) -> None:
    app = make_app(api=api, wechat_app_secret=APP_SECRET)
    platform, bot = FakePlatform.of(app), services(app)
    article_id = publish(bot.client, api)
    cover = bot.library.add(ACTOR, bot.account_id, "茶.png", PNG)
    choices, program, published = CARDS
    published = published | {"article_id": article_id}
    with app.app_context():
        add(app, "喝", say=[choices, program | {"cover_file_id": cover}, published, *texts("完"), choices])
        add(app, "红", say="好的，红茶")
        bot.library.renew(bot.account_id, datetime.now(UTC))
        shown = platform.text("喝")
        bot.outbox.send(follower(db.engine))
        with db.engine.connect() as connection:
            outgoing = select(MessageLog.kind, MessageLog.text, MessageLog.state)
            found = outgoing.where(MessageLog.direction == Direction.OUT).order_by(MessageLog.id)
            rows = connection.execute(found).all()
    assert str(shown).startswith("朋友要什么？\n<a href="), "a reply to a push is a text with links"
    assert [row.kind for row in rows] == ["text", "miniprogrampage", "mpnewsarticle", "text", "msgmenu"]
    assert [row.text for row in rows[1:]] == ["茶店", "茶的一年", "完", "朋友要什么？\n红茶\n绿茶\n点一下"]
    assert {row.state for row in rows} == {MessageState.SENT}
    page, article, _, menu = api.sent
    assert page["miniprogrampage"] == {
        "title": "茶店",
        "appid": "wx1",
        "pagepath": "a",
        "thumb_media_id": page["miniprogrampage"]["thumb_media_id"],
    }
    assert article["mpnewsarticle"] == {"article_id": article_id}
    tapped = menu["msgmenu"]["list"][0]
    tap = platform.message("text", Content=tapped["content"], bizmsgmenuid=tapped["id"])
    assert platform.push(tap).shown == "好的，红茶"


def test_what_the_api_does_not_send_is_shown_in_the_form_for_the_reply_to_a_push(
    make_app: MakeApp, api: FakeAPI
) -> None:
    app = make_app(api=api, wechat_app_secret=APP_SECRET)
    platform = FakePlatform.of(app)
    with app.app_context():
        add(app, "茶", say=[*texts("一"), CARDS[0], CARDS[2]])
        platform.text("茶")
        api.fail(APIFault(APIFaultKind.ERRCODE, errcode=45015, times=2), "/cgi-bin/message/custom/send")
        services(app).outbox.send(follower(db.engine))
        assert str(platform.text("不相干")).startswith("朋友要什么？\n<a href=")
        shown = platform.push(platform.message("text", Content="不相干")).shown
    assert isinstance(shown, NewsReply)
    assert shown.articles[0].title == "茶的一年"


def test_a_mini_program_without_a_usable_cover_is_a_link(app: Flask, platform: FakePlatform) -> None:
    bot = services(app)
    cover = bot.library.add(ACTOR, bot.account_id, "茶.png", PNG)
    add(app, "茶", say=[CARDS[1] | {"cover_file_id": cover}])
    assert str(platform.text("茶")).endswith('href="https://t.example">茶店</a>'), "WeChat has no copy of it"
    write(bot.engine, update(LibraryFile).values(deleted_at=datetime.now(UTC)))
    assert str(platform.text("茶")).endswith('href="https://t.example">茶店</a>'), "it is deleted"


def test_choices_that_are_too_long_with_their_variables_are_several_texts(make_app: MakeApp) -> None:
    router = Router()

    @router.on(TextMessage, keyword("我"))
    def remember(message: TextMessage, ctx: Context) -> Answer:
        ctx.session["name"] = "长" * 700
        return "好"

    router.include(rules.router)
    app = make_app(router)
    platform = FakePlatform.of(app)
    with app.app_context():
        add(app, "茶", say=[CARDS[0]])
        platform.text("我")
        shown = str(platform.text("茶"))
    assert len(shown.encode()) <= 2048
    assert "下一页" in shown


def test_a_text_has_a_link_to_the_picture_that_follows_it(make_app: MakeApp, any_database: str) -> None:
    router = Router()

    @router.on(TextMessage, keyword("茶"))
    def several(message: TextMessage, ctx: Context) -> Answer:
        return (TextReply("一"), ImageReply("picture"))

    app = make_app(router, database_url=any_database)
    platform = FakePlatform.of(app)
    shown = str(platform.text("茶"))
    link = shown.partition("msgmenuid=")[2].partition('"')[0]
    tap = platform.message("text", Content="查看回复", bizmsgmenuid=link)
    answer = platform.push(tap).shown
    assert answer == ImageReply("picture")
    with app.app_context():
        db.engine.dispose()


def test_a_file_that_cannot_be_sent_is_a_failure_that_an_operator_sees(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    bot = services(app)
    file_id = bot.library.add(ACTOR, bot.account_id, "a.png", PNG)
    row_id = add(app, "价格", say=[{"kind": "image", "file_id": file_id}])
    platform.text("价格")
    with engine.connect() as connection:
        row = connection.execute(select(MessageLog).where(MessageLog.direction == Direction.IN)).one()
    assert (row.state, row.origin) == (MessageState.FAILED, f"rule.{row_id}")
    assert row.error.startswith("MissingFile")


# What follows from the log


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"say": "十元"}, ConversationStatus.DONE),
        ({"say": [{"kind": "person", "text": "请稍等"}]}, ConversationStatus.OPEN),
        ({"trigger": {"type": "nothing_matched"}, "patterns": []}, ConversationStatus.OPEN),
    ],
)
def test_a_conversation_opens_when_a_rule_leaves_it_to_a_person(
    app: Flask, platform: FakePlatform, engine: Engine, more: dict[str, Any], status: ConversationStatus
) -> None:
    add(app, "价格", **more)
    platform.text("价格")
    services(app).projector.catch_up()
    with engine.connect() as connection:
        assert connection.scalars(select(Conversation.status)).one() == status


def test_hits_are_counted_by_the_days_of_the_account(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    bot = services(app)
    first, second = add(app, "价格"), add(app, "地址", say=[{"kind": "person"}])
    for content in ("价格", "价格", "地址", "不相干"):
        platform.text(content)
    evening = datetime(2026, 11, 20, 15, 59, tzinfo=UTC)  # the last minute of the day in Shanghai
    with engine.connect() as connection:
        log = select(MessageLog.id).where(MessageLog.origin == f"rule.{first}", MessageLog.direction == "in")
        one, other = connection.scalars(log.order_by(MessageLog.id))
    write(engine, update(MessageLog).where(MessageLog.id == one).values(received_at=evening))
    later = evening + timedelta(minutes=1)
    write(engine, update(MessageLog).where(MessageLog.id == other).values(received_at=later))
    bot.projector.catch_up()
    day = evening.date()
    found = hits(engine, bot.account_id, [first], day + timedelta(days=1))[first]
    assert [*found.by_day.values()][-3:] == [0, 1, 1]
    assert found.last_at == later
    found = hits(engine, bot.account_id, [first], day + timedelta(days=30))[first]
    assert [*found.by_day.values()] == [1] + [0] * 29
    platform.follower("oAnother").text("价格")
    bot.projector.catch_up()
    bot.projector.catch_up()
    today = datetime.now(bot.account.time_zone).date()
    for found in hits(engine, bot.account_id, [first, second], today).values():
        assert found.by_day[today] == 1
    with engine.connect() as connection:
        assert reading.used(connection, bot.account_id, today) == {first, second}
        assert reading.used(connection, bot.account_id, today + timedelta(days=30)) == set()


def hits(engine: Engine, account_id: int, rule_ids: list[int], today: date) -> dict[int, Hits]:
    with engine.connect() as connection:
        return reading.hits(connection, account_id, rule_ids, today)
