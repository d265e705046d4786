"""The database fails: the platform is made to push again, /readyz says why, and all recovers by itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event, func, select, text

from tests.cable import Cable
from tests.conftest import MakeApp
from tests.waiting import wait_until
from wechat_bot.extensions import db
from wechat_bot.models import Direction, MessageLog
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.webhook import Webhook
from wechat_bot.wiring import EXTENSION, services


def incoming(app: Flask) -> int:
    with app.app_context():
        found = select(func.count(MessageLog.id)).where(MessageLog.direction == Direction.IN)
        return db.session.scalar(found) or 0


class Connections:
    """All connections that the engines of `app` open from now on."""

    def __init__(self, app: Flask) -> None:
        self._opened: list[Any] = []
        self._statement = "SELECT 1"
        for engine in (services(app).engine, services(app).writer):
            event.listen(engine, "connect", self._open)
            engine.dispose()

    def run(self, statement: str) -> None:
        """Run `statement` on each, also on those to come."""
        self._statement = statement
        for connection in self._opened:
            with suppress(Exception):  # it may be closed
                connection.cursor().execute(statement)

    def _open(self, connection: Any, _: object) -> None:
        self._opened.append(connection)
        connection.cursor().execute(self._statement)
        connection.commit()  # psycopg has begun a transaction


@pytest.mark.parametrize(
    ("failing", "mended", "reason"),
    [
        ("PRAGMA query_only=ON", "PRAGMA query_only=OFF", "read-only"),
        ("PRAGMA max_page_count=1", "PRAGMA max_page_count=1000000", "disk full"),
    ],
)
def test_nothing_is_lost_while_sqlite_takes_no_writes(
    app: Flask, platform: FakePlatform, failing: str, mended: str, reason: str
) -> None:
    connections = Connections(app)
    platform.text("before")
    fields = platform.message("text", Content="x" * 10_000)
    connections.run(failing)
    assert platform.push_once(fields).status is None, "it is held until the platform has gone"
    ready = app.test_client().get("/readyz")
    assert (ready.status_code, ready.text) == (503, f"database: {reason}")
    connections.run(mended)
    assert not platform.push(fields).failed
    wait_until(lambda: app.test_client().get("/readyz").status_code == 200)  # it is kept for a moment
    assert incoming(app) == 2


@pytest.fixture
def cable(server_database: str) -> Iterator[Cable]:
    cable = Cable(server_database)
    yield cable
    cable.cut()


def test_a_database_that_is_stopped_and_started_again_loses_nothing(make_app: MakeApp, cable: Cable) -> None:
    app = make_app(database_url=cable.url)
    platform = FakePlatform.of(app)
    platform.text("before")
    cable.cut()
    fields = platform.message("text", Content="帮助")
    assert platform.push_once(fields).status is None, "it is held until the platform has gone"
    assert app.test_client().get("/readyz").text == "database: unreachable"
    cable.mend()
    assert str(platform.push(fields).shown).startswith("我会这些")
    wait_until(lambda: app.test_client().get("/readyz").status_code == 200)  # it is kept for a moment
    assert incoming(app) == 2


def test_a_connection_that_the_server_closed_costs_no_push(make_app: MakeApp, cable: Cable) -> None:
    app = make_app(database_url=cable.url)
    platform = FakePlatform.of(app)
    platform.text("before")
    cable.cut()
    cable.mend()
    assert platform.push_once(platform.message("text", Content="帮助")).status == 200


def test_postgresql_that_is_read_only_makes_the_platform_push_again(
    make_app: MakeApp, postgresql_database: str
) -> None:
    app = make_app(database_url=postgresql_database)
    platform = FakePlatform.of(app)
    connections = Connections(app)
    platform.text("before")
    fields = platform.message("text", Content="帮助")
    connections.run("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; COMMIT")
    assert platform.push_once(fields).status is None
    assert app.test_client().get("/readyz").text == "database: read-only"
    connections.run("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; COMMIT")
    assert not platform.push(fields).failed


@pytest.mark.parametrize("clock", [lambda: time.time() - 3600, lambda: time.time() + 3600])
def test_a_clock_that_is_wrong_refuses_pushes_and_says_by_how_much(
    app: Flask, platform: FakePlatform, clock: Callable[[], float], caplog: pytest.LogCaptureFixture
) -> None:
    right = services(app)
    app.extensions[EXTENSION] = replace(right, webhook=Webhook(platform.credentials, clock))
    fields = platform.message("text", Content="帮助")
    assert platform.push_once(fields).status == 403
    assert re.search(r"3[56]\d\d s from this machine's clock", caplog.text)
    app.extensions[EXTENSION] = right
    assert not platform.push(fields).failed


def test_a_message_that_the_database_refuses_does_not_take_others_with_it(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    with engine.connect() as connection, connection.execution_options(writes=True).begin():
        connection.execute(
            text(
                "CREATE TRIGGER poison BEFORE INSERT ON message_logs WHEN NEW.text = 'poison'"
                " BEGIN SELECT RAISE(ABORT, 'poison'); END"
            )
        )
    texts = ["poison" if n == 3 else f"good {n}" for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(platform.text, texts))
    assert incoming(app) == 7
