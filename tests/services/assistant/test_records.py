"""What the record of answers is for: limits and the health page."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.exc import StatementError

from tests.conftest import MakeApp
from tests.services.assistant.fakes import PROFILE, FakeModel, install
from wechat_bot.database.transactions import write
from wechat_bot.extensions import db
from wechat_bot.models import ModelAnswer, Outcome
from wechat_bot.models.rows import new_row
from wechat_bot.services.assistant import records
from wechat_bot.services.assistant.guards import Spent
from wechat_bot.services.assistant.records import AnswerLog
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 29, 4, tzinfo=UTC)


def add(engine: Engine, account_id: int, at: datetime, **values: Any) -> None:
    values = {"outcome": Outcome.ANSWERED, "prompt_tokens": 100, "cost": 0.5, **values}
    row = new_row(ModelAnswer, account_id=account_id, profile_version=1, created_at=at, **values)
    write(engine, insert(ModelAnswer).values(row))


def spent(engine: Engine, account_id: int, follower_id: int | None, now: datetime) -> Spent:
    with engine.connect() as connection:
        return records.spent(connection, account_id, follower_id, now, ZONE)


def test_on_every_database_answers_are_counted_by_minute_and_day(
    make_app: MakeApp, any_database: str
) -> None:
    app = make_app(database_url=any_database)
    FakePlatform.of(app).follow()
    account_id, midnight = services(app).account_id, NOON - timedelta(hours=12)
    with app.app_context():
        engine = db.engine
    for at in (midnight - timedelta(seconds=30), midnight, NOON - timedelta(seconds=59), NOON):
        add(engine, account_id, at, follower_id=1)
    add(engine, account_id, NOON, follower_id=1, outcome=Outcome.OVER_BUDGET, prompt_tokens=0, cost=0)
    add(engine, account_id, NOON)
    assert spent(engine, account_id, 1, NOON) == Spent(2, 3, 400, 2.0)
    assert spent(engine, account_id, None, NOON) == Spent(0, 0, 400, 2.0)


@pytest.mark.parametrize(
    ("tokens", "code"),
    [(10, "ok"), (79, "ok"), (80, "budget_low"), (100, "budget_used_up"), (500, "budget_used_up")],
)
def test_the_health_page_tells_how_much_of_the_budget_is_used(
    app: Flask, engine: Engine, tokens: int, code: str
) -> None:
    install(app, FakeModel(), replace(PROFILE, daily_tokens=100))
    add(engine, services(app).account_id, datetime.now(UTC), prompt_tokens=tokens)
    checks = services(app).doctor.diagnose().checks
    [check] = [check for check in checks if check.finding.step == "assistant"]
    assert check.finding.code == code


def test_the_health_page_says_nothing_of_an_assistant_that_is_off(app: Flask) -> None:
    checks = services(app).doctor.diagnose().checks
    assert not [check for check in checks if check.finding.step == "assistant"]


def test_answers_of_concurrent_threads_are_all_recorded(app: Flask, engine: Engine) -> None:
    log, account_id = AnswerLog(engine), services(app).account_id
    good = new_row(
        ModelAnswer, account_id=account_id, profile_version=1, created_at=NOON, outcome=Outcome.ANSWERED
    )
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda number: log.insert(good | {"milliseconds": number}), range(64)))
    with engine.connect() as connection:
        stored = connection.execute(select(ModelAnswer.milliseconds, ModelAnswer.id)).all()
    assert sorted(zip(range(64), ids, strict=True)) == sorted(map(tuple, stored))


def test_an_answer_that_cannot_be_recorded_takes_no_other_with_it(app: Flask, engine: Engine) -> None:
    log, account_id = AnswerLog(engine), services(app).account_id
    values = {"profile_version": 1, "created_at": NOON, "outcome": Outcome.ANSWERED}
    good = new_row(ModelAnswer, account_id=account_id, **values)

    def attempt(row: dict[str, Any]) -> bool:
        try:
            return log.insert(row) > 0
        except StatementError:
            return False

    rows = [good, good | {"created_at": "never"}] * 8
    with ThreadPoolExecutor(16) as pool:
        kept = list(pool.map(attempt, rows))
    assert kept == [True, False] * 8
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(ModelAnswer)) == 8
