"""Takes the screenshots in ``docs/images``: ``make screenshots``. Needs Chromium.

They show the sample data of ``flask wechat seed``.
"""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from flask import Flask
from flask_migrate import upgrade
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from sqlalchemy import select
from werkzeug.serving import make_server

from wechat_bot import create_app, handlers, sample_data
from wechat_bot.extensions import db
from wechat_bot.models import Conversation, ConversationStatus, Follower, Role
from wechat_bot.sample_data.pictures import attach_pictures
from wechat_bot.sample_data.team import add_team_activity
from wechat_bot.services.audit import Actor
from wechat_bot.services.operators import management
from wechat_bot.services.operators.passwords import generate
from wechat_bot.settings import LogLevel, Settings
from wechat_bot.wiring import services

IMAGES = Path(__file__).parent / "images"
LANGUAGES = {"zh": "zh-CN", "en": "en-US"}
DESKTOP = ViewportSize(width=1280, height=860)
PHONE = ViewportSize(width=390, height=844)
NAME, PASSWORD = "小王", "only for the pictures"
MESSAGES = 6000


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        settings = Settings(
            database_url=f"sqlite:///{folder}/bot.db",
            instance_path=folder,
            log_level=LogLevel.ERROR,
            wechat_app_id="wx0123456789abcdef",
            wechat_app_secret="only for the pictures",  # noqa: S106
            wechat_api_base_url="simulator",
        )
        app = create_app(settings)
        follower = add_sample_data(app)
        pages = {
            "messages": "/admin/messages",
            "conversation": f"/admin/conversations/{follower}",
            "followers": "/admin/followers",
        }
        with serving(app) as site, chromium() as browser:
            for language, locale in LANGUAGES.items():
                page = sign_in(browser, site, locale)
                for name, path in pages.items():
                    take(page, site + path, f"{name}.{language}")
                play(browser, site, language, locale)
            page = sign_in(browser, site, LANGUAGES["zh"], phone=True)
            take(page, site + pages["conversation"], "phone.zh")
        services(app).close()


def add_sample_data(app: Flask) -> int:
    """Create operators and sample data; return the id of a follower whose page has many details."""
    with app.app_context():
        upgrade()
        actor = Actor(None, "pictures", "")
        for name in (NAME, "小李", "阿珍"):
            operator_id = management.create(db.engine, actor, name, Role.ADMIN, generate())
            management.change_password(db.engine, actor, operator_id, PASSWORD, None)
        app_id = services(app).settings.wechat_app_id
        sample_data.seed(
            db.engine, handlers.router, app_id, sample_data.Plan(messages=MESSAGES, until=datetime.now(UTC))
        )
        while services(app).projector.catch_up():
            pass
        add_team_activity(db.engine, services(app).account_id, seed=1)
        attach_pictures(db.engine, services(app).archive, seed=1)
        regulars = select(Conversation.follower_id).join(Follower, Follower.id == Conversation.follower_id)
        return db.session.scalars(regulars.where(Follower.alias != "").order_by(*_BEST).limit(1)).one()


_BEST = (
    (Conversation.status == ConversationStatus.OPEN).desc(),
    Conversation.starred.desc(),
    Conversation.last_id.desc(),
)


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        sys.exit("There is no Chromium: apt install chromium fonts-noto-cjk fonts-noto-color-emoji")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])


def sign_in(browser: Browser, site: str, locale: str, *, phone: bool = False) -> Page:
    """Open a page and sign the operator in."""
    size, scale = (PHONE, 2) if phone else (DESKTOP, 1)
    page = browser.new_page(viewport=size, locale=locale, color_scheme="light", device_scale_factor=scale)
    page.goto(f"{site}/admin/sign-in")
    page.locator("[name=name]").fill(NAME)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(lambda url: "sign-in" not in url)
    return page


def play(browser: Browser, site: str, language: str, locale: str) -> None:
    """Take the screenshot of a conversation in the simulator."""
    page = browser.new_page(viewport=DESKTOP, locale=locale, color_scheme="light")
    page.goto(f"{site}/simulator/")
    for text in ("帮助", "改名", "小明"):
        page.keyboard.type(text)
        page.keyboard.press("Enter")
        page.wait_for_timeout(1500)
    page.screenshot(path=IMAGES / f"simulator.{language}.png")


def take(page: Page, address: str, name: str) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
