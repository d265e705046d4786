"""Operators write below a conversation: what they send is there at once, nothing is lost or sent twice."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import select

from tests.e2e.console import Console, check_page, deliver
from tests.files import picture
from wechat_bot.extensions import db
from wechat_bot.models import Conversation, ConversationStatus, MessageLog, Note
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import actions, canned_replies
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakeAPI
from wechat_bot.wiring import services

HERE = "/admin/conversations/1"

DROP = """async ([how, files]) => {
    const data = new DataTransfer();
    for (const [name, type, bytes] of files) data.items.add(new File([new Uint8Array(bytes)], name, {type}));
    const target = document.querySelector(how === "paste" ? "#reply" : "#log");
    target.dispatchEvent(how === "paste"
        ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})
        : new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
}"""

HEAR = """() => {
    window.stayed = true;
    window.heard = [];
    for (const name of ["changed", "done"])
        document.addEventListener(`conversation:${name}`, event => heard.push([name, event.detail.follower]));
}"""

SEND_ALTHOUGH_CLOSED = """text => {
    document.querySelector("#replying fieldset").disabled = false;
    const area = document.querySelector("#reply");
    area.value = text;
    area.form.requestSubmit(area.form.elements.then);
}"""
"""In one step, because the page may close the form again at any moment."""


def open_conversation(desk: Console, **options: Any) -> Page:
    """A page of the conversation that notes what it is told, and whether it is loaded anew."""
    page = desk.sign_in(HERE, **options)
    page.evaluate(HEAR)
    return page


def written(desk: Console) -> list[str]:
    """The texts that operators have sent, as they are stored."""
    with desk.app.app_context():
        mine = MessageLog.origin.startswith("operator:")
        return list(db.session.scalars(select(MessageLog.text).where(mine).order_by(MessageLog.id)))


def add_canned_reply(desk: Console, shortcut: str, text: str) -> None:
    with desk.app.app_context():
        actor = Actor(1, "admin", "")
        definition = {"shortcut": shortcut, "answer": {"kind": "text", "text": text}}
        canned_replies.create(db.engine, actor, services().account_id, definition)


def expect_kept(page: Page, *heard: list[Any]) -> None:
    """The page was not loaded anew, and has told the rest of the console what happened."""
    assert page.evaluate("window.stayed")
    assert page.evaluate("window.heard") == list(heard)


def lose_responses(page: Page, path: str) -> None:
    """The server does what it is asked, but the page never hears of it."""

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route(path, lose, times=1)


def test_an_answer_is_in_the_conversation_before_the_server_knows_of_it(desk: Console) -> None:
    page = open_conversation(desk)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/answers", hold)
    page.locator("#reply").press_sequentially("您好")
    with page.expect_request("**/answers"):
        page.keyboard.press("Control+Enter")
    bubble = page.locator(".bubble.out").last
    expect(bubble).to_contain_text("您好")
    expect(bubble).to_contain_text("发送中")
    expect(page.locator("#reply")).to_have_value("")
    expect(page.locator("#reply")).to_be_focused()
    page.keyboard.type("还有")
    held[0].continue_()
    expect(page.locator(".bubble.out").last).to_contain_text("撤回")
    expect(page.locator(".unsent")).to_have_count(0)
    expect(page.locator("#window")).to_contain_text("4/5")
    expect(page.locator("#reply")).to_have_value("还有")
    expect_kept(page, ["changed", 1])
    page.wait_for_event("response", lambda response: "?after=" in response.url and response.status == 200)
    expect(page.locator(".bubble.out", has_text="您好")).to_have_count(1)


def test_answers_are_stored_in_the_order_in_which_they_are_written(desk: Console) -> None:
    page = open_conversation(desk)
    for text in "一二三":
        page.locator("#reply").fill(text)
        page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="撤回")).to_have_count(3)
    assert written(desk) == ["一", "二", "三"]


def test_without_a_connection_nothing_is_lost_and_it_is_sent_once_when_it_is_back(
    desk: Console, api: FakeAPI
) -> None:
    page = open_conversation(desk)
    page.context.set_offline(True)
    page.locator("#reply").fill("您的包裹到了")
    page.keyboard.press("Control+Enter")
    bubble = page.locator(".bubble.unsent")
    expect(bubble).to_contain_text("没有发出")
    check_page(page)
    page.context.set_offline(False)
    page.reload()
    expect(bubble).to_contain_text("您的包裹到了")
    expect(page.locator("#reply")).to_have_value("")
    bubble.get_by_role("button", name="重试").click()
    expect(page.get_by_role("button", name="撤回")).to_be_visible()
    expect(bubble).to_have_count(0)
    page.reload()
    expect(bubble).to_have_count(0)
    deliver(desk)
    assert [sent["text"]["content"] for sent in api.sent] == ["您的包裹到了"]


def test_an_answer_whose_response_was_lost_is_stored_once_however_often_it_is_repeated(desk: Console) -> None:
    page = open_conversation(desk)
    lose_responses(page, "**/answers")
    page.locator("#reply").fill("只此一条")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="重试").click()
    expect(page.locator(".unsent")).to_have_count(0)
    expect(page.locator(".bubble.out", has_text="只此一条")).to_have_count(1)
    assert written(desk) == ["只此一条"]


def test_a_note_whose_response_was_lost_is_stored_once(desk: Console) -> None:
    page = open_conversation(desk)
    lose_responses(page, "**/notes")
    page.keyboard.press("n")
    page.keyboard.type("已退款")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="重试").click()
    expect(page.locator(".unsent")).to_have_count(0)
    expect(page.locator(".bubble.note")).to_have_count(1)
    with desk.app.app_context():
        assert db.session.scalars(select(Note.text)).all() == ["已退款"]
    expect_kept(page, ["changed", 1])


def test_the_draft_of_a_note_is_kept_for_its_operator_until_it_is_sent(desk: Console) -> None:
    page = desk.sign_in(HERE)
    page.keyboard.press("n")
    page.keyboard.type("已退款")
    page.reload()
    page.keyboard.press("n")
    expect(page.locator("#note")).to_be_focused()
    expect(page.locator("#note")).to_have_value("已退款")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bubble.note")).to_have_count(1)
    expect(page.locator(".unsent")).to_have_count(0)
    page.reload()
    expect(page.locator(".bubble.note")).to_have_count(1)
    expect(page.locator("#note")).to_have_value("")


def test_what_is_given_up_is_in_the_field_again(desk: Console) -> None:
    page = open_conversation(desk)
    page.route("**/answers", lambda route: route.abort())
    page.locator("#reply").fill("第一句")
    page.keyboard.press("Control+Enter")
    page.locator("#reply").fill("第二句")
    page.get_by_role("button", name="取消").click()
    expect(page.locator("#reply")).to_have_value("第一句\n第二句")
    expect(page.locator(".unsent")).to_have_count(0)


def test_an_answer_that_is_refused_comes_back_with_the_reason(desk: Console) -> None:
    page = open_conversation(desk)
    with desk.app.app_context():
        status = db.session.get_one(Conversation, 1).status
    for n in range(5):
        page.locator("#reply").fill(f"第{n}条")
        page.keyboard.press("Control+Enter")
    expect(page.locator(".unsent")).to_have_count(0)
    page.evaluate(SEND_ALTHOUGH_CLOSED, "第六条")
    expect(page.locator(".refusal")).to_contain_text("条数已用完")
    expect(page.locator("#reply")).to_have_value("第六条")
    expect(page.locator(".unsent")).to_have_count(0)
    assert written(desk) == [f"第{n}条" for n in range(5)]
    with desk.app.app_context():
        assert db.session.get_one(Conversation, 1).status == status
    expect_kept(page, *[["changed", 1]] * 5)


@pytest.mark.parametrize("by", ["keys", "menu"])
def test_an_answer_is_sent_and_the_conversation_done(desk: Console, by: str) -> None:
    with desk.app.app_context():
        actions.set_status(
            db.engine, Actor(1, "admin", ""), services().account_id, [1], ConversationStatus.OPEN
        )
    page = open_conversation(desk)
    page.locator("#reply").fill("不客气")
    if by == "keys":
        page.keyboard.press("Control+Shift+Enter")
    else:
        page.get_by_role("button", name="其他发送方式").click()
        page.get_by_role("button", name="发送并处理").click()
    expect(page.locator(".talk[data-follower]")).to_have_count(0)  # there is no other conversation
    assert written(desk) == ["不客气"]
    with desk.app.app_context():
        assert db.session.get_one(Conversation, 1).status == ConversationStatus.DONE


def test_an_answer_is_taken_back_without_a_new_page_and_joins_what_is_written(desk: Console) -> None:
    page = open_conversation(desk)
    page.locator("#reply").fill("打错了")
    page.keyboard.press("Control+Enter")
    undo = page.get_by_role("button", name="撤回")
    expect(undo).to_be_visible()
    page.locator("#reply").fill("新的")
    undo.click()
    expect(page.locator("#reply")).to_have_value("打错了\n新的")
    expect(page.locator(".bubble.out").last).to_contain_text("已撤回")
    expect_kept(page, ["changed", 1], ["changed", 1])


@pytest.mark.parametrize("how", ["paste", "drop"])
def test_pictures_are_pasted_or_dropped_seen_and_sent(desk: Console, api: FakeAPI, how: str) -> None:
    page = open_conversation(desk)
    files = [[f"{n}.png", "image/png", list(picture("PNG", 20 + n, 20))] for n in range(3)]
    page.evaluate(DROP, [how, files])
    expect(page.locator(".tray li")).to_have_count(3)
    expect(page.locator(".tray canvas")).to_have_count(3)
    check_page(page)
    page.get_by_role("button", name="去掉 1.png").click()
    page.locator("#reply").fill("看图")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bubble.out img")).to_have_count(2)
    expect(page.locator(".bubble.out").last).to_contain_text("看图")
    expect(page.locator(".unsent")).to_have_count(0)
    expect(page.locator(".tray li")).to_have_count(0)
    deliver(desk)
    assert [message["msgtype"] for message in api.sent] == ["image", "image", "text"]
    expect_kept(page, *[["changed", 1]] * 3)


def test_a_file_that_cannot_be_sent_is_told_before_it_is_sent(desk: Console) -> None:
    page = open_conversation(desk)
    page.evaluate(DROP, ["drop", [["a.pdf", "application/pdf", [1, 2, 3]]]])
    expect(page.locator(".tray li")).to_contain_text("这种文件不能发送")


def test_a_file_that_the_server_refuses_comes_back_with_the_reason(desk: Console) -> None:
    page = open_conversation(desk)
    page.evaluate(DROP, ["drop", [["a.png", "image/png", [1, 2, 3]]]])
    page.locator("[data-answer] .btn-primary").first.click()
    expect(page.locator(".refusal")).to_contain_text("没有发送")
    expect(page.locator(".tray li")).to_contain_text("a.png")
    expect(page.locator(".unsent")).to_have_count(0)


@pytest.mark.parametrize(
    ("language", "word", "name"), [("zh-CN", "生日蛋糕", "🎂"), ("en-US", "birthday cake", "🎂")]
)
def test_an_emoji_is_found_by_a_word_and_put_where_one_writes(
    desk: Console, language: str, word: str, name: str
) -> None:
    page = open_conversation(desk, language=language)
    page.locator("#reply").fill("快乐！")
    page.keyboard.press("ArrowLeft")
    page.locator("[data-emoji]").click()
    expect(page.locator(".emoji-grid button").first).to_be_visible()
    check_page(page)
    page.keyboard.type(word)
    expect(page.locator(".emoji-grid button").first).to_have_text(name)
    page.keyboard.press("Enter")
    expect(page.locator("#reply")).to_have_value(f"快乐{name}！")
    expect(page.locator("#reply")).to_be_focused()


def test_a_face_of_wechat_is_written_as_its_code_and_drawn_in_the_bubble(desk: Console) -> None:
    page = open_conversation(desk)
    page.locator("[data-emoji]").click()
    page.keyboard.type("微笑")
    page.locator(".emoji-grid button[data-code='/::)']").click()
    expect(page.locator("#reply")).to_have_value("/::)")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bubble.out[id] .face")).to_have_attribute("title", "/::)")


def test_a_canned_reply_is_put_in_the_middle_of_a_text(desk: Console) -> None:
    add_canned_reply(desk, "退款", "三天内到账")
    add_canned_reply(desk, "地址", "请发地址")
    page = open_conversation(desk)
    area, choices = page.locator("#reply"), page.locator("#canned [role=option]")
    area.fill("您好， 谢谢")
    area.evaluate("area => area.setSelectionRange(4, 4)")
    page.keyboard.type("/")
    expect(choices).to_have_count(2)
    active = area.get_attribute("aria-activedescendant")
    expect(page.locator(f"#{active}")).to_have_attribute("aria-selected", "true")
    check_page(page)
    page.keyboard.press("Escape")
    expect(page.locator("#canned")).to_be_hidden()
    expect(area).to_be_focused()
    page.keyboard.type("退")
    expect(choices).to_have_count(1)
    page.keyboard.press("Enter")
    expect(area).to_have_value("您好， 三天内到账谢谢")
    area.fill("1/2")
    expect(page.locator("#canned")).to_be_hidden()


def test_a_canned_picture_stands_beside_the_text_and_is_sent_with_it(desk: Console, api: FakeAPI) -> None:
    with desk.app.app_context():
        bot, actor = services(), Actor(1, "admin", "")
        file_id = bot.library.add(actor, bot.account_id, "价目表.png", PNG)
        definition = {
            "shortcut": "价目",
            "title": "今年的价目",
            "answer": {"kind": "image", "file_id": file_id},
        }
        canned_replies.create(db.engine, actor, bot.account_id, definition)
    page = open_conversation(desk)
    area, tray = page.locator("#reply"), page.locator(".tray li")
    area.press_sequentially("请看 /价")
    expect(page.locator("#canned [role=option]")).to_contain_text("今年的价目")
    page.keyboard.press("Enter")
    expect(area).to_have_value("请看 ")
    expect(tray).to_contain_text("今年的价目")
    expect(tray.locator("img")).to_have_js_property("complete", True)
    check_page(page)
    tray.get_by_role("button", name="去掉 今年的价目").click()
    expect(tray).to_have_count(0)
    area.press_sequentially("/价")
    expect(page.locator("#canned [role=option]")).to_have_count(1)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bubble.out[id]")).to_have_count(3)
    expect(tray).to_have_count(0)
    deliver(desk)
    assert [message["msgtype"] for message in api.sent] == ["image", "text"]


def test_a_colleague_is_named_in_a_note_by_some_letters(desk: Console) -> None:
    page = open_conversation(desk)
    page.keyboard.press("n")
    expect(page.get_by_role("tab", name="笔记")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#reply")).to_be_hidden()
    page.keyboard.type("请看 @小")
    expect(page.locator("#names [role=option]")).to_have_text("@小王")
    check_page(page)
    page.keyboard.press("Enter")
    expect(page.locator("#note")).to_have_value("请看 @小王 ")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bubble.note")).to_contain_text("请看 @小王")
    assert written(desk) == []
    page.get_by_role("tab", name="笔记").press("ArrowLeft")
    expect(page.get_by_role("tab", name="回复")).to_be_focused()
    expect(page.locator("#reply")).to_be_visible()


def test_a_card_and_a_menu_are_seen_while_they_are_written(desk: Console, api: FakeAPI) -> None:
    page = open_conversation(desk)
    page.get_by_role("button", name="图文卡片或菜单消息").click()
    page.locator("[name=title]").fill("春季新品")
    page.locator("[name=url]").fill("https://example.com/a")
    expect(page.locator(".seen-card")).to_contain_text("春季新品")
    expect(page.locator(".field", has=page.locator("[name=title]"))).to_contain_text("4/64")
    check_page(page)
    page.get_by_role("button", name="发送卡片").click()
    expect(page.locator("#cards")).to_be_hidden()
    page.get_by_role("button", name="图文卡片或菜单消息").click()
    expect(page.locator("[name=title]")).to_have_value("")
    page.locator("[name=head]").fill("满意吗？")
    page.locator("[name=choices]").fill("满意\n不满意")
    expect(page.locator(".seen-choices span")).to_have_text(["满意", "不满意"])
    page.get_by_role("button", name="发送菜单").click()
    expect(page.get_by_role("button", name="撤回")).to_have_count(2)
    deliver(desk)
    assert [message["msgtype"] for message in api.sent] == ["news", "msgmenu"]
    expect_kept(page, ["changed", 1], ["changed", 1])


def test_whoever_sends_while_a_colleague_writes_is_asked_once(desk: Console) -> None:
    page = open_conversation(desk)
    page.evaluate("document.querySelector('.talk').dataset.writing = '小王'")
    page.locator("#reply").fill("我来")
    page.keyboard.press("Control+Enter")
    asks = page.locator("#colleague")
    expect(asks).to_contain_text("小王正在回复")
    check_page(page)
    asks.get_by_role("button", name="再看看").click()
    expect(page.locator("#reply")).to_have_value("我来")
    assert written(desk) == []
    page.locator("#reply").press("Control+Enter")
    asks.get_by_role("button", name="仍然发送").click()
    expect(page.get_by_role("button", name="撤回")).to_have_count(1)
    page.locator("#reply").fill("再说一句")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="撤回")).to_have_count(2)


def test_a_text_that_is_being_composed_is_not_sent(desk: Console) -> None:
    page = open_conversation(desk)
    page.locator("#reply").fill("ni hao")
    composing = "{key: 'Enter', ctrlKey: true, isComposing: true, bubbles: true}"
    page.locator("#reply").evaluate(f"area => area.dispatchEvent(new KeyboardEvent('keydown', {composing}))")
    expect(page.locator("#reply")).to_have_value("ni hao")
    expect(page.locator(".unsent")).to_have_count(0)
    assert written(desk) == []


@pytest.mark.parametrize(
    ("language", "width", "height", "highest"),
    [("zh-CN", 1440, 900, 120), ("en-US", 375, 667, 64), ("en-US", 844, 390, 64)],
)
def test_the_composer_is_low_until_it_is_used(
    desk: Console, language: str, width: int, height: int, highest: int
) -> None:
    page = open_conversation(desk, language=language, width=width)
    page.set_viewport_size({"width": width, "height": height})
    tall = "document.querySelector('.composer').getBoundingClientRect().height"
    assert page.evaluate(tall) <= highest
    check_page(page)
    page.locator("#reply").fill("第一行\n" * 40)
    assert page.evaluate(tall) < height / 2
    expect(page.locator("#way-note")).to_be_visible()
    expect(page.locator("[data-answer] .btn-primary").first).to_be_in_viewport()
    check_page(page)


def test_on_an_older_page_the_answer_leads_to_the_newest_messages(desk: Console, api: FakeAPI) -> None:
    desk.says("oFollower1", *(f"消息{n}" for n in range(60)))
    desk.catch_up()
    page = desk.sign_in(f"{HERE}?at=1")
    expect(page.locator("#log[data-past]")).to_be_visible()
    page.locator("#reply").fill("看到了")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bubble.out", has_text="看到了")).to_be_visible()
    expect(page.locator("#log[data-past]")).to_have_count(0)


def test_answers_notes_and_cards_work_without_javascript(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in(HERE, java_script_enabled=False)
    page.locator("#note").fill("先看看")
    page.get_by_role("button", name="记下").click()
    expect(page.locator(".bubble.note")).to_contain_text("先看看")
    files = [
        {"name": f"{n}.png", "mimeType": "image/png", "buffer": picture("PNG", 20, 20)} for n in range(2)
    ]
    page.locator("[name=file]").set_input_files(files)  # type: ignore[arg-type]
    page.locator("#reply").fill("两张图")
    page.get_by_role("button", name="其他发送方式").click()
    page.get_by_role("button", name="发送并处理").click()
    expect(page.locator(".bubble.out img")).to_have_count(2)
    page.get_by_role("button", name="图文卡片或菜单消息").click()
    page.locator("[name=head]").fill("满意吗？")
    page.locator("[name=choices]").fill("满意\n不满意")
    page.get_by_role("button", name="发送菜单").click()
    expect(page.locator(".bubble.out").last).to_contain_text("不满意")
    deliver(desk)
    assert [message["msgtype"] for message in api.sent] == ["image", "image", "text", "msgmenu"]
