"""The site on a port of its own, and the system's Chromium in front of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect, sync_playwright

from tests.conftest import APP_ID, APP_SECRET, MakeApp
from tests.e2e.console import Console
from tests.needs import AGAIN, lacking
from tests.waiting import PATIENCE
from wechat_bot import create_app, handlers
from wechat_bot.extensions import db
from wechat_bot.sample_data import Plan, seed
from wechat_bot.settings import Settings
from wechat_bot.testing import FakeAPI, listening
from wechat_bot.wiring import services

expect.set_options(timeout=PATIENCE * 1000)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

REPORT_VIOLATIONS = """addEventListener('securitypolicyviolation', event =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"""


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(AGAIN)


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
def settings(settings: Settings) -> Settings:
    """With connections enough for all that pages ask for at once: a request waits two seconds for one."""
    return replace(settings, database_connections=32)


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
def opening_pages(browser: Browser, site: str) -> Iterator[OpenPage]:
    """Opens pages in a new window; at the end no console may hold an error."""
    errors: list[str] = []
    contexts = []

    def note(message: ConsoleMessage) -> None:
        # An error page that was asked for is reported too; what a page lacks is for `check`.
        if message.type == "error" and "Failed to load resource" not in message.text:
            errors.append(f"{message.text} at {message.location}")

    def check(response: Response) -> None:
        # 409 is a refusal that the page tells in words.
        if response.status >= 400 and response.status != 409 and not response.request.is_navigation_request():
            errors.append(f"{response.status} {response.url}")

    def open_page(path: str, language: str = "zh-CN", width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(
            base_url=site, locale=language, viewport={"width": width, "height": 844}, **options
        )
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        if options.get("java_script_enabled", True):
            context.add_init_script(REPORT_VIOLATIONS)
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


OpenConsole = Callable[..., Console]


@pytest.fixture
def open_console(chromium: Browser) -> Iterator[OpenConsole]:
    """Opens the console of an application, with three operators."""
    with ExitStack() as stack:

        def open_console(app: Flask) -> Console:
            address = stack.enter_context(listening(app))
            open_page = stack.enter_context(opening_pages(chromium, address))
            console = Console(app, open_page)
            console.add_operators()
            return console

        yield open_console


@pytest.fixture(scope="session")
def seeded(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with made-up conversations, which is copied for each test."""
    folder = tmp_path_factory.mktemp("seeded")
    path = Path(shutil.copy(migrated, folder))
    settings = Settings(database_url=f"sqlite:///{path}", instance_path=str(folder), wechat_app_id=APP_ID)
    app = create_app(settings)
    with app.app_context():
        seed(db.engine, handlers.router, APP_ID, Plan(messages=600, until=datetime.now(UTC), seed=1))
        services().projector.catch_up()
        db.engine.dispose()
    services(app).close()
    return path


@pytest.fixture
def app(make_app: MakeApp, seeded: Path) -> Flask:
    """An application whose followers have written for long."""
    return make_app(template=seeded)


@pytest.fixture
def console(app: Flask, open_console: OpenConsole) -> Console:
    """The console of `app`."""
    return open_console(app)


@pytest.fixture
def desk(make_app: MakeApp, api: FakeAPI, open_console: OpenConsole) -> Console:
    """A console whose account may write to its one follower."""
    console = open_console(make_app(api=api, wechat_app_secret=APP_SECRET))
    console.says("oFollower1", "在吗")
    return console
