"""An operator works through conversations: without loading a page, on a phone, without JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.console import Console, check_page
from wechat_bot.extensions import db
from wechat_bot.models import Conversation, ConversationStatus
from wechat_bot.pseudonyms import pseudonym

LIST = "/admin/conversations?sort=newest&q=oWorked"


@pytest.fixture
def followers(console: Console) -> list[int]:
    """Twelve followers who wait, in the order of `LIST`."""
    found = [console.says(f"oWorked{number:02}", f"第 {number} 位") for number in range(12)]
    console.catch_up()
    return found[::-1]


def name_of(number: int) -> str:
    """The name of the follower at a place of `LIST`."""
    return pseudonym(f"oWorked{11 - number:02}")


def stay(page: Page) -> None:
    """Mark the page, and collect what it tells about conversations."""
    page.evaluate("""() => {
        window.stayed = true;
        window.told = [];
        for (const event of ["conversation:changed", "conversation:done"])
            document.addEventListener(event, ({type, detail}) => window.told.push([type, detail.follower]));
    }""")


def expect_stayed(page: Page) -> None:
    """The page has not been loaded again, and the focus is on something that is shown."""
    assert page.evaluate("window.stayed")
    assert page.evaluate(
        "document.activeElement !== document.body && document.activeElement.checkVisibility()"
    )


def expect_open(page: Page, number: int) -> None:
    expect(page.locator(".talk h1")).to_contain_text(name_of(number))


def test_the_next_conversation_opens_when_one_is_done_ten_times_in_a_row(
    console: Console, followers: list[int]
) -> None:
    page = console.sign_in(LIST, name="小王")
    stay(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    for number in range(10):
        expect_open(page, number)
        page.keyboard.press("e")
        expect_open(page, number + 1)
        expect_stayed(page)
        expect(page).to_have_url(
            re.compile(rf"/conversations/{followers[number + 1]}\?sort=newest&q=oWorked$")
        )
        expect(page).to_have_title(re.compile(re.escape(name_of(number + 1))))
    assert page.evaluate("window.told.filter(([type]) => type === 'conversation:done')") == [
        ["conversation:done", follower_id] for follower_id in followers[:10]
    ]
    changed = page.evaluate("window.told.filter(([type]) => type === 'conversation:changed')")
    assert [follower_id for _, follower_id in changed] == followers[:10]
    with console.app.app_context():
        statuses = [db.session.get_one(Conversation, follower_id).status for follower_id in followers]
    assert statuses == [*[ConversationStatus.DONE] * 10, *[ConversationStatus.OPEN] * 2]


def test_the_way_through_the_list_goes_on_where_one_was(console: Console, followers: list[int]) -> None:
    page = console.sign_in(f"/admin/conversations/{followers[3]}?sort=newest&q=oWorked")
    stay(page)
    page.keyboard.press("j")
    expect(page.locator("[data-row]:focus")).to_contain_text(name_of(4))
    page.locator("#log").focus()
    page.evaluate(
        "document.querySelector('[data-rows] .current').remove()"
    )  # as when somebody else is faster
    page.keyboard.press("j")
    expect(page.locator("[data-row]:focus")).to_contain_text(name_of(4))
    page.keyboard.press("k")
    expect(page.locator("[data-row]:focus")).to_contain_text(name_of(2))
    page.locator("#log").focus()
    page.keyboard.press("e")
    expect_open(page, 4)
    expect_stayed(page)


def test_the_first_conversation_follows_the_last_one_and_then_nothing(
    console: Console, followers: list[int]
) -> None:
    last = followers[-1]
    page = console.sign_in(f"/admin/conversations/{last}?sort=newest&q=oWorked")
    stay(page)
    page.evaluate(
        """last => document.querySelectorAll("[data-rows] > *").forEach((row, at) => {
        if (at && !row.querySelector(`[href*="/${last}?"]`)) row.remove();
    })""",
        last,
    )
    page.keyboard.press("e")
    expect_open(page, 0)
    page.evaluate("document.querySelectorAll('[data-rows] > :not(.current)').forEach(row => row.remove())")
    page.keyboard.press("e")
    expect(page.locator(".talk")).to_contain_text("选择一个对话")
    expect(page).to_have_url(re.compile(r"/conversations\?sort=newest&q=oWorked$"))
    expect_stayed(page)
    page.go_back()
    expect_open(page, 0)


def test_an_answer_that_also_ends_a_conversation_opens_the_next(
    console: Console, followers: list[int]
) -> None:
    page = console.sign_in(f"/admin/conversations/{followers[0]}?sort=newest&q=oWorked")
    stay(page)
    done = "follower => document.dispatchEvent(new CustomEvent('conversation:done', {detail: {follower}}))"
    page.evaluate(done, followers[5])
    assert ["conversation:changed", followers[5]] in page.evaluate("window.told")
    expect_open(page, 0)
    page.evaluate(done, followers[0])
    expect_open(page, 1)
    expect_stayed(page)


def test_what_is_done_with_a_conversation_shows_in_place_and_is_said(
    console: Console, followers: list[int]
) -> None:
    page = console.sign_in(f"/admin/conversations/{followers[0]}?sort=newest&q=oWorked", name="小王")
    stay(page)
    said, name = page.locator("#announcement"), name_of(0)
    star = page.locator(".talk-head").get_by_role("button", name="星标")
    star.click()
    expect(said).to_have_text(f"{name}：已加星标")
    expect(star).to_have_attribute("aria-pressed", "true")
    expect(star).to_be_focused()
    page.keyboard.press("a")
    expect(page.locator("#assignee")).to_have_value("2")
    expect(page.locator(".talk-head").get_by_role("button", name="分配给我")).to_have_count(0)
    page.locator("#assignee").select_option("admin")
    page.locator("form", has=page.locator("#assignee")).get_by_role("button").click()
    expect(page.locator(".talk-head").get_by_role("button", name="分配给我")).to_be_visible()
    expect_stayed(page)
    page.locator("#log").focus()
    for tag in ("退款", "加急"):
        page.keyboard.press("t")
        page.keyboard.type(tag)
        page.keyboard.press("Enter")
        expect(page.locator("#card .badge", has_text=tag)).to_be_visible()
        expect(page.locator("#tag")).to_be_focused()
        expect(page.locator("#tag")).to_have_value("")
        page.keyboard.press("Escape")
    page.get_by_role("button", name="去掉标签 退款").click()
    expect(page.locator("#card .badge", has_text="退款")).to_have_count(0)
    expect(page.locator("#tag")).to_be_focused()
    page.locator("#alias").fill("王姐")
    page.keyboard.press("Enter")
    expect(page.locator(".talk h1")).to_have_text("王姐")
    expect(page).to_have_title(re.compile("王姐"))
    expect(page.locator("#alias")).to_be_focused()
    page.locator(".talk-more summary").click()
    page.get_by_role("button", name="等待对方").click()
    expect(said).to_have_text("王姐：等待对方")
    expect(page.locator(".talk-who .badge")).to_have_text("等待对方")
    expect_stayed(page)
    check_page(page)
    assert page.evaluate("window.told") == [["conversation:changed", followers[0]]] * 8


def test_what_is_pressed_before_the_last_change_is_answered_is_done_after_it(
    console: Console, followers: list[int]
) -> None:
    page = console.sign_in(f"/admin/conversations/{followers[0]}", name="小王")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/assignee", hold)
    with page.expect_request("**/assignee"):
        page.keyboard.press("a")
    page.keyboard.press("e")
    held[0].continue_()
    expect(page.locator("#announcement")).to_contain_text("已处理")


def test_back_and_forward_lead_through_the_conversations_that_were_open(
    console: Console, followers: list[int]
) -> None:
    page = console.sign_in(LIST)
    stay(page)
    for number in (0, 1):
        page.locator("[data-row]", has_text=name_of(number)).click()
        expect_open(page, number)
    page.go_back()
    expect_open(page, 0)
    expect(page).to_have_title(re.compile(re.escape(name_of(0))))
    expect(page.locator("[data-rows] .current")).to_contain_text(name_of(0))
    page.go_back()
    expect(page.locator(".talk")).to_contain_text("选择一个对话")
    expect(page).to_have_title(re.compile("对话 · wechat_bot"))
    page.go_forward()
    page.go_forward()
    expect_open(page, 1)
    expect_stayed(page)
    page.goto("/admin/conversations?tab=all")
    page.locator("[data-row]", has_text=name_of(3)).click()
    expect_open(page, 3)
    page.go_back()
    page.go_back()
    expect_open(page, 1)
    expect(page.locator(".inbox-tools [type=search]")).to_have_value("oWorked")


def test_a_search_in_a_conversation_tells_who_wrote_and_goes_there_and_back(console: Console) -> None:
    follower_id = console.says("oSearched", *[f"第 {number} 句" for number in range(60)])
    console.catch_up()
    page = console.sign_in(f"/admin/conversations/{follower_id}")
    stay(page)
    page.keyboard.press("f")
    page.keyboard.type("句")
    page.keyboard.press("Enter")
    rows = page.locator(".story li")
    expect(rows.first).to_contain_text(f"{pseudonym('oSearched')} 第 59 句")
    expect_stayed(page)
    check_page(page)
    page.keyboard.press("f")
    page.locator("#find").fill("帮助")
    page.keyboard.press("Enter")
    expect(rows.first).to_contain_text("机器人 抱歉")
    page.go_back()
    rows.filter(has_text="第 20 句").locator("a").click()
    expect(page.locator(".here")).to_contain_text("第 20 句")
    expect(page.locator(".here")).to_be_in_viewport()
    page.get_by_role("link", name="更新的消息").click()
    expect(page.locator("#log")).to_contain_text("第 45 句")
    expect_stayed(page)


def test_operators_see_who_looks_and_who_writes_without_anything_new(
    console: Console, followers: list[int]
) -> None:
    here = f"/admin/conversations/{followers[0]}"
    mine = console.sign_in(here)
    presence = mine.locator("#presence")
    expect(presence).to_be_empty()
    theirs = console.sign_in(here, name="小王")
    expect(presence).to_have_text("小王正在看")
    expect(theirs.locator("#presence")).to_have_text("admin正在看")
    token = theirs.locator("[name=csrf_token]").first.input_value()
    draft = theirs.request.post(f"{here}/draft", form={"csrf_token": token, "text": "我来"})
    assert draft.status == 204
    expect(presence).to_have_text("小王正在回复")
    expect(mine.locator(".talk")).to_have_attribute("data-writing", "小王")
    expect(theirs.locator(".talk")).not_to_have_attribute("data-writing", re.compile(".*"))
    mine.goto(f"{here}?find=位")
    expect(presence).to_have_text("小王正在回复")
    theirs.context.close()
    with console.app.app_context():
        db.session.execute(db.text("DELETE FROM presences"))
        db.session.execute(db.text("DELETE FROM drafts"))
        db.session.commit()
    expect(presence).to_be_empty()
    expect(mine.locator(".talk")).not_to_have_attribute("data-writing", re.compile(".*"))


@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
def test_the_line_above_a_conversation_is_one_line(
    console: Console, followers: list[int], language: str
) -> None:
    page = console.sign_in(f"/admin/conversations/{followers[0]}", language=language, width=1280)
    head = page.locator(".talk-head").bounding_box()
    assert head
    assert head["height"] < 60
    lines = page.locator(".talk-head > *").evaluate_all("all => all.map(each => each.clientHeight)")
    assert max(lines) < 48, "no words break a line"


@pytest.mark.parametrize(
    ("language", "width", "height"), [("zh-CN", 390, 844), ("en-US", 375, 667), ("en-US", 844, 390)]
)
def test_on_a_phone_a_conversation_is_all_that_is_shown(
    console: Console, followers: list[int], language: str, width: int, height: int
) -> None:
    page = console.sign_in(LIST, language=language, width=width)
    page.set_viewport_size({"width": width, "height": height})
    stay(page)
    page.locator("[data-row]", has_text=name_of(0)).click()
    expect_open(page, 0)
    expect_stayed(page)
    for outside in (".rail", ".topbar", ".inbox", "#card"):
        expect(page.locator(outside)).to_be_hidden()
    parts = [page.locator(name).bounding_box() for name in (".talk-head", "#owner", "#log", ".composer")]
    head, owner, log, composer = (part["height"] for part in parts if part)
    assert head < 60
    assert owner < 40
    assert abs(head + owner + log + composer - height) < 2, "the messages have all the room that is left"
    check_page(page)

    page.locator(".talk-card").click()
    expect(page.locator("#card")).to_be_visible()
    expect(page.locator("#card")).to_be_focused()
    check_page(page)
    page.locator("#tag").fill("加急")
    page.keyboard.press("Enter")
    expect(page.locator("#card .badge", has_text="加急")).to_be_visible()
    page.locator(".card-close").click()
    expect(page.locator("#card")).to_be_hidden()
    expect_stayed(page)

    page.locator(".talk-more summary").click()
    check_page(page)
    page.locator(".talk-more").get_by_role("link").click()
    expect(page.locator("#card")).to_be_visible()
    page.go_back()
    expect(page.locator("#card")).to_be_hidden()
    page.locator(".talk-head [data-key=e]").click()
    expect_open(page, 1)
    expect_stayed(page)
    page.locator(".talk-back").click()
    expect(page.locator("[data-row]:focus")).to_contain_text(name_of(1))
    expect(page.locator(".rail")).to_be_visible()
    expect_stayed(page)
    page.go_back()
    expect_open(page, 1)


@pytest.mark.parametrize("width", [1280, 390])
def test_everything_can_be_done_with_a_conversation_without_javascript(
    console: Console, followers: list[int], width: int
) -> None:
    page = console.sign_in(name="小王", width=width, java_script_enabled=False)
    page.goto(f"/admin/conversations/{followers[0]}?sort=newest&q=oWorked")
    if width < 1200:
        page.locator(".talk-more summary").click()
    page.get_by_role("button", name="星标", exact=True).click()
    page.get_by_role("button", name="已处理").click()
    expect(page.locator(".talk-who .badge")).to_have_text("已处理")
    page.locator(".talk-more summary").click()
    if width < 1200:
        expect(page.get_by_role("button", name="星标", exact=True)).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="分配给我").click()
        page.locator(".talk-card").click()
    else:
        page.get_by_role("button", name="标记为待处理").click()
        expect(page.locator(".talk-who .badge")).to_have_text("待处理")
    page.locator("#tag").fill("加急")
    page.keyboard.press("Enter")
    expect(page.locator("#card .tags")).to_contain_text("加急")
    if width < 1200:
        page.locator(".talk-card").click()
    page.locator("#alias").fill("王姐")
    page.keyboard.press("Enter")
    expect(page.locator(".talk h1")).to_have_text("王姐")
    page.locator(".talk-find summary").click()
    page.locator("#find").fill("位")
    page.keyboard.press("Enter")
    expect(page.locator(".story li").last).to_contain_text("王姐 第 11 位")
    page.get_by_role("link", name="返回对话").click()
    expect(page.locator("#log")).to_contain_text("第 11 位")
    expect(page).to_have_url(re.compile(r"\?sort=newest&q=oWorked$"))
