"""The bench tells what would be answered, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, func, insert, select, update

from tests.conftest import MakeApp
from wechat_bot import handlers
from wechat_bot.extensions import db
from wechat_bot.models import BotSession, Follower, FollowerTag, MessageLog, Tag
from wechat_bot.models.rows import new_row
from wechat_bot.routing.definitions import Rule
from wechat_bot.routing.rules import Refusal, RuleSet
from wechat_bot.services.rules import bench
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.messages import Message
from wechat_bot.wechat.parsing import parse
from wechat_bot.wiring import services

NOW = datetime(2026, 11, 28, 4, tzinfo=UTC)


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Iterator[Flask]:
    app = make_app(database_url=any_database)
    with app.app_context():
        yield app
        db.engine.dispose()


@pytest.fixture
def engine(app: Flask) -> Engine:
    return db.engine


def rules(*definitions: dict[str, Any]) -> RuleSet:
    return RuleSet({number: Rule.from_json(it) for number, it in enumerate(definitions, 1)}, UTC, str)


def says(text: str, answer: str = "好的", **more: Any) -> dict[str, Any]:
    patterns = [{"match": "contains", "text": text}]
    answers = [{"kind": "text", "text": answer}]
    return {"name": text, "trigger": {"type": "text"}, "patterns": patterns, "answers": answers, **more}


def text(content: str) -> Message:
    return parse(
        {"ToUserName": "gh_1", "FromUserName": "o1", "MsgType": "text", "Content": content, "MsgId": "1"}
    )


def follower_of(connection: Connection) -> int:
    return connection.scalars(select(func.max(Follower.id))).one()


def outcome(app: Flask, rule_set: RuleSet, message: Message, follower_id: int | None = None) -> bench.Outcome:
    account_id = services(app).account_id
    with db.engine.connect() as connection:
        occasion = bench.occasion(connection, account_id, message, NOW, follower_id)
    return bench.try_out(handlers.router, rule_set, occasion)


def test_the_answer_is_the_one_that_followers_get(app: Flask) -> None:
    found = outcome(
        app, rules(says("价格", "十元"), says("退款", "{{name|朋友}}，请发订单号")), text("我要退款")
    )
    assert found.rule_id == 2
    assert [reply.text_for_search for reply in found.replies] == ["朋友，请发订单号"]
    assert [verdict.refusal for verdict in found.verdicts] == [Refusal.TEXT, None]


def test_handlers_in_code_come_where_the_owner_put_them(app: Flask) -> None:
    taken = outcome(app, rules(says("帮助")), text("帮助"))
    assert (taken.origin, taken.rule_id, taken.replies) == ("commands.show_help", None, ())
    assert outcome(app, rules(), text("你好")).origin == "fallback.apologize"


def test_a_follower_comes_with_tags_and_with_what_rules_remember(app: Flask, engine: Engine) -> None:
    FakePlatform.of(app).text("你好")
    account_id = services(app).account_id
    with engine.begin() as connection:
        follower_id = follower_of(connection)
        tag = new_row(Tag, account_id=account_id, name="会员", colour="blue")
        connection.execute(insert(Tag).values(tag))
        tag_id = connection.scalars(select(Tag.id)).one()
        connection.execute(insert(FollowerTag).values(follower_id=follower_id, tag_id=tag_id))
        memory = {"1": {"until": NOW.timestamp() + 60}}
        connection.execute(update(BotSession).values(rule_memory=memory))
    rule_set = rules(says("退款", cool_down=300), says("退款", audience={"tags": ["会员"]}))
    known = outcome(app, rule_set, text("退款"), follower_id)
    assert [verdict.refusal for verdict in known.verdicts] == [Refusal.COOL_DOWN, None]
    assert outcome(app, rule_set, text("退款")).rule_id == 1


def test_who_talks_with_a_person_gets_what_is_meant_for_that(app: Flask, engine: Engine) -> None:
    FakePlatform.of(app).text("人工")
    with engine.connect() as connection:
        follower_id = follower_of(connection)
    rule_set = rules(says("价格"), says("时间", "九点到六点", with_person=True))
    price = outcome(app, rule_set, text("价格"), follower_id)
    assert (price.rule_id, price.verdicts[0].refusal) == (None, Refusal.PERSON)
    assert outcome(app, rule_set, text("价格")).rule_id == 1
    assert outcome(app, rule_set, text("时间"), follower_id).rule_id == 2


def test_a_follow_in_the_log_is_the_one_that_was_counted(app: Flask, engine: Engine) -> None:
    FakePlatform.of(app).follow()
    rule_set = rules({**says("x"), "trigger": {"type": "followed", "followers": "new"}, "patterns": []})
    account_id = services(app).account_id
    with engine.connect() as connection:
        row = bench.logged(connection, account_id, 1)
        assert row
        message = bench.message_of(row)
        assert message
        who = account_id, message, NOW, row.follower_id
        then = bench.occasion(connection, *who, is_logged=True)
        again = bench.occasion(connection, *who)
    assert bench.try_out(handlers.router, rule_set, then).rule_id == 1
    assert bench.try_out(handlers.router, rule_set, again).rule_id is None


def test_the_messages_of_the_log_tell_what_would_change(app: Flask, engine: Engine) -> None:
    platform = FakePlatform.of(app)
    for content in ("我要退款", "帮助", "价格"):
        platform.text(content)
    before = select(func.count(), func.max(MessageLog.id)).select_from(MessageLog)
    saved, edited = rules(says("价格")), rules(says("价格"), says("退款"))
    with engine.connect() as connection:
        untouched = connection.execute(before).one()
        found = bench.compare(connection, services(app).account_id, handlers.router, saved, edited)
        assert connection.execute(before).one() == untouched
    assert found.compared == 3
    assert [(it.message.text, it.before, it.after) for it in found.changes] == [
        ("我要退款", "fallback.apologize", "rule.2")
    ]


def test_messages_of_other_accounts_are_not_compared(app: Flask, engine: Engine) -> None:
    FakePlatform.of(app).text("退款")
    with engine.connect() as connection:
        other = services(app).account_id + 1
        assert bench.compare(connection, other, handlers.router, rules(), rules(says("退款"))).compared == 0
        assert bench.logged(connection, other, 1) is None
