"""The buttons of the menu on the pages of rules: chosen by a press, and named when nobody answers them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browser
from tests.blueprints.admin.rules.conftest import PAGE, Rules
from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.services.audit import Actor
from wechat_bot.services.menus import versions
from wechat_bot.services.rules import reading
from wechat_bot.testing import FakeAPI
from wechat_bot.wechat.api.menu import Button
from wechat_bot.wiring import services

MENU = (
    Button("今日", "click", key="TODAY"),
    Button(
        "服务",
        sub_button=(Button("地址", "click", key="WHERE"), Button("网店", "view", url="https://a.example/")),
    ),
)
FORM = {
    "name": "今日",
    "enabled": "on",
    "trigger.type": "menu",
    "answers[0].kind": "text",
    "answers[0].text": "鱼",
}
TODAY = {"type": "menu", "keys": ["TODAY", "ELSEWHERE"]}


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


@pytest.fixture
def draft(app: Flask, engine: Engine) -> None:
    versions.save(engine, Actor(None, "阿珍", ""), services(app).account_id, "", MENU)


def pressed(page: str) -> dict[str, bool]:
    found = re.findall(r'type="checkbox" name="trigger.keys" value="([^"]*)"( checked)?', page)
    return {key: bool(checked) for key, checked in found}


def written(page: str) -> str:
    found = re.search(r'<textarea[^>]*name="trigger.keys"[^>]*>([^<]*)<', page)
    return found[1] if found else ""


@pytest.mark.usefixtures("draft")
def test_buttons_are_chosen_by_pressing_them_and_other_keys_are_written(
    operator: Browser, rules: Rules, engine: Engine
) -> None:
    assert pressed(operator.get(f"{PAGE}/new").text) == {"TODAY": False, "WHERE": False}
    keys: dict[str, Any] = {"trigger.keys": ["TODAY", "ELSEWHERE\r\nTODAY"]}
    assert operator.post(f"{PAGE}/new", **FORM, **keys).status_code == 303
    [entry] = reading.entries(engine, rules.account_id)
    assert entry.definition["trigger"] == TODAY
    page = operator.get(f"{PAGE}/{entry.id}").text
    assert pressed(page) == {"TODAY": True, "WHERE": False}
    assert written(page) == "ELSEWHERE"


@pytest.mark.usefixtures("draft")
def test_buttons_that_only_followers_see_can_be_pressed_too(
    operator: Browser, rules: Rules, api: FakeAPI
) -> None:
    client = services(rules.app).menus.client
    assert client
    client.menu.create((Button("旧的", "click", key="OLD"), MENU[0]))
    page = operator.get(f"{PAGE}/{rules.add('今日', trigger=TODAY)}").text
    assert pressed(page) == {"TODAY": True, "WHERE": False, "OLD": False}


@pytest.mark.usefixtures("draft")
def test_a_button_without_a_rule_is_told_before_and_after(operator: Browser, rules: Rules) -> None:
    rule_id = rules.add("今日", trigger=TODAY)
    assert "没有这条规则，点菜单按钮「今日」就没有回答。" in operator.get(f"{PAGE}/{rule_id}").text
    alone = operator.get(PAGE).text
    assert "WHERE" in alone
    assert "<code>TODAY</code>" not in alone
    operator.post(f"{PAGE}/{rule_id}/delete")
    listed = operator.get(PAGE).text
    assert "<code>TODAY</code>" in listed
    link = re.search(r'href="([^"]*new\?key=TODAY[^"]*)"', listed)
    assert link
    page = operator.get(link[1].replace("&amp;", "&")).text
    assert pressed(page)["TODAY"]
    assert 'name="name" type="text" maxlength="1024" value="今日"' in page


@pytest.mark.usefixtures("draft")
def test_a_rule_whose_button_another_one_answers_too_is_no_loss(operator: Browser, rules: Rules) -> None:
    rules.add("也答", trigger=TODAY)
    assert "就没有回答" not in operator.get(f"{PAGE}/{rules.add('今日', trigger=TODAY)}").text
