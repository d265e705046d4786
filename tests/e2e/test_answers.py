"""Operators answer followers in a real browser, and the platform gets what they wrote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from tests.cases import TEXTS
from tests.e2e.console import Console, check_page, deliver
from tests.files import picture
from wechat_bot.extensions import db
from wechat_bot.models import MessageLog
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakeAPI, FakePlatform

SEND = "/cgi-bin/message/custom/send"


def write(page: Page, text: str) -> None:
    page.locator("#reply").fill(text)
    page.locator("[data-answer] .btn-primary").first.click()
    expect(page.locator(".bubble.out[id]").get_by_text(text)).to_be_visible()


@pytest.mark.parametrize(("language", "width", "queued"), [("zh-CN", 1440, "排队"), ("en-US", 390, "Queued")])
def test_an_answer_shows_what_becomes_of_it_until_the_follower_has_it(
    desk: Console, api: FakeAPI, language: str, width: int, queued: str
) -> None:
    page = desk.sign_in("/admin/conversations/1", language=language, width=width)
    write(page, "您好，在的")
    bubble = page.locator(".bubble.out").last
    expect(bubble).to_contain_text(queued)
    check_page(page)
    deliver(desk)
    expect(bubble).not_to_contain_text(queued)
    assert [sent["text"]["content"] for sent in api.sent] == ["您好，在的"]
    expect(page.locator("#window")).to_contain_text("4/5")


def test_an_answer_is_taken_back_with_the_keyboard_and_written_anew(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in("/admin/conversations/1")
    page.keyboard.press("r")
    page.keyboard.type("打错了")
    page.keyboard.press("Control+Enter")
    undo = page.get_by_role("button", name="撤回")
    undo.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#reply")).to_have_value("打错了")
    deliver(desk)
    assert api.sent == []


def test_what_failed_is_told_in_words_and_sent_again(desk: Console, api: FakeAPI) -> None:
    api.errcodes[SEND] = [45002]
    page = desk.sign_in("/admin/conversations/1")
    write(page, "您好")
    deliver(desk)
    failure = page.locator(".failure")
    expect(failure).to_contain_text("45002")
    page.get_by_role("button", name="再发一次").click()
    expect(page.locator(".bubble.out").last).to_contain_text("排队")
    deliver(desk)
    expect(page.locator(".failure")).to_have_count(0)
    assert len(api.sent) == 1


def test_the_window_closes_while_somebody_writes(desk: Console) -> None:
    page = desk.sign_in("/admin/conversations/1")
    page.locator("#reply").fill("等我查一下")
    with desk.app.app_context():
        db.session.execute(update(MessageLog).values(created_at=datetime.now(UTC) - timedelta(hours=49)))
        db.session.commit()
    page.clock.set_fixed_time(datetime.now(UTC) + timedelta(hours=48))
    expect(page.locator("#window")).to_contain_text("48 小时内没有发过消息")
    expect(page.locator("#reply")).to_be_disabled()
    expect(page.locator("#reply")).to_have_value("等我查一下")


def test_the_last_words_are_kept_when_the_window_closes(desk: Console) -> None:
    page = desk.sign_in("/admin/conversations/1")
    with desk.app.app_context():
        db.session.execute(update(MessageLog).values(created_at=datetime.now(UTC) - timedelta(hours=49)))
        db.session.commit()
    with page.expect_response("**/draft") as saved:
        page.evaluate("""async () => {
            const area = document.querySelector("#reply");
            area.value = "等我查一下";
            area.dispatchEvent(new Event("input"));
            const {renewWindow} = await import("/admin/static/composer.js");
            await renewWindow();
        }""")
        expect(page.locator("#reply")).to_be_disabled()
    assert saved.value.status == 204
    page.reload()
    expect(page.locator("#reply")).to_have_value("等我查一下")


def test_a_draft_that_could_not_be_saved_is_saved_later(desk: Console) -> None:
    page = desk.sign_in("/admin/conversations/1")
    page.route("**/draft", lambda route: route.abort(), times=1)
    with page.expect_response("**/draft") as saved:
        page.locator("#reply").fill("等我查一下")
    assert saved.value.status == 204


def test_an_account_without_the_api_is_told_when_its_answers_arrive(desk: Console, api: FakeAPI) -> None:
    api.errcodes[SEND] = [48001]
    page = desk.sign_in("/admin/conversations/1")
    write(page, "您好")
    deliver(desk)
    page.reload()
    expect(page.locator("#window")).to_contain_text("对方下次发消息或点菜单时送达")
    expect(page.locator(".attach")).to_be_hidden()
    write(page, "在的")
    expect(page.locator(".unsent")).to_have_count(0)
    follower = FakePlatform.of(desk.app).follower("oFollower1")
    assert [follower.text("帮助"), follower.text("帮助")] == ["您好", "在的"]


def test_a_used_up_quota_opens_again_when_the_follower_writes(desk: Console) -> None:
    page = desk.sign_in("/admin/conversations/1")
    for n in range(5):
        write(page, f"第{n}条")
    expect(page.locator("#window")).to_contain_text("条数已用完")
    FakePlatform.of(desk.app).follower("oFollower1").text("还有吗")
    expect(page.locator("#window")).to_contain_text("5/5")
    expect(page.locator("#reply")).to_be_enabled()


def test_a_picture_is_sent_and_shown(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in("/admin/conversations/1")
    page.locator("[name=file]").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": PNG})
    page.locator("[data-answer] .btn-primary").first.click()
    expect(page.locator(".bubble.out img")).to_be_visible()
    deliver(desk)
    assert api.sent[0]["msgtype"] == "image"


@pytest.mark.parametrize(
    ("language", "width", "over"), [("zh-CN", 1440, "太大了：10 MB"), ("en-US", 390, "10 MB at most")]
)
def test_a_file_that_is_too_large_is_told_when_it_is_chosen(
    desk: Console, language: str, width: int, over: str
) -> None:
    page = desk.sign_in("/admin/conversations/1", language=language, width=width)
    large = {"name": "a.png", "mimeType": "image/png", "buffer": PNG + bytes(10 << 20)}
    page.locator("[name=file]").set_input_files(large)  # type: ignore[arg-type]
    expect(page.locator(".tray li")).to_contain_text(over)
    check_page(page)
    page.locator("[data-answer] .btn-primary").first.click()
    expect(page.locator(".bubble.out")).to_have_count(1)
    page.locator(".tray button").click()
    expect(page.locator(".tray li")).to_have_count(0)
    write(page, "那就不发图了")


def test_a_photo_of_several_megabytes_is_sent_and_its_progress_shown(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in("/admin/conversations/1")
    photo = picture("PNG", 1700, 1000)
    page.locator("[name=file]").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": photo}
    )
    page.locator("#reply").fill("这是照片")
    with page.expect_request("**/answers"):
        page.locator("[data-answer] .btn-primary").first.click()
        expect(page.locator(".unsent progress").first).to_have_attribute("max", "100")
    expect(page.locator(".bubble.out img")).to_be_visible()
    expect(page.locator(".bubble.out").last).to_contain_text("这是照片")
    expect(page.locator(".unsent")).to_have_count(0)
    deliver(desk)
    assert [message["msgtype"] for message in api.sent] == ["image", "text"]


def test_two_operators_see_that_the_other_writes(desk: Console) -> None:
    mine = desk.sign_in("/admin/conversations/1")
    with mine.expect_response("**/draft"):
        mine.locator("#reply").press_sequentially("我来")
    theirs = desk.sign_in("/admin/conversations/1", name="小王")
    expect(theirs.locator("#presence")).to_contain_text("admin正在回复")


def test_a_canned_reply_is_found_and_filled_in(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in("/admin/canned/new")
    page.locator("#shortcut").fill("退款")
    page.locator("[name='answer.text']").fill("我是{{operator}}，三天内到账。")
    expect(page.locator("#preview")).to_contain_text("我是admin，三天内到账。")
    page.locator(".save-bar .btn-primary").click()
    expect(page.locator("[data-rows]")).to_contain_text("/退款")
    page.goto("/admin/conversations/1")
    page.locator("#reply").press_sequentially("/退")
    expect(page.locator("#canned")).to_contain_text("/退款")
    page.keyboard.press("Enter")
    expect(page.locator("#reply")).to_have_value("我是admin，三天内到账。")


def test_a_text_that_is_too_long_is_counted_in_bytes(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in("/admin/conversations/1")
    page.locator("#reply").fill("好" * 683)
    expect(page.locator(".bytes")).to_have_text("2049/2048 字节")
    page.locator("[data-answer] .btn-primary").first.click()
    expect(page.locator(".bubble.out")).to_have_count(1)
    deliver(desk)
    assert api.sent == []


def test_a_text_of_just_the_length_that_can_be_sent_is_sent(desk: Console, api: FakeAPI) -> None:
    text = (TEXTS / "M-2048.txt").read_text(encoding="utf-8")
    page = desk.sign_in("/admin/conversations/1")
    page.locator("#reply").fill(text)
    expect(page.locator(".bytes")).to_have_text("2048/2048 字节")
    page.locator("[data-answer] .btn-primary").first.click()
    expect(page.locator(".bubble.out[id]")).to_have_count(2)
    deliver(desk)
    assert [sent["text"]["content"] for sent in api.sent] == [text]


def test_a_menu_with_too_many_choices_is_told_while_it_is_written(desk: Console) -> None:
    page = desk.sign_in("/admin/conversations/1")
    page.get_by_role("button", name="图文卡片或菜单消息").click()
    choices = page.locator("[name=choices]")
    choices.fill("\n".join(map(str, range(11))))
    assert choices.evaluate("field => field.validationMessage") == "最多 10 个选项"
    choices.fill("\n".join(map(str, range(10))))
    assert choices.evaluate("field => field.validity.valid")


def test_answering_works_without_javascript(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in("/admin/conversations/1", java_script_enabled=False)
    page.locator("#reply").fill("您好")
    page.locator("[data-answer] .btn-primary").first.click()
    expect(page.locator(".bubble.out").last).to_contain_text("您好")
    page.locator("[name=file]").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": picture("PNG", 1700, 1000)}
    )
    page.locator("[data-answer] .btn-primary").first.click()
    expect(page.locator(".bubble.out img")).to_be_visible()
    deliver(desk)
    assert [message["msgtype"] for message in api.sent] == ["text", "image"]
