"""A console that has something to show, and an operator in front of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select, update

from tests.operators import add_operator, open_session
from wechat_bot.extensions import db
from wechat_bot.models import Follower, MessageLog, Role
from wechat_bot.services.inbox.recovery import recover
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services


@dataclass(frozen=True)
class Console:
    """The running console, and how to open a page of it."""

    app: Flask
    open_page: Callable[..., Page]

    def sign_in(self, path: str = "/admin/", name: str = "admin", **options: Any) -> Page:
        """A page of the console, in a browser of its own in which `name` is signed in."""
        client = self.app.test_client()
        open_session(services(self.app).engine, client, name)
        session = client.get_cookie("session")
        assert session
        cookie = {"name": session.key, "value": session.value, "domain": "127.0.0.1", "path": session.path}
        return self.open_page(path, storage_state={"cookies": [cookie]}, **options)

    def add_operators(self) -> None:
        with self.app.app_context():
            for name, role in (("admin", Role.ADMIN), ("小王", Role.OPERATOR), ("看客", Role.VIEWER)):
                add_operator(db.engine, name, role)

    def says(self, openid: str, *texts: str) -> int:
        """What a follower writes; the follower's id."""
        platform = FakePlatform.of(self.app).follower(openid)
        for text in texts:
            platform.text(text)
        with self.app.app_context():
            return db.session.scalars(select(Follower.id).where(Follower.openid == openid)).one()

    def catch_up(self) -> None:
        """What a worker does every second."""
        services(self.app).projector.catch_up()


def deliver(desk: Console) -> None:
    """What has been written can no longer be taken back, and is sent."""
    with desk.app.app_context():
        old = datetime.now(UTC) - timedelta(minutes=1)
        mine = MessageLog.origin.startswith("operator:")
        db.session.execute(update(MessageLog).where(mine).values(received_at=old))
        db.session.commit()
        recover(db.engine, services(desk.app).outbox, datetime.now(UTC))


AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
"""The accessibility engine."""

for_everybody = pytest.mark.parametrize(("language", "scheme"), [("zh-CN", "light"), ("en-US", "dark")])
"""Languages change what fits, and schemes what can be read: each is shown once, in all widths."""


def check_on_all_screens(page: Page) -> None:
    """`check_page` in a wide window and on a small phone, which remains."""
    for width in (1440, 375):
        page.set_viewport_size({"width": width, "height": 844})
        check_page(page)


def check_page(page: Page) -> None:
    """It fits the window, and an accessibility engine finds nothing serious on it."""
    page.wait_for_load_state()
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0, f"{page.url} is wider than the window"
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        (each["id"], node["html"][:200], node["failureSummary"][:300])
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]
    assert not serious, f"{page.url}: {serious}"


def drag(source: Locator, target: Locator) -> None:
    """Drag an element onto another one, once the page's script has run.

    A browser drops it only where the pointer has moved more than once.
    """
    expect(source).to_have_attribute("draggable", "true")
    mouse = source.page.mouse
    source.hover()
    mouse.down()
    for _ in range(3):
        target.hover()
    mouse.up()


def expect_no_script(page: Page) -> None:
    """Nothing that a follower wrote has run, or would run by a click."""
    assert page.evaluate("window.hacked") is None
    protocols = page.evaluate("[...new Set([...document.links].map(link => link.protocol))]")
    assert set(protocols) <= {"http:", "https:"}
    expect(page.locator("main")).to_be_visible()
