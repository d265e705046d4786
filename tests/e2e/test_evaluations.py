"""An evaluation in a real browser: a question, a run, and both answers beside each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy import func, select

from tests.conftest import MakeApp
from tests.e2e.console import Console, check_on_all_screens, for_everybody
from tests.services.evaluations.fake import FakeAssistants
from wechat_bot.extensions import db
from wechat_bot.models import EvaluationRun
from wechat_bot.services.evaluations.running import Evaluations
from wechat_bot.wiring import EXTENSION, services

PAGE = "/admin/evaluations"


@pytest.fixture
def assistants() -> FakeAssistants:
    return FakeAssistants(几点开门="我们九点开门，" * 40)


@pytest.fixture
def app(make_app: MakeApp, assistants: FakeAssistants) -> Flask:
    app = make_app()
    bot = services(app)
    evaluations = Evaluations(bot.engine, bot.rules, assistants, bot.jobs.enqueue)
    app.extensions[EXTENSION] = replace(bot, evaluations=evaluations)
    return app


def work(app: Flask) -> None:
    """Carry out the newest run, as a worker does."""
    with app.app_context():
        run_id = db.session.scalars(select(func.max(EvaluationRun.id))).one()
        services().evaluations.run(run_id or 0)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_question_is_asked_and_compared(
    app: Flask, console: Console, assistants: FakeAssistants, scripts: bool
) -> None:
    page = console.sign_in(PAGE, "小王", java_script_enabled=scripts)
    page.get_by_role("link", name="新问题").click()
    page.get_by_label("粉丝问").fill("几点开门")
    page.get_by_label("回答里有").fill("九点")
    page.get_by_role("button", name="保存").click()
    for verdict in ("通过", "没有「九点」"):
        page.goto(PAGE)
        page.get_by_role("button", name="全部问一遍").click()
        expect(page.locator("progress")).to_be_visible()
        work(app)
        if not scripts:
            page.get_by_role("link", name="刷新").click()
        expect(page.locator(".given-answer .verdict").first).to_have_text(verdict)
        assistants.answers["几点开门"] = "十点"
    expect(page.locator(".results .badge")).to_have_text("变差了")
    expect(page.locator(".given-answer")).to_have_count(2)


@for_everybody
def test_the_pages_fit_and_can_be_read_by_everybody(
    app: Flask, console: Console, language: str, scheme: str
) -> None:
    client = console.sign_in(f"{PAGE}/new", "小王", language=language, color_scheme=scheme)
    client.locator("#question").fill("几点开门" * 30)
    client.locator("#contains").fill("九点\n" + "w" * 100)
    client.locator("#case .btn-primary").click()
    for _ in range(2):
        client.goto(PAGE)
        client.locator(".page-head form button").click()
        work(app)
    for path in (PAGE, f"{PAGE}/1", f"{PAGE}/new", f"{PAGE}/runs/2"):
        client.goto(path)
        check_on_all_screens(client)
