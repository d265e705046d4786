"""A console that has something to show, and an operator in front of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from tests.operators import PASSWORD, add_operator
from wechat_bot.extensions import db
from wechat_bot.models import Follower, Role
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services


@dataclass(frozen=True)
class Console:
    """The running console, and how to open a page of it."""

    app: Flask
    open_page: Callable[..., Page]

    def sign_in(self, path: str = "/admin/", name: str = "admin", **options: Any) -> Page:
        """A page of the console, in a browser of its own in which `name` signs in."""
        page = self.open_page(path, **options)
        page.locator("[name=name]").fill(name)
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("button.btn-primary").click()
        page.wait_for_url(lambda url: "sign-in" not in url)
        return page

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


def check_page(page: Page) -> None:
    """It fits the window, and an accessibility engine finds nothing serious on it."""
    page.wait_for_load_state()
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


def expect_no_script(page: Page) -> None:
    """Nothing that a follower wrote has run, or would run by a click."""
    assert page.evaluate("window.hacked") is None
    protocols = page.evaluate("[...new Set([...document.links].map(link => link.protocol))]")
    assert set(protocols) <= {"http:", "https:"}
    expect(page.locator("main")).to_be_visible()
