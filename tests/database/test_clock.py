"""The time is that of the database, whatever the clock of a host shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from sqlalchemy import Engine, create_engine, event, select

from tests.conftest import MakeApp
from tests.server.conftest import ROOT
from wechat_bot.database.clock import HostClock, _clock, database_now
from wechat_bot.models import HandlerProcess, Worker
from wechat_bot.services.health.heartbeats import heartbeat
from wechat_bot.services.inbox.queue import send_heartbeat
from wechat_bot.wiring import services
from wechat_bot.worker import _repeat

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize("minutes", [4, -4])
def test_a_clock_that_is_minutes_off_shows_the_time_of_the_database(
    minutes: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HostClock(lambda: NOON + timedelta(minutes=minutes))
    clock.compare(lambda: NOON)
    assert clock.now() == NOON
    assert f"this host's clock is {60 * minutes:+d} s off the database's" in caplog.text


def test_a_clock_that_is_set_right_is_believed_again() -> None:
    shown = [NOON + timedelta(minutes=4)]
    clock = HostClock(lambda: shown[0])
    clock.compare(lambda: NOON)
    shown[0] = NOON
    clock.compare(lambda: NOON)
    assert clock.now() == NOON


def test_a_slow_database_does_not_make_the_clock_wrong(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([NOON, NOON + timedelta(seconds=20), NOON + timedelta(seconds=21)])
    clock = HostClock(lambda: next(times))
    clock.compare(lambda: NOON + timedelta(seconds=1))
    assert clock.now() == NOON + timedelta(seconds=21)
    assert caplog.text == ""


@pytest.mark.parametrize("minutes", [4, 0])
def test_the_clock_of_a_host_follows_that_of_its_server(server_database: str, minutes: int) -> None:
    """So what one host stores as of now is neither old nor in the future to another."""
    clock = HostClock(lambda: datetime.now(UTC) + timedelta(minutes=minutes))
    engine = create_engine(server_database)
    event.listen(engine, "connect", clock.on_connect)
    with engine.connect():
        pass
    engine.dispose()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "beat",
    [
        pytest.param(lambda engine: heartbeat(engine, "vm:1"), id="worker"),
        pytest.param(lambda engine: send_heartbeat(engine, "vm:1"), id="web"),
    ],
)
def test_the_first_heartbeats_of_a_process_show_the_time_of_the_database(
    server_database: str, monkeypatch: pytest.MonkeyPatch, beat: Callable[[Engine], None]
) -> None:
    """Before its first connection the process knows the clock of its host only."""
    monkeypatch.setattr(_clock, "_read", lambda: datetime.now(UTC) + timedelta(minutes=4))
    monkeypatch.setattr(_clock, "_correction", timedelta())
    prepared, engine = create_engine(server_database), create_engine(server_database)
    for model in (Worker, HandlerProcess):
        model.metadata.create_all(prepared, [model.metadata.tables[model.__tablename__]])
    monkeypatch.setattr(_clock, "_correction", timedelta())
    beat(engine)
    with engine.connect() as connection:
        [seen_at] = connection.scalars(select(Worker.seen_at).union(select(HandlerProcess.seen_at)))
    prepared.dispose()
    engine.dispose()
    assert abs(seen_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_no_task_of_the_worker_reads_the_time_before_the_clocks_are_compared(
    make_app: MakeApp, server_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(database_url=server_database)
    services(app).engine.dispose()
    monkeypatch.setattr(_clock, "_read", lambda: datetime.now(UTC) + timedelta(minutes=4))
    monkeypatch.setattr(_clock, "_correction", timedelta())
    stopping = Event()
    read: list[datetime] = []

    def task() -> None:
        read.append(database_now())
        stopping.set()

    _repeat(app, stopping, 0, task)
    assert abs(read[0] - datetime.now(UTC)) < timedelta(minutes=1)


def test_no_service_reads_the_clock_of_its_host() -> None:
    read = [p for p in (ROOT / "wechat_bot/services").rglob("*.py") if "datetime.now(" in p.read_text()]
    assert read == []
