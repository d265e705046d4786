"""Unanswered questions in a real browser: from what nobody answered to an answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from playwright.sync_api import expect

from tests.conftest import MakeApp
from tests.e2e.console import Console, check_on_all_screens, for_everybody
from tests.services.messages.journal import Journal
from wechat_bot.models import Direction
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

PAGE = "/admin/questions"


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_what_nobody_answered_becomes_a_rule_and_is_done(console: Console, scripts: bool) -> None:
    console.says("oOne", "可以开发票吗")
    console.says("oTwo", "请问可以开发票吗？")
    page = console.sign_in(PAGE, "小王", java_script_enabled=scripts)
    expect(page.locator(".question .hits b")).to_have_text("2")
    page.get_by_role("link", name="可以开发票吗").click()
    expect(page.locator(".examples li")).to_have_count(2)
    page.get_by_role("link", name="做成规则").click()
    page.get_by_label("说到这些词").fill("发票")
    page.locator("[name='answers[0].text']").fill("可以，把抬头发来。")
    page.locator(".save-bar button").click()
    page.goto(f"{PAGE}/1")
    page.get_by_role("button", name="处理好了").click()
    expect(page.locator(".sentence .badge")).to_have_text("已处理")
    assert "把抬头发来" in str(FakePlatform.of(console.app).text("可以开发票吗"))
    page.goto(PAGE)
    expect(page.locator(".empty-title")).to_have_text("这里没有问题")


def test_what_nobody_answered_becomes_knowledge(console: Console) -> None:
    follower_id = console.says("oOne", "可以开发票吗")
    bot = services(console.app)
    answer = {"direction": Direction.OUT, "operator_id": 2, "created_at": datetime.now(UTC)}
    Journal(bot.engine).add("可以，把抬头发来。", follower_id=follower_id, **answer)
    page = console.sign_in(f"{PAGE}/1", "小王")
    expect(page.locator(".answer")).to_contain_text("可以，把抬头发来。")
    page.get_by_role("link", name="加入知识库").click()
    page.locator("main form .btn-primary").first.click()
    page.wait_for_load_state()
    found = bot.knowledge.find(bot.account_id, "请问可以开发票吗")
    assert [passage.text for passage in found] == ["可以，把抬头发来。"]


@for_everybody
def test_the_pages_fit_and_can_be_read_by_everybody(console: Console, language: str, scheme: str) -> None:
    console.says("oOne", "可以开发票吗", "几点开门" * 40, "wifi密码")
    for path in (PAGE, f"{PAGE}/1", f"{PAGE}/2", f"{PAGE}?q=nothing"):
        check_on_all_screens(console.sign_in(path, "小王", language=language, color_scheme=scheme))
