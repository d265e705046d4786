"""The assistant's profile in a real browser, with the stand-in as its model."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import MakeApp
from tests.e2e.conftest import OpenConsole
from tests.e2e.console import check_on_all_screens, for_everybody


def choose_stand_in(page: Page, model: str = "stand-in") -> None:
    page.locator("button[value=stand_in]").click()
    page.locator("#base_url").fill(urljoin(page.url, "/simulator/model/v1"))
    page.locator("#model").fill(model)


def save(page: Page) -> None:
    page.locator(".save-bar button").click()


def ask(page: Page, question: str) -> None:
    page.locator("#question").fill(question)
    page.locator("aside form button").click()


@for_everybody
def test_an_admin_sets_the_assistant_up(
    open_console: OpenConsole, make_app: MakeApp, language: str, scheme: str
) -> None:
    desk = open_console(make_app())
    page = desk.sign_in("/admin/assistant", language=language, color_scheme=scheme)
    check_on_all_screens(page)
    page.locator("#label").fill(" ")
    choose_stand_in(page)
    page.locator("#key").fill("sk-4f1c9a7d2e8b6035")
    save(page)
    expect(page.locator("#problem-label")).to_be_visible()
    check_on_all_screens(page)
    page.locator("#label").fill("〔AI〕")
    save(page)
    ask(page, "几点营业")
    expect(page.locator(".trial-answer")).to_have_text("你问的是：几点营业")
    check_on_all_screens(page)
    page.locator("#model").fill("stand-in-429")
    page.locator("#enabled").check()
    save(page)
    ask(page, "几点营业")
    expect(page.locator("#trial [role=alert]")).to_contain_text("429")
    page.locator(".page-head .actions a").click()
    expect(page.locator(".versions li")).to_have_count(2)
    check_on_all_screens(page)


@pytest.mark.parametrize("width", [1280, 390])
def test_without_scripts_it_is_the_same(open_console: OpenConsole, make_app: MakeApp, width: int) -> None:
    desk = open_console(make_app())
    page = desk.sign_in("/admin/assistant", width=width, java_script_enabled=False)
    choose_stand_in(page)
    save(page)
    ask(page, "几点营业")
    expect(page.locator(".trial-answer")).to_have_text("你问的是：几点营业")
    expect(page.locator("#question")).to_have_value("几点营业")
