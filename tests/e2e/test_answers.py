"""Operators answer followers in a real browser, and the platform gets what they wrote."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update

from tests.cases import TEXTS
from tests.conftest import APP_SECRET, MakeApp
from tests.e2e.conftest import AXE, opening_pages
from tests.e2e.console import Console, check_page
from tests.files import picture
from wechat_bot.extensions import db
from wechat_bot.models import MessageLog
from wechat_bot.services.inbox.recovery import recover
from wechat_bot.simulator.sample_files import AMR, PNG
from wechat_bot.testing import FakeAPI, FakePlatform, listening
from wechat_bot.wiring import services

SEND = "/cgi-bin/message/custom/send"


@pytest.fixture
def desk(make_app: MakeApp, api: FakeAPI, chromium: Browser) -> Iterator[Console]:
    """A console whose account may write to its one follower."""
    app = make_app(api=api, wechat_app_secret=APP_SECRET)
    with listening(app) as address, opening_pages(chromium, address, [AXE]) as open_page:
        console = Console(app, open_page)
        console.add_operators()
        console.says("oFollower1", "在吗")
        yield console


def deliver(desk: Console) -> None:
    """What has been written can no longer be taken back, and is sent."""
    with desk.app.app_context():
        old = datetime.now(UTC) - timedelta(minutes=1)
        mine = MessageLog.origin.startswith("operator:")
        db.session.execute(update(MessageLog).where(mine).values(received_at=old))
        db.session.commit()
        recover(db.engine, services(desk.app).outbox, datetime.now(UTC))


def write(page: Page, text: str) -> None:
    page.locator("#reply").fill(text)
    page.locator("[data-answer] .btn-primary").click()
    expect(page.locator(".bubble.out").get_by_text(text)).to_be_visible()


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
    ends = datetime.now(UTC) - timedelta(hours=48) + timedelta(seconds=6)
    with desk.app.app_context():
        db.session.execute(update(MessageLog).values(created_at=ends))
        db.session.commit()
    page = desk.sign_in("/admin/conversations/1")
    page.locator("#reply").fill("等我查一下")
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


def test_an_account_without_the_api_is_told_before_anything_is_written(desk: Console, api: FakeAPI) -> None:
    api.errcodes[SEND] = [48001]
    page = desk.sign_in("/admin/conversations/1")
    write(page, "您好")
    deliver(desk)
    page.reload()
    expect(page.locator("#window")).to_contain_text("48001")
    page.locator(".way.answer summary").first.click()
    expect(page.locator("#reply")).to_be_disabled()


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
    page.locator("[data-answer] .btn-primary").click()
    expect(page.locator(".bubble.out img")).to_be_visible()
    deliver(desk)
    assert api.sent[0]["msgtype"] == "image"


@pytest.mark.parametrize(
    ("language", "width", "about", "over"),
    [
        ("zh-CN", 1440, "图片、视频 10 MB 以内", "太大了：10 MB"),
        ("en-US", 390, "up to 10 MB", "10 MB at most"),
    ],
)
def test_a_file_that_is_too_large_is_told_when_it_is_chosen(
    desk: Console, language: str, width: int, about: str, over: str
) -> None:
    page = desk.sign_in("/admin/conversations/1", language=language, width=width)
    state, file = page.locator(".file-state"), page.locator("[name=file]")
    expect(state).to_contain_text(about)
    large = {"name": "a.png", "mimeType": "image/png", "buffer": PNG + bytes(10 << 20)}
    file.set_input_files(large)  # type: ignore[arg-type]
    expect(state).to_contain_text(over)
    check_page(page)
    page.locator("[data-answer] .btn-primary").click()
    expect(page.locator(".bubble.out")).to_have_count(1)
    file.set_input_files([])
    expect(state).to_contain_text(about)


@pytest.mark.parametrize(("language", "width"), [("zh-CN", 1440), ("en-US", 390)])
def test_a_photo_of_several_megabytes_is_sent_and_its_progress_shown(
    desk: Console, api: FakeAPI, language: str, width: int
) -> None:
    page = desk.sign_in("/admin/conversations/1", language=language, width=width)
    page.evaluate("""() => {
        window.shown = [];
        const bar = document.querySelector(".upload");
        new MutationObserver(() => window.shown.push([bar.hidden, bar.value]))
            .observe(bar, {attributes: true, attributeFilter: ["hidden", "value"]});
        window.addEventListener("pagehide", () => { localStorage.shown = JSON.stringify(window.shown); });
    }""")
    photo = picture("PNG", 1700, 1000)
    page.locator("[name=file]").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": photo}
    )
    page.locator("#reply").fill("这是照片")
    page.locator("[data-answer] .btn-primary").click()
    expect(page.locator(".bubble.out img")).to_be_visible()
    expect(page.locator(".bubble.out").last).to_contain_text("这是照片")
    assert "[false," in page.evaluate("localStorage.shown")
    deliver(desk)
    assert [message["msgtype"] for message in api.sent] == ["image", "text"]


def test_an_upload_that_fails_is_told_and_can_be_repeated(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in("/admin/conversations/1")
    page.route("**/answers", lambda route: route.abort(), times=1)
    page.locator("[name=file]").set_input_files({"name": "V.AMR", "mimeType": "", "buffer": AMR})
    page.locator("#reply").fill("听")
    page.locator("[data-answer] .btn-primary").click()
    expect(page.locator(".file-state")).to_contain_text("上传中断了")
    with page.expect_response("**/draft") as saved:
        page.locator("#reply").fill("听听这个")
    assert saved.value.status == 204, "drafts are saved on"
    page.locator("[data-answer] .btn-primary").click()
    expect(page.locator(".bubble.out")).to_have_count(3)
    deliver(desk)
    assert [message["msgtype"] for message in api.sent] == ["voice", "text"]


def test_two_operators_see_that_the_other_writes(desk: Console) -> None:
    mine = desk.sign_in("/admin/conversations/1")
    with mine.expect_response("**/draft"):
        mine.locator("#reply").press_sequentially("我来")
    theirs = desk.sign_in("/admin/conversations/1", name="小王")
    expect(theirs.locator(".composer .presence")).to_contain_text("admin正在回复")


def test_a_canned_reply_is_found_and_filled_in(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in("/admin/canned")
    page.locator("#shortcut").fill("退款")
    page.locator("#text").fill("我是{{operator}}，三天内到账。")
    page.locator(".canned-form .btn-primary").click()
    page.goto("/admin/conversations/1")
    page.locator("#reply").press_sequentially("/退")
    expect(page.locator("#canned")).to_contain_text("/退款")
    page.keyboard.press("Enter")
    expect(page.locator("#reply")).to_have_value("我是admin，三天内到账。")


def test_a_text_that_is_too_long_is_counted_in_bytes(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in("/admin/conversations/1")
    page.locator("#reply").fill("好" * 683)
    expect(page.locator(".bytes")).to_have_text("2049/2048 字节")
    page.locator("[data-answer] .btn-primary").click()
    expect(page.locator(".bubble.out")).to_have_count(1)
    deliver(desk)
    assert api.sent == []


def test_a_text_of_just_the_length_that_can_be_sent_is_sent(desk: Console, api: FakeAPI) -> None:
    text = (TEXTS / "M-2048.txt").read_text(encoding="utf-8")
    page = desk.sign_in("/admin/conversations/1")
    page.locator("#reply").fill(text)
    expect(page.locator(".bytes")).to_have_text("2048/2048 字节")
    page.locator("[data-answer] .btn-primary").click()
    expect(page.locator(".bubble.out")).to_have_count(2)
    deliver(desk)
    assert [sent["text"]["content"] for sent in api.sent] == [text]


def test_a_menu_with_too_many_choices_is_told_while_it_is_written(desk: Console) -> None:
    page = desk.sign_in("/admin/conversations/1")
    page.locator(".more summary").click()
    choices = page.locator("[name=choices]")
    choices.fill("\n".join(map(str, range(11))))
    assert choices.evaluate("field => field.validationMessage") == "最多 10 个选项"
    choices.fill("\n".join(map(str, range(10))))
    assert choices.evaluate("field => field.validity.valid")


def test_answering_works_without_javascript(desk: Console, api: FakeAPI) -> None:
    page = desk.sign_in("/admin/conversations/1", java_script_enabled=False)
    page.locator("#reply").fill("您好")
    page.locator("[data-answer] .btn-primary").click()
    expect(page.locator(".bubble.out").last).to_contain_text("您好")
    page.locator("[name=file]").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": picture("PNG", 1700, 1000)}
    )
    page.locator("[data-answer] .btn-primary").click()
    expect(page.locator(".bubble.out img")).to_be_visible()
    deliver(desk)
    assert [message["msgtype"] for message in api.sent] == ["text", "image"]
