"""Notifications of the desktop, with a browser that notes them instead of showing them."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect
from sqlalchemy import select, update

from tests.e2e.console import Console, check_page
from wechat_bot.database.transactions import write
from wechat_bot.extensions import db
from wechat_bot.models import Conversation, ConversationStatus, Operator
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.services.operators import management

BROWSER = """
window.shown = [];
window.Notification = class {
  static permission = localStorage.permission ?? "default";
  static async requestPermission() {
    localStorage.permission = Notification.permission = window.answer ?? "granted";
  }
  constructor(title, options) {
    shown.push({title, ...options});
    window.latest = this;
    document.documentElement.dataset.shown = shown.length;
  }
  close() {}
};
let away = false;
Object.defineProperty(document, "hidden", {get: () => away});
window.leave = () => { away = true; };
"""
"""A browser that asks for permission, and whose page can be hidden."""
OPENID = "oFollowerWhoNeedsSomebody"


def open_with(console: Console, path: str, *, notifications: bool = False) -> Page:
    with console.app.app_context():
        everything_is_done = update(Conversation).values(status=ConversationStatus.DONE)
        write(db.engine, everything_is_done)
        admin = db.session.scalars(select(Operator.id).where(Operator.name == "admin")).one()
        management.set_preferences(db.engine, admin, notifications=notifications)
    page = console.sign_in(path)
    page.add_init_script(BROWSER)
    page.goto(path)
    return page


def shown(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("shown")
    return found


def test_the_switch_asks_the_browser_when_it_is_pressed(console: Console) -> None:
    page = open_with(console, "/admin/profile")
    assert page.evaluate("Notification.permission") == "default"
    page.get_by_label("就在桌面上通知").check()
    expect(page.get_by_text("这个浏览器允许通知。")).to_be_visible()
    check_page(page)
    page.get_by_role("button", name="保存").first.click()
    expect(page.get_by_label("就在桌面上通知")).to_be_checked()


def test_a_browser_that_refuses_is_explained(console: Console) -> None:
    page = open_with(console, "/admin/profile", notifications=True)
    ask = page.get_by_role("button", name="允许这个浏览器通知")
    expect(page.get_by_text("这个浏览器还没有允许通知。")).to_be_visible()
    page.evaluate("answer = 'denied'")
    ask.click()
    expect(page.get_by_text("这个浏览器拒绝了通知")).to_be_visible()
    expect(ask).to_be_hidden()
    check_page(page)


def test_a_hidden_page_shows_one_notification_that_opens_the_conversation(console: Console) -> None:
    page = open_with(console, "/admin/followers", notifications=True)
    page.evaluate("localStorage.permission = 'granted'")
    page.reload()
    expect(page.locator(".live")).to_have_attribute("data-state", "on")
    page.evaluate("leave()")
    follower_id = console.says(OPENID, "没人听得懂的话")
    console.catch_up()
    # A page that was just asked for news asks again half a minute after it is hidden.
    expect(page.locator("html")).to_have_attribute("data-shown", "1")
    assert [(each["title"], each["body"]) for each in shown(page)] == [
        (pseudonym(OPENID), "有新的待处理对话")
    ]
    page.evaluate("latest.onclick()")
    page.wait_for_url(f"**/admin/conversations/{follower_id}")


def test_a_page_that_is_seen_shows_none(console: Console) -> None:
    page = open_with(console, "/admin/followers", notifications=True)
    page.evaluate("localStorage.permission = 'granted'")
    page.reload()
    expect(page.locator(".live")).to_have_attribute("data-state", "on")
    console.says(OPENID, "没人听得懂的话")
    console.catch_up()
    expect(page.locator("[data-count=open]")).to_have_text("1")
    assert shown(page) == []
