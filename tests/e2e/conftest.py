"""The site on a port of its own, and the system's Chromium in front of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect, sync_playwright

from tests.conftest import APP_ID, MakeApp
from tests.e2e.console import Console
from tests.needs import lacking
from wechat_bot import handlers
from wechat_bot.extensions import db
from wechat_bot.sample_data import Plan, seed
from wechat_bot.testing import listening
from wechat_bot.wiring import services

expect.set_options(timeout=20_000)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
"""The accessibility engine."""

REPORT_VIOLATIONS = """addEventListener('securitypolicyviolation', event =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        lacking("no Chromium: apt install chromium fonts-noto-cjk fonts-noto-color-emoji")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def site(make_app: MakeApp) -> Iterator[str]:
    """The address of a running site."""
    with listening(make_app()) as address:
        yield address


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser, site: str) -> Iterator[OpenPage]:
    with opening_pages(chromium, site) as open_page:
        yield open_page


@contextmanager
def opening_pages(browser: Browser, site: str, scripts: Sequence[str] = ()) -> Iterator[OpenPage]:
    """Opens pages in a new window, with `scripts` on each; at the end no console may hold an error."""
    errors: list[str] = []
    contexts = []

    def note(message: ConsoleMessage) -> None:
        # An error page that was asked for is reported too; what a page lacks is for `check`.
        if message.type == "error" and "Failed to load resource" not in message.text:
            errors.append(f"{message.text} at {message.location}")

    def check(response: Response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            errors.append(f"{response.status} {response.url}")

    def open_page(path: str, language: str = "zh-CN", width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(
            base_url=site, locale=language, viewport={"width": width, "height": 844}, **options
        )
        contexts.append(context)
        if options.get("java_script_enabled", True):
            for script in (REPORT_VIOLATIONS, *scripts):
                context.add_init_script(script)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("response", check)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture
def console(make_app: MakeApp, chromium: Browser) -> Iterator[Console]:
    """A console with a seeded account and three operators; pages of it report what goes wrong."""
    app = make_app()
    with app.app_context():
        plan = Plan(messages=600, until=datetime.now(UTC), seed=1)
        seed(db.engine, handlers.router, APP_ID, plan)
        services(app).projector.catch_up()
    with listening(app) as address, opening_pages(chromium, address, [AXE]) as open_page:
        console = Console(app, open_page)
        console.add_operators()
        yield console
