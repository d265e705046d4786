"""The message log of PostgreSQL in partitions: nothing lost, nothing doubled, and the program as before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from threading import Event
from typing import Any

import pytest
from flask import Flask
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import Engine, delete, func, insert, inspect, select
from sqlalchemy.exc import IntegrityError, OperationalError

from tests.conftest import MakeApp
from tests.services.messages.journal import NOON, Journal
from tests.waiting import wait_until
from wechat_bot import handlers
from wechat_bot.database.transactions import transaction
from wechat_bot.extensions import db
from wechat_bot.models import Direction, Media, MessageLog
from wechat_bot.models.rows import new_row
from wechat_bot.routing import Answer, Context, Router
from wechat_bot.services.messages import history, partitions
from wechat_bot.services.messages.filters import MessageFilter
from wechat_bot.services.projections.projector import Projector
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.messages import TextMessage

NOVEMBER, DECEMBER = NOON, datetime(2026, 12, 1, 0, 1, tzinfo=UTC)
JANUARY, FEBRUARY = datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)


@pytest.fixture
def app(make_app: MakeApp, postgresql_database: str) -> Flask:
    return make_app(database_url=postgresql_database)


@pytest.fixture
def partitioned(engine: Engine) -> Engine:
    """The database of the application, converted in November."""
    partitions.convert(engine, NOVEMBER)
    return engine


def tables(engine: Engine) -> list[str]:
    return sorted(name for name in inspect(engine).get_table_names() if name.startswith("message_logs"))


def test_messages_go_on_while_the_table_is_converted(app: Flask, engine: Engine) -> None:
    platform, converted = FakePlatform.of(app, timeout=30), Event()

    def push(number: int) -> int:
        """Push messages, each twice at once, until the table is converted and a little longer."""
        follower, pushed, more = platform.follower(f"oFollower{number}"), 0, 20
        with ThreadPoolExecutor(2) as pool:
            while more:
                more -= converted.is_set()
                message = follower.message("text", Content=f"text {pushed}")
                shown = [str(each.shown) for each in pool.map(platform.push, [message, message])]
                assert shown[0] == shown[1] != ""
                pushed += 1
        return pushed

    with ThreadPoolExecutor(4) as pool:
        pushing = [pool.submit(push, number) for number in range(4)]
        try:
            partitions.convert(engine, NOVEMBER)
            wait_until(lambda: _advances(engine, DECEMBER))
        finally:
            converted.set()
        total = sum(each.result() for each in pushing)
    stored = select(MessageLog.direction, func.count()).group_by(MessageLog.direction)
    with engine.connect() as connection:
        assert dict(connection.execute(stored).all()) == {Direction.IN: total, Direction.OUT: total}
        last_id = connection.scalar(select(func.max(MessageLog.id))) or 0
    assert last_id > partitions.first_id(DECEMBER)


def _advances(engine: Engine, now: datetime) -> bool:
    """Begin a month as the worker does, which tries again while pushes use the table."""
    try:
        partitions.advance(engine, now)
    except OperationalError:
        return False
    return True


def test_a_message_whose_pushes_arrive_in_two_months_is_one(
    make_app: MakeApp, postgresql_database: str
) -> None:
    answers, meanwhile = count(1), list[Callable[[], None]]()
    router = Router()

    @router.on(TextMessage)
    def answer(message: TextMessage, ctx: Context) -> Answer:
        while meanwhile:
            meanwhile.pop()()
        return f"answer {next(answers)}"

    app = make_app(router, database_url=postgresql_database)
    with app.app_context():
        engine = db.engine
    partitions.convert(engine, NOVEMBER)
    platform = FakePlatform.of(app, timeout=30)
    message = platform.follower("o1").message("text", Content="你好")

    def record_and_begin_month() -> None:
        with ThreadPoolExecutor(1) as pool:
            shown.append(pool.submit(platform.push, message).result().shown)
        partitions.advance(engine, DECEMBER)

    shown: list[Any] = []
    meanwhile.append(record_and_begin_month)
    shown.append(platform.push(message).shown)
    shown.append(platform.push(message).shown)
    assert shown == ["answer 1"] * 3
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(MessageLog)) == 2
    assert Journal(engine).add() >= partitions.first_id(DECEMBER)


def test_lists_and_searches_go_through_all_months(partitioned: Engine) -> None:
    journal = Journal(partitioned)
    follower, added = journal.follower("o1"), []
    for month in (NOVEMBER, DECEMBER, JANUARY):
        partitions.advance(partitioned, month)
        added += [journal.add("我要退款", follower_id=follower, created_at=month) for _ in range(2)]
    while Projector(partitioned, handlers.router).catch_up():
        pass
    chosen = (
        MessageFilter(),
        MessageFilter(q="退款"),
        MessageFilter(follower=follower),
        MessageFilter(since=NOVEMBER.date(), until=JANUARY.date()),
    )
    with partitioned.connect() as connection:
        for each in chosen:
            first = history.page(connection, journal.account_id, each, limit=3)
            rest = history.page(connection, journal.account_id, each, before=first.older)
            assert [row.id for row in (*first.rows, *rest.rows)] == added[::-1]
    with transaction(partitioned) as connection:
        assert connection.execute(delete(MessageLog).where(MessageLog.id == added[0])).rowcount == 1


def test_the_months_that_come_are_prepared(partitioned: Engine) -> None:
    prepared = ["message_logs", "message_logs_2026_11", "message_logs_2026_12", "message_logs_past"]
    assert tables(partitioned) == prepared
    partitions.advance(partitioned, NOVEMBER)
    assert tables(partitioned) == prepared
    partitions.advance(partitioned, DECEMBER)
    assert tables(partitioned) == sorted([*prepared, "message_logs_2027_01"])
    assert Journal(partitioned).add() == partitions.first_id(DECEMBER)


def test_an_interrupted_conversion_goes_on(engine: Engine) -> None:
    with transaction(engine) as connection:  # the check of a run in October
        limit = partitions.first_id(datetime(2026, 10, 1, tzinfo=UTC))
        added = f"ADD CONSTRAINT ck_message_logs_past CHECK (id < {limit}) NOT VALID"
        connection.exec_driver_sql(f"ALTER TABLE message_logs {added}")
    partitions.convert(engine, NOVEMBER)
    partitions.convert(engine, NOVEMBER)
    assert Journal(engine).add() == partitions.first_id(NOVEMBER)


def test_past_months_are_dropped_when_they_have_no_messages_any_more(partitioned: Engine) -> None:
    journal, ids = Journal(partitioned), []
    for month in (NOVEMBER, DECEMBER, JANUARY):
        partitions.advance(partitioned, month)
        ids.append(journal.add(kind="image", created_at=month))
    with pytest.raises(IntegrityError):
        _add_file(partitioned, partitions.first_id(FEBRUARY))
    assert partitions.drop_empty(partitioned) == ["message_logs_past"]
    with transaction(partitioned) as connection:
        connection.execute(delete(MessageLog).where(MessageLog.id.in_([ids[0], ids[2]])))
    assert partitions.drop_empty(partitioned) == ["message_logs_2026_11"]
    with pytest.raises(IntegrityError):
        _add_file(partitioned, ids[0])
    _add_file(partitioned, ids[1])
    assert tables(partitioned) == [
        "message_logs",
        *("message_logs_2026_12", "message_logs_2027_01", "message_logs_2027_02"),
    ]


def _add_file(engine: Engine, message_id: int) -> None:
    values: dict[str, Any] = {"message_id": message_id, "kind": "image", "created_at": NOON}
    with transaction(engine) as connection:
        connection.execute(insert(Media), new_row(Media, **values))


def test_migrations_run_as_on_a_table_without_partitions(app: Flask, partitioned: Engine) -> None:
    with app.app_context():
        check()  # ends the process when models and tables differ
        downgrade(revision="0004")
        upgrade()
        check()
        assert len(tables(partitioned)) == 4
        downgrade(revision="base")
        upgrade()
        db.engine.dispose()
    partitions.convert(partitioned, NOVEMBER)
    assert len(tables(partitioned)) == 4
