"""An empty console in a real browser."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import expect

from tests.conftest import TOKEN, MakeApp
from tests.e2e.console import Console, check_on_all_screens, check_page, for_everybody
from wechat_bot.simulator.openids import new_openid


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An application without messages."""
    return make_app()


@for_everybody
def test_the_first_steps_fit_and_can_be_read_by_everybody(
    console: Console, language: str, scheme: str
) -> None:
    page = console.sign_in("/admin/followers", language=language, color_scheme=scheme)
    page.locator(".first-steps summary").click()
    expect(page.locator(".first-steps code", has_text=TOKEN)).to_be_visible()
    check_on_all_screens(page)


def test_a_step_ticks_by_itself_and_what_was_put_away_stays_away(console: Console) -> None:
    page = console.sign_in("/admin/messages")
    expect(page.locator(".first-steps .done")).to_have_count(1)  # there are colleagues
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".first-steps summary").click()
    page.get_by_role("button", name="复制 Token").click()
    expect(page.get_by_role("button", name="复制 Token")).to_contain_text("已复制")
    assert page.evaluate("navigator.clipboard.readText()") == TOKEN
    console.says(new_openid(), "你好")
    expect(page.locator(".first-steps .done")).to_have_count(2)
    check_page(page)
    page.get_by_role("button", name="不再显示").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.goto("/admin/conversations?tab=all")
    expect(page.locator(".first-steps")).to_have_count(0)


def test_the_steps_that_are_left_stay_beside_the_first_conversations(console: Console) -> None:
    console.says(new_openid(), "听不懂")
    page = console.sign_in("/admin/conversations?tab=all")
    expect(page.locator(".talk .first-steps .done")).to_have_count(2)
    check_page(page)


def test_without_scripts_the_steps_are_links_and_forms(console: Console) -> None:
    page = console.sign_in("/admin/messages", java_script_enabled=False)
    expect(page.get_by_role("button", name="复制 Token")).to_have_count(0)
    page.get_by_role("link", name="检查接入的每一步").click()
    page.wait_for_url("**/admin/health")
    page.go_back()
    page.get_by_role("button", name="不再显示").click()
    expect(page.get_by_text("还没有消息")).to_be_visible()
