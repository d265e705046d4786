"""The editor of the menu in a browser, from the first button to the tap of a follower."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect

from tests.conftest import APP_SECRET, MakeApp
from tests.e2e.console import Console, check_on_all_screens, check_page, drag, for_everybody
from wechat_bot import handlers
from wechat_bot.extensions import db
from wechat_bot.services.audit import Actor
from wechat_bot.services.menus import versions
from wechat_bot.services.menus.buttons import load
from wechat_bot.settings import Settings
from wechat_bot.testing import FakeAPI, FileStore
from wechat_bot.wiring import services

MENU = """[{"name": "帮助", "type": "click", "key": "MENU_HELP"},
  {"name": "商城", "sub_button": [
    {"name": "新品", "type": "view", "url": "https://shop.example.com/new"},
    {"name": "订单", "type": "click", "key": "orders"},
    {"name": "这个名字有一点长了吧", "type": "pic_weixin", "key": "photo"}]},
  {"name": "一个太长太长的名字", "sub_button": [
    {"name": "官网", "type": "view", "url": "www.example.com"},
    {"name": "视频号", "type": "finder", "value": "sph1"}]}]"""


@pytest.fixture
def app(make_app: MakeApp, settings: Settings, tmp_path: Path) -> Flask:
    """Of an account whose platform the simulator plays."""
    credentials = replace(settings, wechat_app_secret=APP_SECRET).credentials
    api = FakeAPI(credentials, store=FileStore(tmp_path / "instance" / "simulator"))
    return make_app(handlers.router, api, wechat_app_secret=APP_SECRET)


def draft(console: Console, menu: str = MENU) -> None:
    with console.app.app_context():
        bot = services(console.app)
        version = versions.current(db.session.connection(), bot.account_id)
        seen = version.token if version else ""
        versions.save(bot.engine, Actor(None, "小李", ""), bot.account_id, seen, load(menu))


def names(page: Page) -> Locator:
    return page.locator(".menu-grid .slot-name")


def compose_and_publish(page: Page) -> None:
    """Make a menu with a button that the program answers, and publish it."""
    page.get_by_role("button", name="一级菜单").click()
    page.get_by_label("名称", exact=True).fill("帮助")
    page.get_by_label("点了以后").select_option("click")
    page.get_by_text("按钮的 key").click()
    page.get_by_label("key", exact=True).fill("MENU_HELP")
    page.get_by_role("button", name="一级菜单").click()  # what was typed is stored with it
    page.get_by_label("名称", exact=True).fill("商城")
    page.get_by_role("button", name="子菜单").nth(1).click()
    page.get_by_label("名称", exact=True).fill("新品🎉")
    page.get_by_label("点了以后").select_option("view")
    page.get_by_label("网址", exact=True).fill("https://shop.example.com/new")
    with page.expect_navigation():
        page.get_by_role("button", name="保存草稿").click()
    expect(page.get_by_text("新增“新品🎉”")).to_be_visible()
    with page.expect_navigation():
        page.get_by_role("button", name="发布…").click()
    page.get_by_role("button", name="现在发布").click()
    expect(page.get_by_text("最多五分钟后换成新菜单")).to_be_visible()


def test_a_menu_is_made_and_published_and_a_tap_on_the_phone_is_counted(console: Console) -> None:
    page = console.sign_in("/admin/menu")
    page.locator(".rail").get_by_role("link", name="菜单").click()
    check_page(page)
    compose_and_publish(page)
    check_page(page)
    phone = console.open_page("/simulator/")
    bar = phone.get_by_role("navigation", name="公众号菜单")
    bar.get_by_text("商城").click()
    expect(bar.get_by_role("button", name="新品🎉")).to_be_visible()
    bar.get_by_role("button", name="帮助").click()
    expect(phone.locator("#log .bubble").first).to_be_visible()
    page.goto("/admin/menu?at=0")
    expect(page.get_by_text("近 7 天 1 次，近 30 天 1 次")).to_be_visible()


def test_everything_but_dragging_works_without_javascript(console: Console) -> None:
    page = console.sign_in("/admin/menu", java_script_enabled=False)
    compose_and_publish(page)
    page.goto("/admin/menu?at=1")
    page.get_by_role("button", name="左移").click()
    expect(names(page)).to_have_text(["商城", "新品🎉", "帮助"])
    page.get_by_role("button", name="删去按钮").click()
    expect(names(page)).to_have_text(["帮助"])


def test_what_is_wrong_is_said_while_it_is_typed(console: Console) -> None:
    draft(console)
    page = console.sign_in("/admin/menu?at=1")
    name = page.get_by_label("名称", exact=True)
    name.fill("六个汉字太长")
    expect(page.get_by_text("名称有 18 字节，超过了 16 字节")).to_be_visible()
    expect(page.get_by_text("18/16 字节")).to_be_visible()
    name.fill("五个汉字长")
    expect(page.get_by_text("名称有 18 字节")).to_be_hidden()
    expect(page.locator("[data-phone=draft]")).to_contain_text("五个汉字长")
    page.locator("[data-place='1.0']").click()
    address = page.get_by_label("网址", exact=True)
    address.fill("shop.example.com")
    expect(page.get_by_text("网址要以 http:// 或 https:// 开头")).to_be_visible()
    address.fill("https://shop.example.com")
    expect(page.get_by_text("网址要以 http:// 或 https:// 开头")).to_be_hidden()
    expect(names(page).nth(1)).to_have_text("五个汉字长")


def test_buttons_are_moved_by_dragging_and_by_keys(console: Console) -> None:
    def slot(place: str, name: str) -> Locator:
        """The slot with this name, once the script has prepared it."""
        return page.locator(f"[data-place='{place}'][draggable]", has_text=name)

    draft(console)
    page = console.sign_in("/admin/menu")
    drag(slot("1.1", "订单"), slot("1.0", "新品"))
    expect(slot("1.0", "订单")).to_be_focused()
    drag(slot("1.0", "订单"), page.locator("[data-end='2.2']"))
    expect(slot("2.2", "订单")).to_be_focused()
    drag(slot("0", "帮助"), slot("2", "一个太长"))
    expect(slot("1", "帮助")).to_be_focused()
    slot("1", "帮助").press("Alt+ArrowRight")
    expect(slot("2", "帮助")).to_be_focused()
    slot("2", "帮助").press("Alt+ArrowRight")
    expect(page.get_by_role("alert")).to_contain_text("那里放不下")


def test_two_editors_lose_nothing(console: Console) -> None:
    draft(console, '[{"name": "帮助", "type": "click", "key": "MENU_HELP"}]')
    first, second = console.sign_in("/admin/menu"), console.sign_in("/admin/menu", name="小王")
    for page, name in ((first, "求助"), (second, "问我")):
        page.get_by_label("名称", exact=True).fill(name)
        page.get_by_role("button", name="保存草稿").click()
    expect(second.get_by_text("“求助”：改名为“问我”")).to_be_visible()
    check_page(second)
    second.get_by_role("button", name="用我的").click()
    expect(names(second)).to_have_text(["问我"])
    second.get_by_role("link", name="第 1 版").click()
    expect(second.locator("[data-phone=version]")).to_contain_text("求助")
    second.get_by_role("button", name="恢复成草稿").click()
    expect(names(second)).to_have_text(["求助"])


@for_everybody
def test_every_page_of_the_menu_fits_and_can_be_read_by_everybody(
    console: Console, language: str, scheme: str
) -> None:
    with console.app.app_context():
        client = services(console.app).client
        assert client
        client.menu.create(load(MENU)[:2])
    draft(console)
    page = console.sign_in("/admin/menu?at=2.0", language=language, color_scheme=scheme)
    check_on_all_screens(page)
    for path in ("?at=0", "?at=2.1", "/publish", "/versions/1", "/delete"):
        page.goto(f"/admin/menu{path}")
        check_on_all_screens(page)
