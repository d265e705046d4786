"""The library in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from playwright.sync_api import FilePayload, Page, expect

from tests.conftest import APP_SECRET, MakeApp
from tests.e2e.console import Console, check_on_all_screens, for_everybody
from tests.files import HTML, picture
from wechat_bot.services.media.library import Usage
from wechat_bot.simulator.sample_files import MP3, MP4
from wechat_bot.testing import FakeAPI
from wechat_bot.wiring import services

PAGE = "/admin/library"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


def file(name: str, content: bytes, kind: str = "image/png") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": content}


FILES = [
    file("门店地图.png", picture("PNG", 900, 600)),
    file("介绍.mp3", MP3, "audio/mpeg"),
    file("宣传片.mp4", MP4, "video/mp4"),
]


DROP = """([content, name]) => {
    const chosen = new DataTransfer();
    chosen.items.add(new File([new Uint8Array(content)], name));
    const form = document.querySelector("[data-library]");
    form.dispatchEvent(new DragEvent("drop", {dataTransfer: chosen, bubbles: true, cancelable: true}));
}"""
"""Drops a file on the form; its content is a list of bytes, or their number."""


def upload(page: Page, *files: FilePayload) -> None:
    page.locator("#file").set_input_files(list(files))
    page.get_by_role("button", name="存入").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_files_are_added_renamed_and_deleted(console: Console, scripts: bool) -> None:
    page = console.sign_in(PAGE, "小王", java_script_enabled=scripts)
    expect(page.get_by_text("还没有素材")).to_be_visible()
    upload(page, *FILES, file("page.png", HTML))
    expect(page.get_by_text("已存入 3 个文件。")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("“page.png”没有存入")
    expect(page.locator(".library h2")).to_have_text(["宣传片.mp4", "介绍.mp3", "门店地图.png"])
    first = page.locator(".library li").last
    first.get_by_text("改名").click()
    first.get_by_label("新的名称").fill("怎么来店里")
    first.get_by_role("button", name="保存").click()
    expect(page.locator(".library h2").last).to_have_text("怎么来店里")
    page.get_by_role("link", name="语音").click()
    expect(page.locator(".library h2")).to_have_text(["介绍.mp3"])
    page.locator(".library summary", has_text="删除").click()
    page.get_by_role("button", name="删除").click()
    expect(page.get_by_text("这里没有文件")).to_be_visible()


def test_files_are_measured_when_they_are_chosen_and_dropped_on_the_form(console: Console) -> None:
    page = console.sign_in(PAGE, "小王")
    state = page.locator("#file-state")
    page.locator("#file").set_input_files([file("a.png", bytes(100_000)), file("b.png", bytes(100_000))])
    expect(state).to_have_text("2 个文件，共 0.2 MB")
    page.evaluate(DROP, [65 << 20, "large.mp4"])
    expect(state).to_contain_text("太多了：一次最多 64 MB")
    page.evaluate(DROP, [list(picture("PNG")), "dropped.png"])
    expect(page.locator(".library h2")).to_have_text(["dropped.png"])
    page.wait_for_load_state()
    page.locator(".picture").click()
    expect(page.locator("#picture img")).not_to_have_js_property("naturalWidth", 0)


@for_everybody
def test_the_page_fits_and_can_be_read_by_everybody(
    console: Console, api: FakeAPI, language: str, scheme: str
) -> None:
    page = console.sign_in(PAGE, language=language, color_scheme=scheme)
    check_on_all_screens(page)
    page.locator("#file").set_input_files([*FILES, file("x" * 60, HTML)])
    page.locator("form[data-library] button").click()
    expect(page.locator(".library li")).to_have_count(3)
    library = services(console.app).library
    library.used_by = lambda connection, account_id: {1: [Usage("rule:1", "关注后欢迎" * 8)], 2: []}
    api.errcodes["/cgi-bin/media/upload"] = [40004]
    for _ in range(2):
        library.renew(services(console.app).account_id, datetime.now(UTC))
    page.reload()
    for summary in page.locator(".library li:last-child summary").all():
        summary.press("Enter")
        check_on_all_screens(page)
    expect(page.locator(".library .text-danger")).to_have_count(1)
