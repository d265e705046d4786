"""The figures of slow handlers over all processes, and what the doctor says about them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask_babel import force_locale
from sqlalchemy import Engine, insert, update

from tests.conftest import MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import HandlerProcess, MessageLog, MessageState
from wechat_bot.models.rows import new_row
from wechat_bot.services.health import heartbeats, status
from wechat_bot.services.health.checks import Health
from wechat_bot.services.health.doctor import Diagnosis, check_slow_handlers
from wechat_bot.services.health.status import SlowHandlers
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services


def process(name: str = "host:1", age: float = 0, **figures: int | None) -> dict[str, object]:
    limits = {"max_running": 10, "max_waiting": 10}
    seen_at = datetime.now(UTC) - timedelta(seconds=age)
    return new_row(HandlerProcess, name=name, seen_at=seen_at, **{**limits, **figures})


def add_processes(engine: Engine, *rows: Mapping[str, object]) -> None:
    with engine.begin() as connection:
        connection.execute(insert(HandlerProcess), rows)


def push(app: Flask, openid: str, age: float, state: MessageState, owner: str | None) -> None:
    """Record a message of `openid` that is `age` seconds old and in this state."""
    text = f"{openid} {age}"
    FakePlatform.of(app).follower(openid).text(text)
    received_at = datetime.now(UTC) - timedelta(seconds=age)
    with app.app_context(), db.engine.begin() as connection:
        changes = update(MessageLog).where(MessageLog.text == text)
        connection.execute(changes.values(state=state, owner=owner, received_at=received_at))


def read(app: Flask) -> SlowHandlers:
    with app.app_context(), db.engine.connect() as connection:
        return status.slow_handlers(connection)


def diagnose(app: Flask) -> Diagnosis:
    with app.app_context():
        return services(app).doctor.diagnose()


# The figures


def test_before_any_has_run_there_is_nothing_to_show(app: Flask, engine: Engine) -> None:
    assert read(app).is_unused
    add_processes(engine, process())
    found = read(app)
    assert (found.is_unused, found.p95_ms, found.fullest is None) == (True, None, False)
    assert (found.queued, found.oldest, found.oldest_queued) == (0, 0, 0)


def test_the_figures_of_all_processes_that_live_count_together(app: Flask, engine: Engine) -> None:
    add_processes(
        engine,
        process("host:1", running=3, waiting=2, p95_ms=800),
        process("host:2", running=4, waiting=5, p95_ms=8200),
        process("host:3", age=20, running=10, waiting=10, p95_ms=90_000),
        process("host:4"),
    )
    found = read(app)
    assert (found.running, found.max_running, found.waiting, found.max_waiting) == (7, 30, 7, 30)
    assert found.p95_ms == 8200
    assert found.fullest
    assert found.fullest.name == "host:2"
    assert not found.is_unused


def test_unanswered_messages_count_and_those_that_no_process_handles_are_queued(
    make_app: MakeApp, any_database: str
) -> None:
    app = make_app(database_url=any_database)
    push(app, "oAnswered", 900, MessageState.ANSWERED, None)
    push(app, "oFailed", 800, MessageState.FAILED, None)
    push(app, "oHandled", 300, MessageState.LATE, "host:1")
    push(app, "oHandled", 200, MessageState.LATE, None)
    push(app, "oQueued", 100, MessageState.RECEIVED, None)
    found = read(app)
    assert found.queued == 2
    assert int(found.oldest) == 300
    assert int(found.oldest_queued) == 100, "a follower's next message does not wait for a place"


# What the doctor says


def figures(*rows: Mapping[str, object], queued: int = 0, oldest_queued: float = 0) -> SlowHandlers:
    return SlowHandlers([HandlerProcess(**row) for row in rows], queued, oldest_queued, oldest_queued)


@pytest.mark.parametrize(
    ("found", "code", "values"),
    [
        (figures(), "ok", {"running": 0, "queued": 0}),
        (figures(process(running=6, waiting=6), queued=3), "ok", {"running": 6, "queued": 3}),
        (figures(process(running=7)), "busy", {"running": 7, "limit": 10}),
        (figures(process(running=10), process()), "ok", {"running": 10, "queued": 0}),
        (figures(process(waiting=7), process()), "awaited", {"waiting": 7, "limit": 10}),
        (figures(process(running=10, waiting=10)), "busy", {"running": 10, "limit": 10}),
        (figures(process(), queued=1, oldest_queued=59.9), "ok", {"running": 0, "queued": 1}),
        (figures(process(), queued=1, oldest_queued=60), "delayed", {"seconds": 60}),
        (figures(queued=1, oldest_queued=75), "delayed", {"seconds": 75}),
    ],
)
def test_a_warning_is_given_at_70_percent_of_the_places_and_after_a_minute_in_the_queue(
    found: SlowHandlers, code: str, values: dict[str, int]
) -> None:
    check = check_slow_handlers(found)
    assert (check.finding.code, dict(check.values)) == (code, values)
    assert check.state is (Health.OK if code == "ok" else Health.WARN)
    assert check.finding.alarm is (code != "ok")


@pytest.mark.parametrize("found", [figures(process(running=7)), figures(process(waiting=7))])
def test_a_warning_says_what_to_do_in_both_languages(app: Flask, found: SlowHandlers) -> None:
    check = check_slow_handlers(found)
    for language, words in (
        ("zh", ("7", "最多 10", "调大 WE", "WEB_WORKERS")),
        ("en", ("7", "at most 10", "Raise")),
    ):
        with app.app_context(), force_locale(language):
            told = f"{check.said} {check.remedy}"
        for word in words:
            assert word in told


def test_the_console_calls_operators_to_the_warning_and_the_command_does_not_fail(
    app: Flask, engine: Engine
) -> None:
    heartbeats.heartbeat(engine, "host:1")
    add_processes(engine, process(running=8))
    found = diagnose(app)
    assert found.headline.finding.code == "busy"
    assert (found.failed, len(found.problems)) == (0, 1)
    with app.app_context():
        assert services(app).doctor.problems() == 1
    done = app.test_cli_runner().invoke(args=["wechat", "doctor", "--offline", "--language", "en"])
    assert done.exit_code == 0
    assert "! Slow handlers" in done.output


def test_what_has_failed_is_told_first(app: Flask, engine: Engine) -> None:
    add_processes(engine, process(running=8))
    found = diagnose(app)
    assert [check.finding.code for check in found.problems] == ["away", "busy"]
