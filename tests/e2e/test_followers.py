"""Synchronising followers, and the demo pages for them, in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect

from tests.conftest import APP_SECRET, MakeApp
from tests.e2e.conftest import OpenConsole, opening_pages
from tests.e2e.console import Console, check_page
from wechat_bot.simulator.state import SimulatedFollower as Played
from wechat_bot.testing import OPENID, FakeAPI, listening
from wechat_bot.wiring import services


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    """Of an account with 150 followers whom nobody knows yet."""
    with api.store.opened() as state:
        state.followers = {f"o{n:03}": Played(f"o{n:03}", subscribe_time=1_700_000_000) for n in range(150)}
    return make_app(api=api, wechat_app_secret=APP_SECRET)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_shows_the_followers_by_itself_when_a_run_has_ended(console: Console, width: int) -> None:
    page = console.sign_in("/admin/followers", width=width)
    check_page(page)
    page.get_by_role("button", name="同步粉丝").click()
    expect(page.get_by_text("已同步 0 / 0")).to_be_visible()
    check_page(page)
    services(console.app).jobs.run_all()
    expect(page.get_by_text("上次同步了 150 人")).to_be_visible()
    expect(page.locator("[data-rows] tbody tr")).to_have_count(50)
    check_page(page)


def test_what_has_the_focus_is_not_below_the_navigation_of_a_phone(console: Console) -> None:
    page = console.sign_in("/admin/followers", width=390)
    page.get_by_role("button", name="同步粉丝").click()
    services(console.app).jobs.run_all()
    expect(page.locator("[data-rows] tbody tr")).to_have_count(50)
    page.locator("tbody [name=id]").first.focus()
    for _link in range(20):
        page.keyboard.press("Tab")
        page.wait_for_function(
            """() => document.activeElement.getBoundingClientRect().bottom
                < document.querySelector(".rail").getBoundingClientRect().top"""
        )


@pytest.fixture
def listed(make_app: MakeApp, open_console: OpenConsole) -> Console:
    """Of an account with three followers who wrote."""
    console = open_console(make_app())
    for name in ("oFirst", "oSecond", "oThird"):
        console.says(name, "在吗")
    console.catch_up()
    return console


@pytest.mark.parametrize(("language", "width"), [("zh-CN", 1440), ("en-US", 390)])
def test_what_can_be_done_to_selected_followers_appears_when_one_is(
    listed: Console, language: str, width: int
) -> None:
    page = listed.sign_in("/admin/followers?sort=messages", language=language, width=width)
    boxes, bar = page.locator("[name=id]"), page.locator(".selected")
    expect(boxes).to_have_count(3)
    expect(bar).to_be_hidden()
    boxes.nth(1).check()
    expect(bar.get_by_role("status")).to_contain_text("1")
    check_page(page)
    bar.locator("[name=tag]").fill("VIP")
    bar.locator("[value=tag]").click()
    expect(page.locator("tbody .badge", has_text="VIP")).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="VIP")).to_be_visible()
    check_page(page)


def test_a_whole_page_is_selected_by_one_box(listed: Console) -> None:
    page = listed.sign_in("/admin/followers")
    page.locator("[data-select-page]").check()
    expect(page.locator(".selected")).to_contain_text("已选 3 位")
    page.locator("[name=id]").first.uncheck()
    expect(page.locator(".selected")).to_contain_text("已选 2 位")
    page.locator("[name=all]").check()
    expect(page.locator("[data-selected]")).to_be_hidden()


def test_followers_are_ordered_and_tagged_without_javascript(listed: Console) -> None:
    page = listed.sign_in("/admin/followers", java_script_enabled=False)
    page.locator("summary", has_text="最近活动").click()
    page.locator(".menu-body a", has_text="消息最多").click()
    expect(page.locator(".chip", has_text="说过话的")).to_be_visible()
    page.locator("[name=all]").check()
    page.locator(".selected [name=tag]").fill("来过")
    page.locator(".selected").get_by_role("button", name="加标签").click()
    expect(page.locator("tbody .badge", has_text="来过")).to_have_count(3)


@pytest.mark.parametrize(("language", "width"), [("zh-CN", 390), ("en-US", 1440)])
def test_a_message_is_shown_between_its_neighbours(listed: Console, language: str, width: int) -> None:
    listed.says("oFirst", "我的包裹到哪了", "谢谢")
    listed.catch_up()
    page = listed.sign_in("/admin/messages?q=包裹", language=language, width=width)
    page.locator("tbody .content a").first.click()
    drawer = page.locator("#drawer")
    expect(drawer.locator(".here")).to_contain_text("我的包裹到哪了")
    check_page(page)
    drawer.locator("[data-close]").click()
    expect(drawer).to_be_hidden()
    page.locator("tbody .content a").first.click()
    page.locator("#drawer .btn-list a[href^='/admin/messages/']").first.click()
    page.wait_for_url(re.compile(r"/admin/messages/\d+$"))
    expect(page.locator(".thread")).to_contain_text("谢谢")
    expect(page.locator(".technical dl")).to_be_hidden()
    page.locator(".technical summary").click()
    expect(page.locator(".technical dl")).to_contain_text("oFirst")
    check_page(page)
    page.locator(".detail-who .btn").click()
    expect(page.locator(".bubble.here")).to_contain_text("我的包裹到哪了")


def test_the_demo_knows_its_visitor_after_consent(
    make_app: MakeApp, chromium: Browser, tmp_path: Path
) -> None:
    app = make_app()
    app.instance_path = str(tmp_path / "instance")
    with listening(app) as address, opening_pages(chromium, address) as open_page:
        page = open_page("/demo/followers/", width=390)
        check_page(page)
        page.get_by_role("link", name="征得同意").click()
        check_page(page)
        page.get_by_role("button", name="同意").click()
        expect(page.get_by_text(OPENID)).to_be_visible()
        check_page(page)
        page.goto("/demo/followers/share")
        expect(page.get_by_text("jsApiList")).to_be_visible()
        check_page(page)
