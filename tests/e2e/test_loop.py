"""The operator's loop: open, read, answer, done, next, by keyboard alone and without loading a page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from tests.conftest import APP_SECRET, MakeApp
from tests.e2e.conftest import OpenConsole
from tests.e2e.console import Console, check_page
from wechat_bot.extensions import db
from wechat_bot.models import Conversation, ConversationStatus, Follower, MessageLog
from wechat_bot.testing import FakeAPI

FOLLOWERS = [f"oFollower{number}" for number in range(10)]


@pytest.fixture
def desk(make_app: MakeApp, api: FakeAPI, open_console: OpenConsole) -> Console:
    """A console in which ten followers wait for an answer."""
    console = open_console(make_app(api=api, wechat_app_secret=APP_SECRET))
    for openid in FOLLOWERS:
        console.says(openid, "什么时候发货呀")
    console.catch_up()
    return console


def follower_shown(page: Page) -> str:
    return page.locator(".talk[data-follower]").get_attribute("data-follower") or ""


@pytest.mark.parametrize(("language", "width", "height"), [("zh-CN", 1440, 900), ("en-US", 375, 667)])
def test_ten_conversations_are_answered_by_keyboard_alone(
    desk: Console, language: str, width: int, height: int
) -> None:
    page = desk.sign_in("/admin/conversations", language=language, width=width)
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("window.stayed = true")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    seen: list[str] = []
    for number in range(len(FOLLOWERS)):
        expect(page.locator("#reply")).to_be_enabled()
        page.wait_for_function(
            "seen => ![...seen].includes(document.querySelector('.talk').dataset.follower)", arg=seen
        )
        seen.append(follower_shown(page))
        page.wait_for_function("document.activeElement !== document.body")  # the focus is in what is shown
        page.keyboard.press("r")
        expect(page.locator("#reply")).to_be_focused()
        page.keyboard.type(f"今天发出 {number}")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".bubble.out").filter(has_text=f"今天发出 {number}")).to_be_visible()
        expect(page.locator("#reply")).to_have_value("")
        page.keyboard.press("Escape")
        page.keyboard.press("e")
    expect(page.locator(".inbox-list li")).to_have_count(0)
    assert sorted(seen, key=int) == [str(number) for number in range(1, 11)]
    assert page.evaluate("window.stayed") is True, "a page was loaded"
    assert answered(desk) == dict.fromkeys(FOLLOWERS, ConversationStatus.DONE)
    check_page(page)


def answered(desk: Console) -> dict[str, str]:
    """The status of each follower's conversation in which an operator has answered."""
    with desk.app.app_context():
        rows = db.session.execute(
            select(Follower.openid, Conversation.status)
            .join(Conversation, Conversation.follower_id == Follower.id)
            .join(MessageLog, MessageLog.follower_id == Follower.id)
            .where(MessageLog.operator_id.is_not(None))
        )
        return {row.openid: row.status for row in rows}
