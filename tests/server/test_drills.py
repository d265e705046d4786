"""A process is killed, and the database is away: no answer is lost, and every follower gets one or is told.

Counted at the running program, by what followers see and by what is stored.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from tests import asynchronous
from tests.cable import Cable
from tests.server.conftest import ROOT, MakeProgram, Program
from tests.waiting import PATIENCE, wait_until
from wechat_bot.models import IS_UNFINISHED, Direction, MessageLog, MessageState
from wechat_bot.simulator.flood import Message, Outcome, Result, fetch, flood
from wechat_bot.testing import FakePlatform

BOT = ROOT / "tests/server/held_bot/wsgi.py"
"""Answers with the question; those that begin with 慢 when it is told."""
SLOW_QUESTIONS = [(f"oSlow{n}", {"Content": f"慢 第 {n} 问"}) for n in range(30)]
QUESTIONS = [(f"oQuick{n}", {"Content": f"第 {n} 问"}) for n in range(100)]
PER_SECOND = 10
TAPS = 20
OUTAGE = 5.0
"""Seconds for which the database is away: as long as the platform waits for the answer to a push."""


@pytest.fixture
def cable(postgresql_database: str) -> Iterator[Cable]:
    cable = Cable(postgresql_database)
    yield cable
    cable.cut()


def logged(url: str, column: Any, *where: Any) -> Counter[str]:
    """Count the values of a column in the message log, which is read past the program."""
    engine = create_engine(url)
    with engine.connect() as connection:
        values = Counter(map(str, connection.scalars(select(column).where(*where))))
    engine.dispose()
    return values


def handled(url: str) -> Counter[str]:
    """Count the messages that each process handles."""
    return logged(url, MessageLog.owner, IS_UNFINISHED, MessageLog.owner.is_not(None))


def disturbed(
    platform: FakePlatform, messages: Sequence[Message], disturb: Callable[[], None], **options: Any
) -> list[Result]:
    """Push messages, disturb the program meanwhile, and return what became of the messages."""

    async def pushed() -> list[Result]:
        results, _ = await asyncio.gather(flood(platform, messages, **options), asyncio.to_thread(disturb))
        return results

    return asynchronous.run(pushed())


def let_handlers_end(program: Program) -> None:
    (program.folder / "go").touch()


def wait_until_handled(url: str) -> None:
    wait_until(lambda: handled(url).total() >= len(SLOW_QUESTIONS), lambda: handled(url))


def wait_until_both_handle(url: str, program: Program) -> None:
    """Wait until two processes handle slow messages: the second may begin to listen a little later."""
    let_handlers_end(program)
    platform, deadline = program.platform(), time.monotonic() + PATIENCE
    while len(logged(url, MessageLog.owner, MessageLog.owner.is_not(None))) < 2:
        assert time.monotonic() < deadline, "one process handles all messages"
        platform.text("慢 在吗")
    (program.folder / "go").unlink()


def answer(question: str) -> str:
    return f"收到：{question}"


def check(url: str, platform: FakePlatform, results: Sequence[Result]) -> None:
    """Check that each message is recorded once and answered once, and its follower has or gets the answer."""
    assert [r.text for r in results if r.outcome not in {Outcome.ANSWERED, Outcome.FETCH}] == []
    answered = [result for result in results if result.outcome is Outcome.ANSWERED]
    fetched = asynchronous.run(fetch(platform, set(results) - set(answered), taps=TAPS))
    asked = {result.openid: answer(result.text) for result in results}
    assert {result.openid: result.reply for result in (*answered, *fetched)} == asked
    incoming = MessageLog.direction == Direction.IN
    questions, replies = logged(url, MessageLog.text, incoming), logged(url, MessageLog.text, ~incoming)
    assert [questions[result.text] for result in results] == [1] * len(results)
    assert [replies[answer(result.text)] for result in results] == [1] * len(results)
    wait_until(lambda: set(logged(url, MessageLog.state, incoming)) == {MessageState.ANSWERED})


def test_the_messages_of_a_killed_process_are_answered_by_another(
    make_program: MakeProgram, database: str
) -> None:
    """Only a message whose three pushes all find no process that listens ends with the failure notice."""
    program = make_program(BOT, DATABASE_URL=database, WEB_WORKERS="2", WECHAT_CUSTOMER_SERVICE="no")
    program.start()
    wait_until_both_handle(database, program)

    def kill() -> None:
        """Kill the process that handles most messages."""
        wait_until_handled(database)
        [(name, _)] = handled(database).most_common(1)
        os.kill(int(name.split(":")[1]), signal.SIGKILL)
        let_handlers_end(program)

    check(database, program.platform(), disturbed(program.platform(), SLOW_QUESTIONS, kill))


def test_answers_that_are_ready_while_the_database_is_away_are_kept(
    make_program: MakeProgram, cable: Cable, postgresql_database: str
) -> None:
    program = make_program(BOT, DATABASE_URL=cable.url)
    program.start()

    def lose_the_database() -> None:
        """Lose it before the handlers end, until they have ended."""
        wait_until_handled(postgresql_database)
        cable.cut()
        let_handlers_end(program)
        time.sleep(2)
        assert handled(postgresql_database).total() == len(SLOW_QUESTIONS)
        cable.mend()

    results = disturbed(program.platform(), SLOW_QUESTIONS, lose_the_database)
    check(postgresql_database, program.platform(), results)


def test_an_outage_of_postgresql_leaves_no_push_unanswered(
    make_program: MakeProgram, cable: Cable, postgresql_database: str
) -> None:
    program = make_program(BOT, DATABASE_URL=cable.url)
    program.start()

    def lose_the_database() -> None:
        time.sleep(1)
        cable.cut()
        time.sleep(OUTAGE)
        cable.mend()

    results = disturbed(program.platform(), QUESTIONS, lose_the_database, per_second=PER_SECOND)
    check(postgresql_database, program.platform(), results)


def test_a_lock_of_sqlite_leaves_no_push_unanswered(make_program: MakeProgram) -> None:
    program = make_program(BOT)
    program.start()

    def lock_the_database() -> None:
        time.sleep(1)
        with closing(sqlite3.connect(program.folder / "bot.db", timeout=10)) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(OUTAGE)
            other.rollback()

    results = disturbed(program.platform(), QUESTIONS, lock_the_database, per_second=PER_SECOND)
    check(program.environment["DATABASE_URL"], program.platform(), results)
