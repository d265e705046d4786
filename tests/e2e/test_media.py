"""Files of followers in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.conftest import APP_SECRET, MakeApp
from tests.e2e.console import Console, check_page, expect_no_script
from tests.files import HTML, SVG, needs_ffmpeg, picture
from wechat_bot.services.media.archive import Archive
from wechat_bot.simulator.sample_files import AMR
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wiring import services

CONVERSATION = "/admin/conversations/1"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


Receive = Callable[..., None]


@pytest.fixture
def receive(app: Flask, api: FakeAPI) -> Receive:
    """Lets a follower send a file, which is fetched unless told otherwise."""

    def receive(kind: str, content: bytes, content_type: str, *, fetch: bool = True) -> None:
        platform = FakePlatform.of(app)
        media_id = api.give_media(kind, content, f"a.{kind}", content_type)
        platform.push(platform.message(kind, MediaId=media_id, PicUrl="", Format="amr"))
        services(app).projector.catch_up()
        if fetch:
            archive: Archive = services(app).archive
            archive.download_due()

    return receive


def width_of(page: Page, selector: str) -> Any:
    return page.locator(selector).evaluate("picture => picture.naturalWidth")


def test_a_picture_is_shown_and_opens_in_full_size(console: Console, receive: Receive) -> None:
    receive("image", picture(width=900, height=600), "image/jpeg")
    page = console.sign_in(CONVERSATION)
    small = page.locator(".picture img")
    expect(page.locator(".picture img")).not_to_have_js_property("naturalWidth", 0)
    box = small.bounding_box()
    assert box
    assert box["width"] <= 320
    check_page(page)
    small.click()
    expect(page.locator("#picture")).to_be_visible()
    expect(page.locator("#picture img")).not_to_have_js_property("naturalWidth", 0)
    assert width_of(page, "#picture img") == 900
    check_page(page)
    page.keyboard.press("Escape")
    expect(page.locator("#picture")).to_be_hidden()
    page.goto("/admin/messages")
    expect(page.locator("img.thumbnail")).not_to_have_js_property("naturalWidth", 0)


def test_the_pictures_of_a_conversation_are_turned_over_with_the_keyboard(
    console: Console, receive: Receive
) -> None:
    for width in (300, 400, 500):
        receive("image", picture(width=width, height=200), "image/jpeg")
    page = console.sign_in(CONVERSATION)
    links = page.locator(".picture")
    expect(links).to_have_count(3)
    links.nth(1).focus()
    page.keyboard.press("Enter")
    dialog, position = page.locator("#picture"), page.locator("#picture [role=status]")
    expect(position).to_have_text("2/3")
    expect(dialog.locator("img")).to_have_js_property("naturalWidth", 400)
    expect(dialog.locator("img")).to_have_attribute("alt", re.compile("收到的图片"))
    page.keyboard.press("ArrowRight")
    expect(position).to_have_text("3/3")
    expect(dialog.locator("img")).to_have_js_property("naturalWidth", 500)
    expect(dialog.get_by_role("button", name="下一张")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(position).to_have_text("3/3")
    page.keyboard.press("ArrowLeft")
    dialog.get_by_role("button", name="上一张").click()
    expect(position).to_have_text("1/3")
    expect(dialog.get_by_role("link", name="下载")).to_have_attribute("href", re.compile("/admin/media/1$"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(links.nth(1)).to_be_focused()
    links.nth(0).click()
    page.mouse.click(5, 400)  # beside the picture
    expect(dialog).to_be_hidden()
    links.nth(2).click()
    dialog.get_by_role("link", name="打开消息").click()
    page.wait_for_url(re.compile(r"/admin/messages/\d+$"))


def test_the_pictures_of_a_follower_are_swiped_on_a_phone(console: Console, receive: Receive) -> None:
    for width in (300, 400):
        receive("image", picture(width=width, height=200), "image/jpeg")
    page = console.sign_in("/admin/followers/1", width=390, has_touch=True, color_scheme="dark")
    page.locator(".gallery a").first.click()
    position = page.locator("#picture [role=status]")
    expect(position).to_have_text("1/2")
    check_page(page)
    swipe = """([from, to]) => [["pointerdown", from], ["pointerup", to]].forEach(([type, clientX]) =>
      document.querySelector("#picture img").dispatchEvent(
        new PointerEvent(type, {pointerType: "touch", clientX, bubbles: true})))"""
    page.evaluate(swipe, [300, 100])
    expect(position).to_have_text("2/2")
    page.evaluate(swipe, [100, 300])
    expect(position).to_have_text("1/2")
    page.evaluate(swipe, [100, 120])
    expect(position).to_have_text("1/2")


def test_without_scripts_a_picture_opens_as_a_page(console: Console, receive: Receive) -> None:
    receive("image", picture(width=900, height=600), "image/jpeg")
    page = console.sign_in(CONVERSATION, java_script_enabled=False)
    with page.context.expect_page() as opened:
        page.locator(".picture").click()
    opened.value.wait_for_load_state()
    assert opened.value.url.endswith("/admin/media/1")


@needs_ffmpeg
def test_a_voice_plays(console: Console, receive: Receive) -> None:
    receive("voice", AMR, "audio/amr")
    page = console.sign_in(CONVERSATION)
    audio = page.locator("audio")
    audio.evaluate("audio => { audio.muted = true; return audio.play(); }")
    expect(audio).not_to_have_js_property("currentTime", 0)
    assert audio.evaluate("audio => audio.error") is None
    assert 0.5 < audio.evaluate("audio => audio.duration") < 2
    check_page(page)


def test_what_only_claims_to_be_a_picture_is_never_shown(console: Console, receive: Receive) -> None:
    receive("image", b"\xff\xd8\xff" + HTML, "image/jpeg")
    receive("image", b"GIF89a" + SVG, "image/svg+xml")
    page = console.sign_in(CONVERSATION)
    expect(page.get_by_text("没有保存：文件不完整或已损坏")).to_have_count(2)
    expect(page.locator(".log img, .log audio, .log video, .log iframe")).to_have_count(0)
    check_page(page)
    expect_no_script(page)
    for number in (1, 2):
        answer = page.goto(f"/admin/media/{number}")
        assert answer
        assert answer.status == 404
        assert page.evaluate("window.hacked") is None


def test_a_picture_that_is_still_on_its_way_appears_by_itself(
    app: Flask, console: Console, receive: Receive
) -> None:
    receive("image", picture(), "image/jpeg", fetch=False)
    page = console.sign_in(CONVERSATION)
    expect(page.get_by_text("正在取回…")).to_be_visible()
    services(app).archive.download_due()
    expect(page.locator(".picture img")).to_be_visible()
