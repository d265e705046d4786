"""The editor of a rule and the test bench, as requests of an operator's browser."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browser, audited, newest
from tests.blueprints.admin.rules.conftest import PAGE, Rules
from wechat_bot.blueprints.admin.answers.forms import Form
from wechat_bot.blueprints.admin.rules import forms
from wechat_bot.models import Direction, MessageLog
from wechat_bot.routing.definitions import Rule
from wechat_bot.services.rules import reading
from wechat_bot.testing import FakePlatform

FORM = {
    "name": "退款",
    "enabled": "on",
    "trigger.type": "text",
    "patterns.contains": "退款\n退钱",
    "answers[0].kind": "text",
    "answers[0].text": "请发订单号",
}
TRIGGERS: list[dict[str, Any]] = [
    {"type": "followed", "followers": "new", "scene": "door"},
    {"type": "scanned", "scene": "door"},
    {"type": "message", "kinds": ["image", "voice"]},
    {"type": "menu", "keys": ["A", "B"]},
    {"type": "nothing_matched"},
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger["type"])
def test_every_trigger_comes_back_from_its_form(trigger: dict[str, Any]) -> None:
    definition = {
        "name": "a",
        "trigger": trigger,
        "enabled": False,
        "answers": [{"kind": "text", "text": "a"}, {"kind": "nothing"}],
        "pick": "in_turn",
        "schedule": {"hours": ["09:00-12:00", "22:00-02:00"], "weekdays": [1, 7], "first_day": "2026-12-01"},
        "audience": {"tags": ["会员", "老客户"], "followed_since": "2026-01-01"},
        "cool_down": 7200,
        "notes": "两行\n备注",
    }
    assert Rule.from_json(forms.definition_of(forms.form_of(definition))) == Rule.from_json(definition)


def test_hours_may_be_written_as_people_do() -> None:
    form = Form({"schedule.hours": "9：00—12:00，13:30 至 18:00"})
    assert forms.definition_of(form)["schedule"]["hours"] == ["09:00-12:00", "13:30-18:00"]


def test_a_new_rule_is_saved_and_answers(
    operator: Browser, rules: Rules, platform: FakePlatform, engine: Engine
) -> None:
    assert operator.get(f"{PAGE}/new").status_code == 200
    assert operator.post(f"{PAGE}/new", **FORM).status_code == 303
    assert platform.text("我要退钱") == "请发订单号"
    assert audited(engine)[-1] == "rule_created"


def test_every_problem_stands_at_its_field_and_nothing_is_lost(operator: Browser, rules: Rules) -> None:
    bad = {
        "patterns.pattern": "(",
        "answers[0].text": "好" * 700,
        "answers[3].kind": "news",
        "answers[3].articles[0].title": "只有标题",
        "schedule.hours": "九点",
        "cool_down": "很久",
        "notes": "留着",
    }
    answer = operator.post(f"{PAGE}/new", **FORM | bad)
    assert answer.status_code == 422
    for field in ("patterns.pattern", "answers[0].text", "schedule.hours", "cool_down"):
        assert f'id="problem-{field}"' in answer.text, field
    assert 'id="problem-answers[3].articles[0].url"' in answer.text
    for kept in ("好" * 700, "只有标题", "九点", "很久", "留着"):
        assert kept in answer.text
    unnamed = operator.post(f"{PAGE}/new", **FORM | {"name": " ", "patterns.contains": ""}).text
    assert 'id="problem-name"' in unnamed
    assert 'id="problem-patterns.contains"' in unnamed
    assert rules.names == []


def test_answers_are_added_moved_and_removed_by_buttons(operator: Browser, rules: Rules) -> None:
    two = operator.post(f"{PAGE}/new", **FORM, add="answers").text
    assert 'name="answers[1].kind"' in two
    form = FORM | {"answers[1].kind": "text", "answers[1].text": "再见"}
    moved = operator.post(f"{PAGE}/new", **form, up="answers[1]").text
    assert moved.index("再见") < moved.index("请发订单号")
    left = operator.post(f"{PAGE}/new", **form, remove="answers[0]").text
    assert "请发订单号" not in left
    assert "再见" in left
    cards = operator.post(f"{PAGE}/new", **FORM | {"answers[0].kind": "news"}, add="answers[0].articles").text
    assert 'name="answers[0].articles[0].title"' in cards
    assert rules.names == []


def test_the_second_editor_gets_the_difference_and_takes_either(
    operator: Browser, rules: Rules, engine: Engine
) -> None:
    rule_id = rules.add("退款")
    path = f"{PAGE}/{rule_id}"
    assert operator.post(path, **FORM, version="1").status_code == 303
    mine = FORM | {"answers[0].text": "我的话", "notes": "我的备注"}
    answer = operator.post(path, **mine, version="1")
    assert answer.status_code == 409
    for words in ("我的话", "请发订单号", "我的备注", 'name="version" value="2"'):
        assert words in answer.text
    assert operator.post(path, **mine, version="2").status_code == 303
    [entry] = reading.entries(engine, rules.account_id)
    assert entry.definition["notes"] == "我的备注"


def test_what_somebody_deleted_meanwhile_can_be_saved_as_new(operator: Browser, rules: Rules) -> None:
    rule_id = rules.add("退款")
    operator.post(f"{PAGE}/{rule_id}/delete")
    answer = operator.post(f"{PAGE}/{rule_id}", **FORM, version="1")
    assert answer.status_code == 409
    assert "别人刚刚删除了这条规则" in answer.text
    assert f'action="{PAGE}/new"' in answer.text


def test_the_history_tells_who_changed_what(operator: Browser, rules: Rules) -> None:
    rule_id = rules.add("退款", "旧的话")
    operator.post(f"{PAGE}/{rule_id}", **FORM, version="1")
    page = operator.get(f"{PAGE}/{rule_id}/history").text
    for words in ("阿珍", "li", "<del>旧的话</del> → <ins>请发订单号</ins>", "恢复第 1 版"):
        assert words in page
    operator.post(f"{PAGE}/{rule_id}/restore", version="1")
    assert "旧的话" in operator.get(PAGE).text


def test_the_history_tells_every_field_of_an_answer(operator: Browser, rules: Rules) -> None:
    card = {"answers[0].kind": "news", "answers[0].articles[0].title": "茶", "answers[0].articles[0].url": ""}
    address = "answers[0].articles[0].url"
    operator.post(f"{PAGE}/new", **FORM | card | {address: "https://a.example"})
    rule_id = rules.id_of(FORM["name"])
    operator.post(f"{PAGE}/{rule_id}", **FORM | card | {address: "https://b.example"}, version="1")
    page = operator.get(f"{PAGE}/{rule_id}/history").text
    assert "茶 · https://a.example</del>" in page
    assert "茶 · https://b.example</ins>" in page


def test_the_preview_shows_what_followers_see(operator: Browser, rules: Rules) -> None:
    text = {"answers[0].text": '{{name|朋友}}，<a href="https://a.example/">看这里</a><script>'}
    page = operator.post(f"{PAGE}/preview", **FORM | text).text
    assert '小明，<span class="wx-link">看这里</span>&lt;script&gt;' in page
    choices = {"answers[0].kind": "choices", "answers[0].choices": "地址\n退款"}
    assert '<span class="wx-link">地址</span>' in operator.post(f"{PAGE}/preview", **FORM | choices).text
    unfinished = {"answers[0].kind": "image"}
    assert "还没写完" in operator.post(f"{PAGE}/preview", **FORM | unfinished).text


def test_the_edited_rule_is_tried_beside_the_saved_ones(operator: Browser, rules: Rules) -> None:
    rules.add("退货", "旧答案", keyword="退货")
    asked = FORM | {"bench.kind": "text", "bench.text": "退钱"}
    page = operator.post(f"{PAGE}/new", **asked, **{"try": "on"}).text
    assert "由规则「退款」回答" in page
    assert "现在是：" in page
    assert rules.names == ["退货"]
    page = operator.post(f"{PAGE}/new", **asked | {"bench.text": "我要退货"}, **{"try": "on"}).text
    assert "由规则「退货」回答" in page


def test_the_edited_rule_is_compared_on_real_messages(
    operator: Browser, rules: Rules, platform: FakePlatform
) -> None:
    for text in ("我要退钱", "你好", "退款"):
        platform.text(text)
    page = operator.post(f"{PAGE}/new", **FORM, compare="on").text
    assert "比了最近 3 条，有 2 条会换一个回答。" in page
    assert "fallback.apologize → 退款" in unescape(page)
    rule_id = rules.add("退款", "旧答案")
    page = operator.post(f"{PAGE}/{rule_id}", **FORM, compare="on").text
    assert page.count("退款：新的回答") == 1


def test_the_bench_says_why_each_rule_answers_or_not(operator: Browser, rules: Rules) -> None:
    rules.add("关着", keyword="退款", enabled=False)
    rules.add("早上", keyword="退款", schedule={"hours": ["08:00-09:00"]})
    rules.add("会员", keyword="退款", audience={"tags": ["会员"]})
    rules.add("退款", "请发订单号")
    rules.add("也是", keyword="退款")
    page = operator.get(f"{PAGE}/bench?kind=text&text=我要退款&at=2026-11-27T12:00").text
    for words in ("停用了", "不在它的时段里", "粉丝没有它要的标签", "包含 「退款」", "规则「退款」先答了"):
        assert words in page
    assert "由规则「退款」回答" in page
    assert "请发订单号" in page
    assert "由规则「早上」回答" in operator.get(f"{PAGE}/bench?kind=text&text=退款&at=2026-11-27T08:30").text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("kind=subscribe", "由规则「欢迎」回答"),
        ("kind=click&text=A", "由规则「菜单」回答"),
        ("kind=scan&text=door", "由代码 events.scanned 接走"),
        ("kind=image", "由规则「图片」回答"),
        ("kind=text&text=帮助", "由代码 commands.show_help 接走"),
    ],
)
def test_events_and_other_messages_are_tried_too(
    operator: Browser, rules: Rules, query: str, words: str
) -> None:
    rules.add("欢迎", trigger={"type": "followed", "followers": "new"})
    rules.add("菜单", trigger={"type": "menu", "keys": ["A"]})
    rules.add("图片", trigger={"type": "message", "kinds": ["image"]})
    assert words in operator.get(f"{PAGE}/bench?{query}").text


def test_a_message_of_the_log_is_explained_and_made_a_rule(
    operator: Browser, rules: Rules, platform: FakePlatform, engine: Engine
) -> None:
    platform.text("可以开发票吗")
    message_id = newest(engine, MessageLog.id, MessageLog.direction == Direction.IN)
    detail = operator.get(f"/admin/messages/{message_id}").text
    assert f"{PAGE}/bench?message={message_id}" in detail
    assert f"{PAGE}/new?message={message_id}" in detail
    page = operator.get(f"{PAGE}/bench?message={message_id}").text
    assert "由代码 fallback.apologize 接走" in page
    assert "可以开发票吗</textarea>" in operator.get(f"{PAGE}/new?message={message_id}").text
    assert operator.get(f"{PAGE}/bench?message=999999").status_code == 404


@pytest.mark.parametrize("query", ["at=yesterday&kind=text", "at=0001-01-01T00:00&kind=text"])
def test_a_time_that_is_none_is_told(operator: Browser, query: str) -> None:
    assert operator.get(f"{PAGE}/bench?{query}").status_code == 400


@pytest.mark.parametrize("query", ["kind=nonsense", "kind=click&follower=x", "message=x"])
def test_odd_parameters_break_nothing(operator: Browser, rules: Rules, query: str) -> None:
    rules.add("退款")
    assert operator.get(f"{PAGE}/bench?{query}").status_code == 200
