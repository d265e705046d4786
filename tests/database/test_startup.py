"""A program waits for a database server that is being started, and one program at a time migrates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from tests.cable import Cable
from wechat_bot.database.startup import WAIT_SECONDS, migration_lock, wait_until_reachable

NOBODY = "postgresql+psycopg://127.0.0.1:1/none"
"""Nothing listens there."""


class Clock:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_server_that_does_not_answer_is_waited_for_and_told_once() -> None:
    clock, told = Clock(), list[OperationalError]()
    with pytest.raises(OperationalError):
        wait_until_reachable(create_engine(NOBODY), told.append, clock, clock.sleep)
    assert clock.now == WAIT_SECONDS
    assert len(told) == 1


def test_a_server_that_answers_at_last_is_used(postgresql_database: str) -> None:
    cable, clock, told = Cable(postgresql_database), Clock(), list[OperationalError]()
    cable.cut()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now == 2:
            cable.mend()

    engine = create_engine(cable.url)
    wait_until_reachable(engine, told.append, clock, sleep)
    engine.dispose()
    cable.cut()
    assert (clock.now, len(told)) == (2, 1)


@pytest.mark.parametrize(
    "url", ["sqlite:////proc/none/bot.db", "postgresql+psycopg://no_such_user:x@{server}"]
)
def test_what_waiting_does_not_cure_is_told_at_once(url: str, postgresql_database: str) -> None:
    url = url.format(server=postgresql_database.rpartition("@")[2])
    clock, told = Clock(), list[OperationalError]()
    with pytest.raises(OperationalError):
        wait_until_reachable(create_engine(url), told.append, clock, clock.sleep)
    assert (clock.now, told) == (0, [])


def test_one_at_a_time_has_the_lock_of_the_migrations(any_database: str) -> None:
    engine = create_engine(any_database)
    inside, at_once = 0, list[int]()

    def migrate() -> None:
        nonlocal inside
        with engine.connect() as connection, migration_lock(connection):
            inside += 1
            at_once.append(inside)
            inside -= 1

    with ThreadPoolExecutor(3) as pool:
        for migration in [pool.submit(migrate) for _ in range(6)]:
            migration.result()
    engine.dispose()
    assert at_once == [1] * 6
