"""Scenarios are played as a follower would have them, and what cannot be played does not pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select

from tests.conftest import MakeApp
from wechat_bot import handlers
from wechat_bot.extensions import db
from wechat_bot.models import MessageLog
from wechat_bot.routing import Answer, Context, Router
from wechat_bot.routing.definitions import Rule
from wechat_bot.services.audit import Actor
from wechat_bot.services.rules import editing as rules_editing
from wechat_bot.services.scenarios import editing
from wechat_bot.services.scenarios.running import Played
from wechat_bot.simulator import scenarios
from wechat_bot.simulator.scenarios import Obstacle, StepResult
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wiring import services

ACTOR = Actor(None, "阿珍", "")


@pytest.fixture
def app(make_app: MakeApp) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


def add_rules(app: Flask, *definitions: dict[str, Any]) -> list[int]:
    account_id = services(app).account_id
    return [rules_editing.create(db.engine, ACTOR, account_id, each).id for each in definitions]


def says(keyword: str, *answers: str, **more: Any) -> dict[str, Any]:
    return {
        "name": keyword,
        "trigger": {"type": "text"},
        "patterns": [{"match": "contains", "text": keyword}],
        "answers": [{"kind": "text", "text": answer} for answer in answers],
        **more,
    }


def on(trigger: str, answer: str, **more: Any) -> dict[str, Any]:
    return {
        "name": trigger,
        "trigger": {"type": trigger, **more},
        "answers": [{"kind": "text", "text": answer}],
    }


def play(app: Flask, text: str) -> list[StepResult]:
    editing.add(db.engine, ACTOR, services(app).account_id, scenarios.load_all(f"name: x\n{text}"))
    [*_others, played] = services(app).scenarios.run(ACTOR, services(app).account_id)
    return list(played.steps)


def marks(results: list[StepResult]) -> str:
    return "".join("?" if each.obstacle else "+" if each.passed else "-" for each in results)


LIVE = """
steps:
- {follow: door, expect: 你好}
- {send: 改名, expect: {contains: 怎么称呼你}}
- {send: 退款, expect: 好的，退款。}
- {send: 我是谁, expect: 你是退款。}
- {send: 退款, expect: 请发订单号}
- {send: 退款, expect: {contains: 没有听懂}}
- {send: 轮流, expect: 甲}
- {send: 轮流, expect: 甲}
- {send: 轮流, expect: 甲}
- {send: 名字, expect: 退款}
- {send: 两条, expect: {pattern: "^一.*二$"}}
- {send: 长, expect: {contains: 下一页}}
- {send: 沉默, expect: {shows: nothing}}
- {click: PRICE, expect: 十元}
- {click: OTHER, expect: 十元}
- {push: {MsgType: image, PicUrl: "http://x/1", MediaId: m}, expect: {contains: 图片}}
- {unfollow: , expect: {shows: nothing}}
- {follow: , expect: 欢迎回来}
- {scan: door, expect: {contains: door}}
- {send: 错, expect: 对}
- {send: 帮助}
"""


def test_the_answers_are_those_that_a_follower_gets_over_the_protocol(app: Flask) -> None:
    silent = {**says("沉默", "x"), "answers": [{"kind": "nothing"}]}
    returning, new = (
        on("followed", "欢迎回来", followers="returning"),
        on("followed", "你好", followers="new"),
    )
    key = on("menu", "十元", keys=["PRICE"])
    add_rules(
        app,
        says("退款", "请发订单号", cool_down=600),
        says("轮流", "甲", "乙", pick="in_turn"),
        says("名字", "{{name}}"),
        says("两条", "一", "二"),
        says("长", "一" * 600, "二" * 600),
        *(silent, new, returning, key),
    )
    live = list(scenarios.run(FakePlatform.of(app), scenarios.load(LIVE)))
    played = play(app, LIVE)
    assert marks(played) == marks(live)
    assert [each.outcome for each in played] == [each.outcome for each in live]
    texts = [each.text.partition("msgmenuid=")[0] for each in played]
    assert texts == [each.text.partition("msgmenuid=")[0] for each in live]
    assert [each.step for each in played if not each.passed] == [played[n].step for n in (7, 14, 19)]


def test_a_run_writes_no_message(app: Flask, engine: Engine) -> None:
    assert marks(play(app, LIVE)).count("+")
    with engine.connect() as connection:
        assert connection.scalar(select(func.count(MessageLog.id))) == 0


def test_the_time_of_a_step_is_that_of_the_rules_and_of_the_session(make_app: MakeApp) -> None:
    app = make_app(wechat_session_ttl=3600)
    with app.app_context():
        marked_by_time(app)


def marked_by_time(app: Flask) -> None:
    add_rules(
        app,
        {**on("out_of_hours", "下班了"), "schedule": {"hours": ["09:00-18:00"]}},
        says("现在", "{{date}} {{time}}", cool_down=3600),
    )
    results = play(
        app,
        """
steps:
- {send: 改名, at: 2026-11-28 10:00, expect: {rule: commands.ask_name}}
- {send: 小明, at: 2026-11-28 23:00, expect: {rule: out_of_hours}}
- {send: 现在, at: 2026-11-29 10:00, expect: 2026-11-29 10:00}
- {send: 现在, expect: {rule: fallback.apologize}}
- {send: 现在, at: "2026-11-29T11:00:30", expect: {rule: 现在}}
""",
    )
    assert marks(results) == "+++++", [(each.by, each.text) for each in results]


def test_tags_of_the_follower_are_those_of_the_scenario(app: Flask) -> None:
    [rule_id] = add_rules(app, says("价格", "八元", audience={"tags": ["会员"]}))
    [member] = play(app, "tags: [会员]\nsteps: [{send: 价格, expect: 八元}]")
    assert (member.passed, member.by, member.rule_id) == (True, "价格", rule_id)
    [other] = play(app, "steps: [{send: 价格, expect: 八元}]")
    assert (other.failed, other.by, other.rule_id) == (True, "fallback.apologize", None)


def test_what_cannot_be_played_is_told_and_does_not_pass(make_app: MakeApp) -> None:
    router = Router()

    @router.on(TextMessage, lambda message, _: message.content == "慢", slow=True)
    def slow(message: TextMessage, ctx: Context) -> Answer:
        raise AssertionError("slow handlers do not run")

    @router.on(TextMessage, lambda message, _: message.content == "谁")
    def asks(message: TextMessage, ctx: Context) -> Answer:
        try:
            return str(ctx.client)
        except Exception:  # noqa: BLE001
            return "no error of its own"

    router.include(handlers.rules.router)
    app = make_app(router)
    with app.app_context():
        add_rules(app, says("随机", "甲", "乙", pick="random"))
        for text, obstacle in (("慢", Obstacle.SLOW), ("谁", Obstacle.SERVICES)):
            results = play(app, f"steps: [{{send: {text}}}, {{send: 随机}}]")
            assert [each.obstacle for each in results] == [obstacle, Obstacle.EARLIER]
            assert not any(each.passed or each.failed for each in results)
        steps = "{send: 随机, expect: 甲}, {send: 随机, expect: {rule: 随机}}, {send: 随机}"
        assert marks(play(app, f"steps: [{steps}]")) == "?++"
        tap = "{MsgType: text, Content: 查看回复, bizmsgmenuid: late-00000000000000000000000000000000}"
        assert play(app, f"steps: [{{push: {tap}}}]")[0].obstacle is Obstacle.PICKUP


def test_a_handler_that_fails_answers_as_it_does_live(make_app: MakeApp) -> None:
    router = Router()

    @router.on(TextMessage)
    def fails(message: TextMessage, ctx: Context) -> Answer:
        ctx.state = "lost"
        raise LookupError("no such city")

    app = make_app(router, wechat_apology="抱歉")
    with app.app_context():
        assert marks(play(app, "steps: [{send: 天气, expect: 抱歉}]")) == "+"


def test_edited_rules_are_tried_beside_the_saved_ones(app: Flask) -> None:
    [rule_id] = add_rules(app, says("价格", "十元"))
    play(app, "steps: [{send: 价格, expect: 十元}, {send: 退款, expect: {rule: 退款}}]")
    rules = [Rule.from_json(each) for each in (says("价格", "八元"), says("退款", "好"))]
    [(before, after)] = services(app).scenarios.try_out(
        services(app).account_id, lambda saved: {**saved, rule_id: rules[0], 0: rules[1]}
    )
    assert isinstance(after, Played)
    assert (marks(list(before.steps)), marks(list(after.steps))) == ("+-", "-+")
    assert (after.steps[1].rule_id, after.steps[0].text) == (0, "八元")
