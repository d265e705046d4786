"""Tests of the statistics of API calls and of requests to the callback."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, insert, select, text

from tests.conftest import MakeApp, statements
from tests.waiting import wait_until
from wechat_bot.database.transactions import transaction
from wechat_bot.extensions import db
from wechat_bot.models import CallbackOutcome, CallCount, PushCount
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.health import call_stats
from wechat_bot.services.health.call_stats import NO_ANSWER, OTHER, CallStats, PushOutcome
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.api import Call
from wechat_bot.wiring import services

SEND = "/cgi-bin/message/custom/send"


def make_call_stats(engine: Engine) -> CallStats:
    return CallStats(engine, partial(ensure_account, engine, "wx1"))


def rows(engine: Engine, table: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(table.__table__)))


@pytest.fixture
def any_engine(make_app: MakeApp, any_database: str) -> Engine:
    with make_app(database_url=any_database).app_context():
        return db.engine


def test_calls_that_ended_alike_are_counted_together(any_engine: Engine) -> None:
    stats = make_call_stats(any_engine)
    stats.record_call(Call(SEND, 0, "", 0.1))
    stats.record_call(Call(SEND, 0, "", 0.3))
    stats.flush()
    stats.record_call(Call(SEND, 0, "", 0.2))
    stats.record_call(Call(SEND, 45015, "response out of time limit", 0.1))
    stats.flush()
    counted = {row.errcode: row for row in rows(any_engine, CallCount)}
    assert (counted[0].calls, counted[0].milliseconds, counted[0].slowest) == (3, 600, 300)
    assert (counted[45015].calls, counted[45015].last_message) == (1, "response out of time limit")


def test_refused_requests_are_counted_by_cause(any_engine: Engine) -> None:
    stats = make_call_stats(any_engine)
    stats.record_request("wrong_key", "the padding is wrong")
    stats.flush()
    stats.record_request("wrong_key", "the length is wrong")
    stats.record_request("malformed")
    stats.flush()
    counted = {row.outcome: row for row in rows(any_engine, CallbackOutcome)}
    wrong = counted["wrong_key"]
    assert (wrong.times, wrong.detail) == (2, "the length is wrong")
    assert wrong.first_at < wrong.last_at
    assert counted["malformed"].times == 1


def test_of_two_processes_the_one_that_writes_last_need_not_have_seen_the_last(any_engine: Engine) -> None:
    early, late = make_call_stats(any_engine), make_call_stats(any_engine)
    for stats in (early, late):
        stats.record_request("malformed")
        stats.record_call(Call(SEND, 0, "", 0.1))
    late.flush()
    last = [row.last_at for table in (CallCount, CallbackOutcome) for row in rows(any_engine, table)]
    early.flush()
    assert [row.last_at for table in (CallCount, CallbackOutcome) for row in rows(any_engine, table)] == last


def test_a_lost_answer_is_told_from_success(engine: Engine) -> None:
    stats = make_call_stats(engine)
    stats.record_call(Call(SEND, 0, "no answer: ReadTimeout", 10))
    stats.flush()
    assert [row.errcode for row in rows(engine, CallCount)] == [NO_ANSWER]


def test_addresses_of_files_do_not_fill_the_table(engine: Engine) -> None:
    stats = make_call_stats(engine)
    for number in range(50):
        stats.record_call(Call(f"/mmbiz_png/AbC{number}/0", 0, "", 0.1))
    for number in range(2000):
        stats.record_call(Call(f"/cgi-bin/{number}", 0, "", 0.1))
    stats.flush()
    counted = {row.path: row.calls for row in rows(engine, CallCount)}
    assert len(counted) == 1000
    assert counted[OTHER] == 50 + 2000 - 999


def test_hostile_traffic_makes_the_database_work_no_more_than_once(app: Flask, engine: Engine) -> None:
    client = app.test_client()
    with statements() as sent:
        for number in range(200):
            client.get(f"/wechat?signature={number}&timestamp=1&nonce=2&echostr=3")
        assert sent == []
        services(app).call_stats.flush()
    assert len(sent) == 2  # an update and, since there is no row yet, an insert


def test_what_was_seen_is_written_soon_without_being_asked(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_stats, "WRITE_DELAY", 0.01)
    make_call_stats(engine).record_request("malformed")
    wait_until(lambda: rows(engine, CallbackOutcome))
    assert [row.outcome for row in rows(engine, CallbackOutcome)] == ["malformed"]


def test_within_a_transaction_nothing_is_written_and_nothing_fails(engine: Engine) -> None:
    stats = make_call_stats(engine)
    with transaction(engine), statements() as sent:
        stats.record_call(Call(SEND, 0, "", 0.1))
        stats.record_request("malformed")
    assert sent == []
    stats.flush()


def test_a_database_that_is_away_costs_the_counts_and_no_more(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    stats = make_call_stats(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE callback_outcomes"))
    stats.record_request("malformed", "a detail")
    with caplog.at_level(logging.WARNING):
        stats.flush()
    assert "call_stats are lost" in caplog.text


def test_pushes_are_counted_by_how_they_went(any_engine: Engine) -> None:
    for stats in (make_call_stats(any_engine), make_call_stats(any_engine)):
        stats.record_push("TextMessage", PushOutcome.ANSWERED, 0.1)
        stats.record_push("TextMessage", PushOutcome.ANSWERED, 4.1)
        stats.record_push("TextMessage", PushOutcome.WAITED, 4.9)
        stats.record_push("TextMessage", PushOutcome.NOT_RECORDED, 5.5)
        stats.flush()
    counted = rows(any_engine, PushCount)
    sums = [sum(getattr(row, name) for row in counted) for name in ("pushes", "failed", "slow")]
    assert sums == [8, 2, 4]


def test_pushes_that_failed_with_the_database_are_counted_when_it_is_back(engine: Engine) -> None:
    stats = make_call_stats(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE push_counts RENAME TO away"))
    stats.record_push("TextMessage", PushOutcome.NOT_RECORDED, 5.5)
    stats.flush()
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO push_counts"))
    stats.record_push("TextMessage", PushOutcome.ANSWERED, 0.1)
    stats.flush()
    counted = rows(engine, PushCount)
    assert sum(row.pushes for row in counted) == 2
    assert sum(row.failed for row in counted) == 1


def test_calls_and_pushes_of_long_ago_are_forgotten(engine: Engine) -> None:
    account_id = ensure_account(engine, "wx1")
    old = {"account_id": account_id, "path": SEND, "errcode": 0, "last_at": datetime.now(UTC)}
    hour = int(time.time()) // 3600
    with engine.begin() as connection:
        for age in (29 * 24, 31 * 24):
            connection.execute(insert(CallCount).values(old | {"hour": hour - age}))
        for age in (28 * 24, 30 * 24):
            slot = {"account_id": account_id, "slot": (hour - age) * 12}
            connection.execute(insert(PushCount).values(slot | {"pushes": 1, "failed": 0, "slow": 0}))
    stats = make_call_stats(engine)
    stats.record_call(Call(SEND, 0, "", 0.1))
    stats.flush()
    assert sorted(hour - row.hour for row in rows(engine, CallCount)) == [0, 29 * 24]
    assert [hour - row.slot // 12 for row in rows(engine, PushCount)] == [28 * 24]


def test_nothing_that_followers_wrote_or_that_is_secret_is_remembered(
    app: Flask, engine: Engine, platform: FakePlatform
) -> None:
    query, _, _ = platform.request(platform.message("text", Content="x"))
    client = app.test_client()
    client.post(f"/wechat?{query}", data="<xml><Content>手机号 13800000000</Content></xml>".encode())
    client.get("/wechat?signature=topsecret&timestamp=1&nonce=2")
    services(app).call_stats.flush()
    details = " ".join(row.detail for row in rows(engine, CallbackOutcome))
    assert details
    assert "138" not in details
    assert "topsecret" not in details
