"""Faces in the texts of followers, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.console import Console, check_page

TEXT = "好的[强]谢谢/::)[裂开] https://example.com/[OK]"


def drawn(page: Page, selector: str) -> list[str]:
    """What is drawn before each code."""
    script = (
        "faces => faces.map(face => JSON.parse(getComputedStyle(face, '::before').content.split(' / ')[0]))"
    )
    found: list[str] = page.locator(f"{selector} .face").evaluate_all(script)
    return found


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_faces_are_drawn_and_their_codes_are_copied(console: Console, width: int, scheme: str) -> None:
    follower_id = console.says("oFollowerWithFaces", TEXT)
    console.catch_up()
    page = console.sign_in(f"/admin/conversations/{follower_id}", width=width, color_scheme=scheme)
    bubble = page.locator(".bubble.in", has_text="谢谢")
    assert drawn(page, ".bubble.in") == ["👍", "🙂", "裂开"]
    assert bubble.locator(".face > span").first.evaluate("code => code.getBoundingClientRect().width") == 0
    expect(bubble.locator("a").first).to_have_attribute("href", "https://example.com/[OK]")
    bubble.locator(".text").evaluate("text => getSelection().selectAllChildren(text)")
    assert page.evaluate("getSelection().toString()") == TEXT
    check_page(page)
    page.goto("/admin/messages?direction=in&q=谢谢&kind=text")
    assert drawn(page, "tbody tr:first-of-type .content")[:1] == ["👍"]
    check_page(page)


def test_the_phone_of_the_simulator_draws_faces(open_page: OpenPage) -> None:
    page = open_page("/simulator/")
    page.keyboard.type("[ThumbsUp]")
    page.keyboard.press("Enter")
    expect(page.locator(".mine .face")).to_have_attribute("title", "[ThumbsUp]")
    assert drawn(page, ".mine") == ["👍"]
