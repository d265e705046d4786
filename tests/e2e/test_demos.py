"""The tutorial in a real browser: all pages, both languages, both widths, mouse and keyboard."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from wechat_bot.blueprints.demos.lessons import LESSONS

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DEMO_PAGES = [
    "/demo/hello/zhang",
    "/demo/url_for",
    "/demo/static_files",
    "/demo/testtemplate/wang",
    "/demo/templates",
    "/demo/login?username=zhang&passwd=123",
    "/demo/upload",
    "/demo/session",
    "/demo/test2",
    "/demo/test3",
    "/demo/nowhere",
]


def check_fits(page: Page) -> None:
    """It fits a wide window and a phone."""
    page.wait_for_load_state()
    boxes = "[document.documentElement, ...document.querySelectorAll('.bar, main')]"
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate(f"{boxes}.every(box => box.scrollWidth <= box.clientWidth)"), (page.url, width)


@pytest.mark.parametrize(("language", "following"), [("zh-CN", "下一课"), ("en-US", "Next")])
def test_all_pages_from_the_first_to_the_last(open_page: OpenPage, language: str, following: str) -> None:
    page = open_page("/demo/", language)
    check_fits(page)
    page.locator(".contents a").first.click()
    for number, lesson in enumerate(LESSONS, 1):
        assert page.url.endswith(f"/demo/lessons/{lesson.slug}")
        expect(page.locator("html")).to_have_attribute("lang", language[:2])
        expect(page.locator(".example")).to_have_count(len(lesson.examples))
        check_fits(page)
        if number < len(LESSONS):
            page.get_by_role("link", name=following).click()
    for path in DEMO_PAGES:
        page.goto(path)
        check_fits(page)


def test_an_example_is_tried_with_a_name_of_ones_own(open_page: OpenPage) -> None:
    page = open_page("/demo/lessons/variables")
    example = page.locator("#example-1")
    example.get_by_label("username").fill("李雷")
    example.get_by_role("button", name="发送").click()
    expect(example.locator("mark").last).to_have_text("hello 李雷")
    expect(example.get_by_label("username")).to_have_value("李雷")
    example.get_by_role("link", name="在浏览器里打开").click()
    expect(page.locator("body")).to_have_text("hello 李雷")


def test_a_form_is_posted(open_page: OpenPage) -> None:
    page = open_page("/demo/lessons/request-data", "en-US")
    example = page.locator("#example-2")
    example.get_by_label("username").fill("han & li")
    example.get_by_role("button", name="Send").click()
    assert page.url.endswith("/demo/lessons/request-data?example=2#example-2")
    expect(example.locator("mark", has_text="username=")).to_have_text("username=han+%26+li&passwd=123")


def test_a_picture_is_uploaded_and_shown(open_page: OpenPage, tmp_path: Path) -> None:
    picture = tmp_path / "微信.png"
    picture.write_bytes(PNG)
    page = open_page("/demo/lessons/uploads")
    example = page.locator("#example-1")
    example.get_by_label("test").set_input_files(picture)
    example.get_by_role("button", name="发送").click()
    expect(example.locator("mark", has_text="HTTP/1.1 200")).to_be_visible()
    example.get_by_role("link", name="在浏览器里打开").click()
    expect(page.locator(".upload img")).to_have_js_property("naturalWidth", 1)
    check_fits(page)
    page.get_by_label("test").set_input_files(picture)
    page.get_by_role("button", name="上传").click()
    expect(page.locator(".upload")).to_contain_text("微信.png")
    check_fits(page)
    page.goto("/demo/upload")
    expect(page.locator(".upload")).to_have_count(2)


def test_a_session_counts_until_its_cookie_is_changed(open_page: OpenPage) -> None:
    page = open_page("/demo/session", "en-US")
    page.get_by_label("username").fill("zhang")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading")).to_have_text("Hello zhang")
    page.reload()
    expect(page.locator(".count")).to_contain_text("Visit number 2")
    [cookie] = page.context.cookies()
    forged = "x" + cookie["value"]
    page.context.add_cookies(
        [{"name": "demo_session", "value": forged, "domain": "127.0.0.1", "path": "/demo"}]
    )
    page.reload()
    expect(page.locator(".refused")).to_be_visible()


def test_the_language_is_switched_and_stays(open_page: OpenPage) -> None:
    page = open_page("/demo/lessons/cookies")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=2).first).to_have_text("Source")
    page.get_by_role("link", name="Contents").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("An article in which all the code runs")
    page.get_by_role("link", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh")


def test_all_works_without_javascript(open_page: OpenPage) -> None:
    page = open_page("/demo/", java_script_enabled=False)
    page.get_by_role("link", name="English").click()
    page.get_by_role("link", name="Variables in the URL").click()
    example = page.locator("#example-4")
    example.get_by_label("c").fill("seven")
    example.get_by_role("button", name="Send").click()
    expect(example.locator("mark").nth(1)).to_have_text("HTTP/1.1 404 NOT FOUND")


def test_all_can_be_reached_and_used_with_the_keyboard(open_page: OpenPage) -> None:
    page = open_page("/demo/lessons/variables")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="跳到正文")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    field = page.locator("#example-1").get_by_label("username")
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if field.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Control+A")
    page.keyboard.type("keyboard")
    page.keyboard.press("Enter")
    expect(page.locator("#example-1 mark").last).to_have_text("hello keyboard")
