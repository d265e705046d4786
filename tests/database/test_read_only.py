"""A server that takes no writes any more, such as one that became a standby: its connections are left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine, text

from tests.cable import Cable
from tests.conftest import MakeApp
from wechat_bot.services.health.heartbeats import heartbeat, is_leader, sign_off
from wechat_bot.wiring import services

CONNECTIONS = 3
READ_ONLY = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}


@pytest.fixture
def engine(make_app: MakeApp, server_database: str) -> Engine:
    return services(make_app(database_url=server_database, database_connections=CONNECTIONS)).engine


def become_read_only(engine: Engine) -> None:
    """Let the pooled connections, but none that is opened later, take no writes."""
    with ExitStack() as stack:
        for connection in [stack.enter_context(engine.connect()) for _ in range(CONNECTIONS)]:
            connection.execute(text(READ_ONLY[engine.dialect.name]))
            connection.commit()


def test_a_transaction_runs_again_on_a_new_connection(engine: Engine) -> None:
    heartbeat(engine, "one")
    become_read_only(engine)
    heartbeat(engine, "two")
    assert is_leader(engine, "one")
    sign_off(engine, "one")
    assert is_leader(engine, "two")


@pytest.fixture
def cable(server_database: str) -> Iterator[Cable]:
    cable = Cable(server_database)
    yield cable
    cable.cut()


def test_a_worker_ends_although_it_cannot_sign_off(
    make_app: MakeApp, cable: Cable, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = services(make_app(database_url=cable.url)).engine
    heartbeat(engine, "one")
    cable.cut()
    sign_off(engine, "one")
    assert "the worker could not sign off" in capsys.readouterr().out
