"""Moving of a SQLite database to a server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, func, insert, select

from tests.blueprints.admin.conftest import Browser
from tests.conftest import MakeApp
from tests.operators import add_operator
from tests.services.backups.conftest import MakeInstallation, run
from tests.services.backups.test_backups import finds
from tests.services.messages.journal import Journal
from wechat_bot.database.transactions import write
from wechat_bot.models import BotSession, KnowledgeVector, MessageLog, Operator, Role, Worker
from wechat_bot.services.backups import moving
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

ODD = "茶🍵 \\ ' \" \n <b> \u202e 𠮷"
MOMENT = datetime(2026, 11, 29, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def source(make_installation: MakeInstallation) -> Flask:
    """An installation on SQLite with values that databases store in different ways."""
    app = make_installation("a")
    engine = services(app).engine
    journal = Journal(engine)
    for number in range(2):
        follower_id = journal.follower(f"oFollower{number}")
        session = insert(BotSession).values(follower_id=follower_id, session={"x": [ODD, None, 1.5, True]})
        write(engine, session.values({} if number else {"rule_memory": None}))
    journal.add_many([f"{ODD} {number}" for number in range(5000)], received_at=MOMENT)
    journal.add("{}", payload={"Content": ODD, "odd": {"a": [], "z": None}}, error="错误")
    vector = {"account_id": journal.account_id, "source": "pair", "source_id": 7, "model": "m"}
    write(
        engine, insert(KnowledgeVector).values(**vector, text_hash="h", version=1, vector=bytes(range(256)))
    )
    add_operator(engine, "li", Role.ADMIN)
    return app


def rows(engine: Engine, model: Any) -> list[Any]:
    table = model.__table__
    with engine.connect() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)).all())


def test_everything_is_the_same_on_the_server_and_the_program_runs_there(
    source: Flask, make_app: MakeApp, server_database: str, tmp_path: Path
) -> None:
    engine = services(source).engine
    assert "compared" in run(source, "migrate-data", "--to", server_database)
    app = make_app(database_url=server_database, instance_path=str(tmp_path / "b"))
    for model in (BotSession, KnowledgeVector, MessageLog, Operator):
        assert rows(services(app).engine, model) == rows(engine, model)
    assert finds(app, "茶")
    assert FakePlatform.of(app).text("帮助")
    with services(app).engine.connect() as connection:
        assert connection.scalar(select(func.max(MessageLog.id))) == 5003
    assert Browser(app.test_client()).sign_in("li").status_code == 303
    assert "other" in run(source, "migrate-data", "--to", server_database, fails=True)


class Interrupted(Exception):
    pass


def test_an_interrupted_move_goes_on_where_it_was(
    source: Flask, make_app: MakeApp, server_database: str
) -> None:
    make_app(database_url=server_database)  # migrates it
    settings = services(source).settings
    there = replace(settings, database_url=server_database)
    origin = moving.open_engine(services(source).engine.url, settings)
    target = moving.open_engine(there.sqlalchemy_url, there)
    copied = 0

    def progress(count: int) -> None:
        nonlocal copied
        copied += count
        if copied > 3000:
            raise Interrupted

    with pytest.raises(Interrupted):
        moving.move(origin, target, progress)
    assert 0 < len(rows(target, MessageLog)) < 5001
    told: list[int] = []
    moving.move(origin, target, told.append)
    assert sum(told) == moving.total_rows(origin)
    assert len(rows(target, MessageLog)) == 5001
    origin.dispose()
    target.dispose()


def test_nothing_is_moved_while_the_program_runs(source: Flask, server_database: str) -> None:
    now = datetime.now(UTC)
    write(services(source).engine, insert(Worker).values(name="host:7", started_at=now, seen_at=now))
    assert "host:7" in run(source, "migrate-data", "--to", server_database, fails=True)
