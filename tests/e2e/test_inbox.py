"""The list of conversations in a browser: rows that change in place, filters, saved views, many at once."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from tests.e2e.console import Console, check_page
from wechat_bot.extensions import db
from wechat_bot.models import Conversation, ConversationStatus
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import actions
from wechat_bot.wiring import services


def row(page: Page, openid: str) -> Locator:
    return page.locator(".inbox-list > li", has_text=pseudonym(openid))


def close(console: Console, follower_id: int) -> None:
    """A colleague is done with a conversation."""
    with console.app.app_context():
        actions.set_status(
            db.engine, Actor(1, "admin", ""), services().account_id, [follower_id], ConversationStatus.DONE
        )


def test_a_push_changes_its_row_in_place_and_nothing_else(console: Console) -> None:
    console.says("oFirst", "第一句")
    console.says("oSecond", "在吗")
    page = console.sign_in("/admin/conversations?tab=all")
    page.evaluate("window.sameDocument = true")
    row(page, "oFirst").locator("[name=id]").check()
    row(page, "oSecond").locator("[data-row]").focus()
    order = page.locator(".inbox-list .who").all_inner_texts()
    console.says("oSecond", "还在吗")
    expect(row(page, "oSecond").locator(".snippet")).to_have_text("在吗")  # since which they wait
    close(console, console.says("oFirst", "我等了很久"))
    expect(row(page, "oFirst").locator(".snippet")).to_have_text("我等了很久")
    assert page.locator(".inbox-list .who").all_inner_texts() == order
    expect(row(page, "oFirst").locator("[name=id]")).to_be_checked()
    expect(row(page, "oSecond").locator("[data-row]")).to_be_focused()

    bar = page.locator("#inbox-news")
    expect(bar).to_have_text(re.compile("1 个对话有新消息，刷新列表"))
    bar.click()
    expect(page.locator(".inbox-list .who").first).to_have_text(pseudonym("oFirst"))
    expect(row(page, "oFirst").locator("[name=id]")).to_be_checked()
    expect(bar).to_be_hidden()
    assert page.evaluate("window.sameDocument"), "without loading a page"


def test_the_order_of_who_waits_longest_does_not_jump_and_newcomers_are_counted(console: Console) -> None:
    console.says("oWaits", "有人吗")
    page = console.sign_in("/admin/conversations?q=oWaits")
    expect(page.locator(".inbox-list > li")).to_have_count(1)
    console.says("oWaits", "还在吗")
    expect(row(page, "oWaits").locator(".snippet")).to_have_text("有人吗")
    expect(page.locator("#inbox-news")).to_be_hidden()
    console.says("oWaitsToo", "我也在等")
    expect(page.locator("#inbox-news")).to_have_text(re.compile("1 个对话"))
    page.locator("#inbox-news").click()
    expect(page.locator(".inbox-list > li")).to_have_count(2)


def test_what_is_done_leaves_unless_it_is_being_read(console: Console) -> None:
    read, other = console.says("oRead", "有人吗"), console.says("oOther", "有人吗")
    page = console.sign_in(f"/admin/conversations/{read}?q=有人吗")
    page.goto(f"/admin/conversations/{read}")
    close(console, read)
    close(console, other)
    changed = "new CustomEvent('conversation:changed', {detail: {follower}})"
    page.evaluate(f"follower => document.dispatchEvent({changed})", read)
    expect(row(page, "oRead")).to_have_class(re.compile("gone"))
    expect(row(page, "oRead")).to_contain_text("已处理")
    expect(row(page, "oOther")).to_have_count(0)
    page.locator(".inbox-list [data-row]").first.click()
    expect(row(page, "oRead")).to_have_count(0)


def test_a_filter_becomes_a_view(console: Console) -> None:
    console.says("oViewed", "有人吗")
    page = console.sign_in("/admin/conversations?tab=all", name="小王")
    page.get_by_label("查找粉丝").fill("oViewed")
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_text("oViewed")
    page.locator(".inbox-tools summary").click()
    page.get_by_label("把现在的筛选保存为视图").fill("找她")
    page.get_by_role("button", name="保存视图").click()
    expect(page.locator(".inbox-tabs summary")).to_have_text("找她")
    page.goto("/admin/conversations")
    page.locator(".inbox-tabs summary").click()
    page.get_by_role("link", name="找她").click()
    expect(page.locator(".inbox-list > li")).to_have_count(1)
    page.locator(".inbox-tabs summary").click()
    page.get_by_role("link", name="管理视图").click()
    check_page(page)
    page.get_by_label("名称").fill("老客")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("tbody")).to_contain_text("老客")
    page.get_by_role("button", name="删除 老客").click()
    expect(page.locator("main")).to_contain_text("还没有保存的视图")


def test_all_that_match_are_done_at_once(console: Console) -> None:
    ids = [console.says(f"oHeap{number}", "有人吗") for number in range(45)]
    page = console.sign_in("/admin/conversations?q=oHeap", name="小王")
    page.evaluate("window.sameDocument = true")
    bulk = page.locator("#bulk")
    expect(bulk).to_be_hidden()
    page.locator(".inbox-list [name=id]").first.check()
    expect(bulk).to_contain_text("已选 1 个")
    bulk.locator("[data-select-page]").check()
    expect(bulk).to_contain_text("已选 40 个")
    expect(bulk).to_contain_text("全部符合条件的 45（最多 500 个）")
    bulk.get_by_label("全部符合条件的").check()
    bulk.locator("summary", has_text="状态").click()
    bulk.get_by_role("button", name="已处理").click()
    expect(page.locator("#announcement")).to_have_text("45 个对话已处理")
    expect(page.locator(".inbox-list > li")).to_have_count(0)
    expect(bulk).to_be_hidden()
    assert page.evaluate("window.sameDocument"), "without loading a page"
    with console.app.app_context():
        found = select(Conversation.status).where(Conversation.follower_id.in_(ids))
        assert set(db.session.scalars(found)) == {ConversationStatus.DONE}


def test_a_refusal_is_told_and_the_selection_stays(console: Console) -> None:
    console.says("oRefused", "有人吗")
    page = console.sign_in("/admin/conversations?q=oRefused")
    row(page, "oRefused").locator("[name=id]").check()
    page.route(
        "**/conversations/bulk", lambda route: route.fulfill(status=409, body="409 Conflict: 请再试一次。")
    )
    page.get_by_role("button", name="加星标").click()
    expect(page.locator("#announcement")).to_have_text("请再试一次。")
    expect(row(page, "oRefused").locator("[name=id]")).to_be_checked()
    page.unroute("**/conversations/bulk")
    page.get_by_role("button", name="加星标").click()
    expect(row(page, "oRefused")).to_contain_text("★")
    expect(row(page, "oRefused").locator("[name=id]")).not_to_be_checked()


def test_the_keyboard_alone_chooses_and_stars(console: Console) -> None:
    console.says("oKeys", "有人吗")
    page = console.sign_in("/admin/conversations?q=oKeys")
    page.keyboard.press("j")
    expect(row(page, "oKeys").locator("[data-row]")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    star = page.get_by_role("button", name="加星标")
    for _step in range(20):
        if star.evaluate("button => button === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(row(page, "oKeys")).to_contain_text("★")
    page.locator(".inbox-tabs summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("tab=all"))


def test_the_list_works_without_javascript(console: Console) -> None:
    console.says("oPlain", "有人吗")
    page = console.sign_in("/admin/conversations?q=oPlain", name="小王", java_script_enabled=False)
    page.locator(".inbox-tools summary").click()
    page.get_by_label("关注").select_option("yes")
    page.get_by_role("button", name="筛选").click()
    expect(page.locator(".chip")).to_have_count(2)
    row(page, "oPlain").locator("[name=id]").check()
    page.locator("#bulk summary", has_text="分配").click()
    page.locator("#bulk").get_by_role("button", name="小王").click()
    expect(page.locator("main > .alert")).to_contain_text("1 个对话已处理")
    expect(row(page, "oPlain")).to_contain_text("小王")
    page.locator(".inbox-tabs").get_by_role("link", name="我的").click()
    expect(page.locator(".inbox-list > li")).to_have_count(1)


@pytest.mark.parametrize(
    ("language", "width", "scheme"),
    [("zh-CN", 1440, "dark"), ("zh-CN", 390, "light"), ("en-US", 1440, "light"), ("en-US", 390, "dark")],
)
def test_menus_and_the_bar_for_many_can_be_read_by_everybody(
    console: Console, language: str, width: int, scheme: str
) -> None:
    console.says("oShown", "有人吗")
    page = console.sign_in(
        "/admin/conversations?subscribed=yes", language=language, width=width, color_scheme=scheme
    )
    assert page.locator(".inbox-tabs").evaluate("tabs => tabs.scrollWidth <= tabs.clientWidth")
    page.locator(".inbox-list [name=id]").first.check()
    check_page(page)
    for opener in (
        ".inbox-tabs summary",
        ".inbox-tools summary",
        ".inbox-order summary",
        "#bulk summary >> nth=2",
    ):
        page.locator(opener).click()
        check_page(page)
        page.keyboard.press("Escape")


def test_a_viewer_has_the_list_without_actions(console: Console) -> None:
    console.says("oViewedOnly", "有人吗")
    page = console.sign_in("/admin/conversations", name="看客")
    expect(page.locator("#bulk, [name=id]")).to_have_count(0)
    console.says("oViewedOnly", "还在吗")
    expect(page.locator(".live")).to_have_attribute("data-state", "on")
