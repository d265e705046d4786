"""A shop moves in: from the platform's console to answers without code, in one go."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect

from tests.conftest import APP_SECRET, MakeApp
from tests.e2e.console import Console, check_page
from wechat_bot import handlers
from wechat_bot.settings import Settings
from wechat_bot.simulator import sample_console
from wechat_bot.testing import FakeAPI, FileStore

ANSWER = "[name='answers[0].text']"


@pytest.fixture
def app(make_app: MakeApp, settings: Settings, tmp_path: Path) -> Flask:
    """Of a shop with 200 rules and a menu in the platform's console, which the simulator plays."""
    credentials = replace(settings, wechat_app_secret=APP_SECRET).credentials
    api = FakeAPI(credentials, store=FileStore(tmp_path / "instance" / "simulator"))
    sample_console.set_up(api, rules=200)
    return make_app(handlers.router, api, wechat_app_secret=APP_SECRET)


def test_a_shop_moves_in_and_answers_better_than_before(console: Console) -> None:
    page = console.sign_in("/admin/import", width=1440)
    bring_in(page)
    mend(page, "退款怎么办", "把订单号发来，当天退。")
    publish(page)

    phone = console.open_page("/simulator/", width=1440)
    phone.get_by_role("navigation", name="公众号菜单").get_by_role("button", name="优惠").click()
    expect(bubble(phone, "满减")).to_be_visible()
    say(phone, "退款怎么办")
    expect(bubble(phone, "把订单号发来，当天退。")).to_be_visible()
    say(phone, "能寄到新疆吗")
    expect(bubble(phone, "收到，客服上班后回复您。")).to_be_visible()

    console.catch_up()
    page.goto("/admin/messages?q=退款怎么办")
    page.locator("[data-row]").first.click()
    page.get_by_role("link", name="为什么这样回答").click()
    expect(page.locator(".taker")).to_have_text("由规则「退款怎么办」回答")

    # a colleague with a phone, in English
    colleague = console.sign_in("/admin/messages?q=新疆", name="小王", language="en-US", width=390)
    colleague.locator("[data-row]").first.click()
    colleague.get_by_role("link", name="Make it a rule").click()
    check_page(colleague)
    colleague.locator("[name='patterns.contains']").fill("新疆")
    colleague.locator(ANSWER).fill("能，三天到。")
    save(colleague)
    expect(colleague.locator(".rule", has_text="能寄到新疆吗")).to_be_visible()
    say(phone, "新疆能寄吗")
    expect(bubble(phone, "能，三天到。")).to_be_visible()

    # two who change the same rule
    colleague.get_by_role("link", name="能寄到新疆吗", exact=True).click()
    page.goto(colleague.url)
    page.locator(ANSWER).fill("能，五天到。")
    save(page)
    expect(page.locator(".rule", has_text="能，五天到。")).to_be_visible()
    colleague.locator(ANSWER).fill("能，四天到。")
    save(colleague)
    expect(colleague.locator(".difference")).to_contain_text("能，五天到。")
    check_page(colleague)


def bring_in(page: Page) -> None:
    page.get_by_role("button", name="读取后台的设置").click()
    check_page(page)
    page.get_by_role("button", name="导入", exact=True).click()
    expect(page.get_by_text(re.compile("已导入 2[0-9]{2} 条规则"))).to_be_visible()


def mend(page: Page, name: str, answer: str) -> None:
    """Change a rule, after it was tried in the bench beside it."""
    page.goto(f"/admin/rules?q={name}")
    page.get_by_role("link", name=name, exact=True).click()
    page.locator(ANSWER).fill(answer)
    page.locator("#try summary").click()
    page.locator("[name='bench.text']").fill(name)
    page.get_by_role("button", name="试", exact=True).click()
    expect(page.locator(".trial .taker")).to_have_text(f"由规则「{name}」回答")
    expect(page.locator(".trial")).to_contain_text(answer)
    save(page)
    expect(page.get_by_text("已保存")).to_be_visible()


def publish(page: Page) -> None:
    """Make the imported menu the draft, and publish it."""
    page.goto("/admin/menu#history")
    page.get_by_role("link", name="第 1 版").click()
    page.get_by_role("button", name="恢复成草稿").click()
    page.get_by_role("button", name="发布…").click()
    page.get_by_role("button", name="现在发布").click()
    expect(page.get_by_text("最多五分钟后换成新菜单")).to_be_visible()


def save(page: Page) -> None:
    page.locator(".save-bar button").click()


def say(phone: Page, text: str) -> None:
    phone.locator("#text").fill(text)
    phone.locator("#text").press("Enter")


def bubble(phone: Page, text: str) -> Locator:
    return phone.locator("#log .bubble", has_text=text)
