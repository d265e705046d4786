"""Synchronising followers, and the demo pages for them, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import APP_SECRET, MakeApp
from tests.e2e.conftest import AXE, opening_pages
from tests.e2e.console import Console, check_page
from wechat_bot.simulator.state import SimulatedFollower as Played
from wechat_bot.testing import OPENID, FakeAPI, listening
from wechat_bot.wiring import services


@pytest.fixture
def console(make_app: MakeApp, api: FakeAPI, chromium: Browser) -> Iterator[Console]:
    """Of an account with 150 followers whom nobody knows yet."""
    with api.store.opened() as state:
        state.followers = {f"o{n:03}": Played(f"o{n:03}", subscribe_time=1_700_000_000) for n in range(150)}
    app = make_app(api=api, wechat_app_secret=APP_SECRET)
    with listening(app) as address, opening_pages(chromium, address, [AXE]) as open_page:
        console = Console(app, open_page)
        console.add_operators()
        yield console


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_shows_the_followers_by_itself_when_a_run_has_ended(console: Console, width: int) -> None:
    page = console.sign_in("/admin/followers", width=width)
    check_page(page)
    page.get_by_role("button", name="同步粉丝").click()
    expect(page.get_by_text("已同步 0 / 0")).to_be_visible()
    check_page(page)
    services(console.app).jobs.run_all()
    expect(page.get_by_text("上次同步了 150 人")).to_be_visible()
    expect(page.locator("[data-rows] tbody tr")).to_have_count(50)
    check_page(page)


def test_the_demo_knows_its_visitor_after_consent(
    make_app: MakeApp, chromium: Browser, tmp_path: Path
) -> None:
    app = make_app()
    app.instance_path = str(tmp_path / "instance")
    with listening(app) as address, opening_pages(chromium, address, [AXE]) as open_page:
        page = open_page("/demo/followers/", width=390)
        check_page(page)
        page.get_by_role("link", name="征得同意").click()
        check_page(page)
        page.get_by_role("button", name="同意").click()
        expect(page.get_by_text(OPENID)).to_be_visible()
        check_page(page)
        page.goto("/demo/followers/share")
        expect(page.get_by_text("jsApiList")).to_be_visible()
        check_page(page)
