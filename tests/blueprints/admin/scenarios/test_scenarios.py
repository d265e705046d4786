"""Conversation tests, as requests of an operator's browser."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, update

from tests.blueprints.admin.conftest import Browser, SignIn, audited, newest
from tests.blueprints.admin.rules.conftest import Rules
from wechat_bot.models import MessageLog, Role, StoredScenario
from wechat_bot.services.audit import Actor
from wechat_bot.simulator import scenarios
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

PAGE = "/admin/rules/scenarios"
LINE = {"action": "send", "value": "退款", "at": "", "expect": "text", "expected": "请发订单号"}


@pytest.fixture
def operator(signed_in: SignIn) -> Browser:
    return signed_in(Role.OPERATOR)


@pytest.fixture
def rules(app: Flask, engine: Engine) -> Rules:
    rules = Rules(app, engine)
    rules.add("退款", "请发订单号")
    return rules


def fields(*lines: dict[str, str], name: str = "退款", **more: str) -> dict[str, Any]:
    """What a browser sends of a form with these lines."""
    columns = {key: [{**LINE, **line}[key] for line in lines or ({},)] for key in LINE}
    return {"name": name, "tags": "", **columns, **more}


def upload(browser: Browser, content: str | bytes) -> Any:
    data = content if isinstance(content, bytes) else content.encode()
    form = {"file": (BytesIO(data), "talk.yaml"), "csrf_token": browser.token("/admin/profile")}
    return browser.client.post(f"{PAGE}/import", data=form, headers={"Accept-Language": "zh"})


def test_a_test_is_written_and_tells_what_differs_once_the_rule_is_another(
    operator: Browser, rules: Rules, engine: Engine
) -> None:
    assert "还没有测试" in operator.get(PAGE).text
    shown = operator.post(
        f"{PAGE}/new", **fields({}, {"value": "帮助", "expect": "rule", "expected": "退款"})
    )
    page = operator.get(shown.location).text
    assert "通过 · " in page
    assert '<a href="/admin/rules/1">规则「退款」</a>' in page
    assert "1 步不同" in page
    assert '<span lang="en">commands.show_help</span>' in page
    assert "0 个通过，1 个不同，0 个看不出或没试过" in operator.get(PAGE).text
    assert "旧的" not in operator.get(PAGE).text
    operator.post("/admin/rules/1/delete")
    assert "旧的：之后规则改过" in operator.get(PAGE).text
    operator.post(f"{PAGE}/run")
    page = operator.get(PAGE).text
    assert "2 步不同" in page
    assert "旧的" not in page
    assert "抱歉，我没有听懂" in page
    assert audited(engine)[-2:] == ["scenario_added", "rule_deleted"]


def test_lines_are_added_moved_and_removed_before_anything_is_saved(operator: Browser, rules: Rules) -> None:
    def values(do: str) -> list[str]:
        page = operator.post(f"{PAGE}/new", **fields({}, {"value": "地址"}, do=do)).text
        return re.findall(r'name="value"[^>]*>([^<]*)</textarea>', page)

    assert values("add") == ["退款", "地址", ""]
    assert values("add:1") == ["退款", "", "地址"]
    assert values("up:2") == ["地址", "退款"]
    assert values("remove:1") == ["地址"]
    assert "还没有测试" in operator.get(PAGE).text


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (fields(name=""), "名称要有 1 到 64 个字符。"),
        (fields({"value": " "}), "还没有写粉丝做什么。"),
        (fields({}, {"at": "soon"}), "第 2 步：时间要写成 2026-11-28 22:00 这样。"),
        (fields({"value": ""}, {"expect": "pattern", "expected": "("}), "第 2 步：正则表达式不对："),
        (
            fields({"action": "push", "value": "image"}),
            "第 1 步：要写成 {MsgType: image, PicUrl: …} 这样的字段",
        ),
        (fields({"action": "push", "value": "[1"}), "第 1 步：不是 YAML："),
        (fields({"action": "dance"}), "第 1 步：没有“dance”这个动作。"),
        (fields(*[{}] * 101), "一个测试最多 100 步。"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_of_the_form_is_lost(
    operator: Browser, sent: dict[str, Any], sentence: str
) -> None:
    answer = operator.post(f"{PAGE}/new", **sent)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "请发订单号" in answer.text
    assert "还没有测试" in operator.get(PAGE).text


def test_every_kind_of_line_comes_back_as_it_was_written(operator: Browser) -> None:
    lines: list[dict[str, str]] = [
        {
            "action": "follow",
            "value": "door",
            "at": "2026-11-28T22:00",
            "expect": "contains",
            "expected": "门",
        },
        {
            "action": "push",
            "value": "{MsgType: image, MediaId: m}",
            "expect": "shows:nothing",
            "expected": "",
        },
        {"action": "unfollow", "value": "", "expect": "", "expected": ""},
        {"value": "一\n二", "expected": "三\n四"},
    ]
    shown = operator.post(f"{PAGE}/new", **fields(*lines, tags="会员， 老客"))
    page = operator.get(shown.location).text
    assert re.findall(r'<option value="([^"]*)" selected>', page) == [
        *("follow", "contains", "push", "shows:nothing", "unfollow", "", "send", "text")
    ]
    for words in ("{MsgType: image, MediaId: m}", "一\n二</textarea>", "三\n四</textarea>", "会员, 老客"):
        assert words in page
    assert 'name="at" value="2026-11-28T22:00"' in page
    [scenario] = scenarios.load_all(operator.get(f"{shown.location}.yaml").text)
    assert scenario.steps[0].at
    assert scenario.steps[3].fields["Content"] == "一\n二"


def test_two_editors_at_once_get_the_difference_and_overwrite_nothing(
    operator: Browser, rules: Rules, engine: Engine
) -> None:
    path = operator.post(f"{PAGE}/new", **fields()).location
    operator.post(path, **fields({"expected": "对方的话"}, version="1"))
    mine = operator.post(path, **fields({"expected": "我的话"}, version="1"))
    assert mine.status_code == 409
    assert "别人改过这个测试" in mine.text
    assert "expect: 对方的话" in mine.text
    assert "我的话</textarea>" in mine.text
    assert "对方的话</textarea>" in operator.get(path).text
    assert 'name="version" value="2"' in mine.text
    operator.post(path, **fields({"expected": "我的话"}, version="2"))
    assert "我的话</textarea>" in operator.get(path).text
    operator.post(f"{path}/delete")
    assert operator.get(path).status_code == 404
    assert operator.post(path, **fields(version="3")).status_code == 404
    assert operator.post(f"{path}/delete").status_code == 404
    assert audited(engine)[-4:] == ["scenario_added", *["scenario_edited"] * 2, "scenario_deleted"]


def test_a_conversation_in_the_log_becomes_a_test(
    operator: Browser, rules: Rules, platform: FakePlatform, engine: Engine
) -> None:
    for text in ("改名", "小明", "退款"):
        platform.text(text)
    last = newest(engine, MessageLog.id, MessageLog.text == "退款")
    assert f"{PAGE}/new?message={last}" in operator.get(f"/admin/messages/{last}").text
    page = operator.get(f"{PAGE}/new?message={last}&count=2").text
    values = re.findall(r'<textarea [^>]*name="(?:value|expected)"[^>]*>([^<]*)</textarea>', page)
    assert values == ["小明", "好的，小明。", "退款", "请发订单号"]
    assert 'maxlength="64" value="退款"' in page
    assert operator.get(f"{PAGE}/new?message=999").status_code == 404


def test_a_file_is_taken_and_given_as_flask_wechat_play_reads_it(operator: Browser, rules: Rules) -> None:
    text = "name: 一\nsteps: [{send: 退款, expect: 请发订单号}]\n---\nname: 二\nsteps: [{click: A}]\n"
    assert upload(operator, text).status_code == 303
    page = operator.get(PAGE).text
    assert re.findall(r"data-row>([^<]+)</a>", page) == ["一", "二"]
    assert "2 个通过" in page
    exported = operator.get(f"{PAGE}.yaml")
    assert exported.mimetype == "application/yaml"
    assert scenarios.load_all(exported.text) == scenarios.load_all(text)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe", "文件要存成 UTF-8 的文本。"),
        ("a: [", "不是 YAML：line "),
        ("a: &a [1]\nb: *a", "不能用 YAML 的引用（*）。"),
        ("steps: [{send: 1, expect: {sounds: 2}}]", "第 1 步：expect 是一段话，或者其中之一："),
        ("name: 一\nsteps: []", "“一”：还没有写粉丝做什么。"),
        ("#" * (257 << 10), "文件最大 256 KB。"),
    ],
)
def test_a_file_that_cannot_be_taken_is_explained(
    operator: Browser, content: str | bytes, sentence: str
) -> None:
    answer = upload(operator, content)
    assert answer.status_code == 422
    assert "一个也没有加入。" in answer.text
    assert sentence in answer.text


def test_an_edited_rule_is_tried_before_it_is_saved(operator: Browser, rules: Rules) -> None:
    operator.post(f"{PAGE}/new", **fields())
    draft = {
        "rule": "1",
        "enabled": "on",
        "name": "退款",
        "trigger.type": "text",
        "patterns.contains": "退款",
        "answers[0].kind": "text",
        "answers[0].text": "不退了",
    }
    page = operator.post(f"{PAGE}/draft", **draft).text
    assert "1 个现在通过的测试不再通过" in page
    assert "正在改的规则「退款」" not in page
    assert "不退了" in page
    mended = operator.post(f"{PAGE}/draft", **{**draft, "rule": "", "patterns.contains": "地址"}).text
    assert "现在通过的测试都还通过" in mended
    assert operator.post(f"{PAGE}/draft", **{**draft, "name": ""}).status_code == 422
    assert rules.names == ["退款"]


def test_an_edited_rule_is_tried_with_the_file_that_was_chosen(operator: Browser, rules: Rules) -> None:
    operator.post(f"{PAGE}/new", **fields())
    bot = services(rules.app)
    file_id = bot.library.add(Actor(None, "阿珍", ""), bot.account_id, "门店.png", PNG)
    draft = {
        "rule": "1",
        "enabled": "on",
        "name": "退款",
        "trigger.type": "text",
        "patterns.contains": "退款",
        "answers[0].kind": "image",
    }

    def tried(chosen: str) -> Any:
        nothing: Any = {"answers[0].file_id.image.upload": (BytesIO(), "")}
        return operator.post(f"{PAGE}/draft", **draft, **{"answers[0].file_id.image": chosen}, **nothing)

    assert "1 个现在通过的测试不再通过" in tried(str(file_id)).text
    assert tried("").status_code == 422


def test_viewers_read_and_change_nothing(operator: Browser, signed_in: SignIn, rules: Rules) -> None:
    path = operator.post(f"{PAGE}/new", **fields()).location
    viewer = signed_in(Role.VIEWER, "看客")
    assert "退款" in viewer.get(PAGE).text
    assert "新测试" not in viewer.get(PAGE).text
    assert '<fieldset class="scenario" disabled>' in viewer.get(path).text
    for target in (path, f"{path}/delete", f"{PAGE}/run", f"{PAGE}/draft", f"{PAGE}/import", f"{PAGE}/new"):
        assert viewer.post(target, **fields()).status_code == 403
    for page in (f"{PAGE}/new", f"{PAGE}.yaml", f"{path}.yaml"):
        assert viewer.get(page).status_code == 403


def test_what_could_not_be_played_is_said(operator: Browser) -> None:
    path = operator.post(f"{PAGE}/new", **fields({"value": "慢"}, {"value": "帮助"})).location
    page = operator.get(path).text
    assert "由一个慢的处理函数回答，这里不运行它。" in page
    assert "前面有一步没法试" in page
    assert "2 步看不出" in page


def test_tests_of_other_accounts_are_not_there(operator: Browser, rules: Rules, engine: Engine) -> None:
    path = operator.post(f"{PAGE}/new", **fields()).location
    with engine.begin() as connection:
        other = connection.exec_driver_sql(
            "INSERT INTO accounts (app_id, created_at) VALUES ('wx2', '2026-01-01') RETURNING id"
        ).scalar_one()
        connection.execute(update(StoredScenario).values(account_id=other))
    assert "还没有测试" in operator.get(PAGE).text
    assert operator.get(path).status_code == 404
    assert operator.post(f"{path}/delete").status_code == 404
