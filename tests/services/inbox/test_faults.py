"""A fault of the program is told apart from a database that does not answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select

from tests.conftest import MakeApp
from wechat_bot.models import CallbackOutcome, MessageLog
from wechat_bot.routing import Answer, Context, Router
from wechat_bot.services.health.call_stats import PROGRAM_FAULT
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.replies import ImageReply
from wechat_bot.wiring import services


class BrokenReply(ImageReply):
    """A reply that cannot be stored."""

    def fields(self) -> dict[str, Any]:
        return {"Image": object()}


@pytest.fixture
def app(any_database: str, make_app: MakeApp) -> Flask:
    router = Router()

    @router.on(TextMessage)
    def reply(message: TextMessage, ctx: Context) -> Answer:
        return BrokenReply("x") if message.content == "broken" else message.content

    return make_app(router, database_url=any_database)


def test_only_the_message_with_the_fault_suffers(
    app: Flask, platform: FakePlatform, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    platform.text("first")
    followers = [platform.follower(f"o{n}") for n in range(20)]

    def push(n: int) -> int | None:
        content = "broken" if n == 7 else str(n)
        return followers[n].push_once(followers[n].message("text", Content=content)).status

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(push, range(20)))
    assert statuses == [503 if n == 7 else 200 for n in range(20)]
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).where(MessageLog.text == "broken")) == 0
    [record] = [record for record in caplog.records if record.exc_info and "push failed" in record.message]
    assert record.exc_info


def test_a_fault_shows_on_the_health_page_and_not_as_trouble_of_the_database(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    assert platform.push_once(platform.message("text", Content="broken")).status == 503
    services(app).call_stats.flush()
    with engine.connect() as connection:
        found = select(CallbackOutcome.outcome, CallbackOutcome.times, CallbackOutcome.detail)
        outcome, times, detail = connection.execute(found).one()
    assert (outcome, times) == (PROGRAM_FAULT, 1)
    assert " in " in detail
    assert "object at" not in detail
    assert services(app).inbox.last_error is None
    assert app.test_client().get("/readyz").text == "database: ok"
    diagnosis = services(app).doctor.diagnose()
    assert "program" in {check.finding.step for check in diagnosis.checks if check.state == "fail"}
    assert platform.text("still here") == "still here"
