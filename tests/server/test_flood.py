"""Many followers ask slow questions at once: all get their answers, and nobody else notices."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select

from tests import asynchronous
from tests.conftest import APP_SECRET
from tests.databases import Databases
from tests.server.conftest import ROOT, MakeProgram, Program
from wechat_bot.models import Direction, MessageLog
from wechat_bot.simulator.flood import Message, Outcome, Result, fetch, flood
from wechat_bot.testing import FakeAPI, FakePlatform, listening

BOT = ROOT / "benchmarks/waiting_bot/wsgi.py"
"""Answers with the question, and so many seconds later as a question says that begins with 慢."""
QUESTIONS = 120
TAPS = 60
SMALL = {"WEB_THREADS": "16", "WECHAT_SLOW_HANDLERS": "4"}
"""Settings with which 60 questions at once are more than can wait for their answers."""
PASSIVE = {"WECHAT_CUSTOMER_SERVICE": "no"}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path, databases: Databases) -> Iterator[str]:
    with databases.borrow(request.param, tmp_path) as url:
        yield url


def slow_questions(count: int, seconds: float, openid: str = "") -> list[Message]:
    """Return questions of as many followers, or of the follower `openid`."""
    return [(openid or f"oSlow{n}", {"Content": f"慢 {seconds} 第 {n} 问"}) for n in range(count)]


def ordinary_questions(count: int) -> list[Message]:
    return [(f"oQuick{n}", {"Content": f"第 {n} 问"}) for n in range(count)]


def answer(question: str) -> str:
    return f"收到：{question}"


def ask(platform: FakePlatform, slow: Sequence[Message], ordinary: Sequence[Message]) -> list[Result]:
    """Ask slow questions at once and ordinary ones beside them, and return the results of the slow ones.

    All ordinary questions must be answered.
    """

    async def asked() -> tuple[list[Result], list[Result]]:
        return await asyncio.gather(flood(platform, slow), flood(platform, ordinary, per_second=5))

    results, quick = asynchronous.run(asked())
    assert [result for result in quick if result.reply != answer(result.text)] == []
    return results


def with_outcome(results: Sequence[Result], outcome: Outcome) -> list[Result]:
    return [result for result in results if result.outcome is outcome]


def check_answers(program: Program, platform: FakePlatform, results: Sequence[Result]) -> None:
    """Check that each follower has the answer, or gets it by tapping the link, and that it is stored once."""
    assert with_outcome(results, Outcome.NOTICE) == []
    answered = with_outcome(results, Outcome.ANSWERED)
    assert [result for result in answered if result.reply != answer(result.text)] == []
    told = with_outcome(results, Outcome.FETCH)
    fetched = asynchronous.run(fetch(platform, told, taps=TAPS))
    assert with_outcome(fetched, Outcome.NOTICE) == []
    assert [result.reply for result in fetched] == [answer(result.text) for result in told]
    again = asynchronous.run(fetch(platform, told, taps=1))
    assert [result.reply for result in again] == [answer(result.text) for result in told], "a tap is a read"
    stored = stored_answers(program.environment["DATABASE_URL"])
    assert [stored[answer(result.text)] for result in results] == [1] * len(results)


def stored_answers(url: str) -> Counter[str]:
    """Return how often each text was stored as an answer."""
    engine = create_engine(url)
    texts = select(MessageLog.text, func.count()).where(MessageLog.direction == Direction.OUT)
    with engine.connect() as connection:
        stored = connection.execute(texts.group_by(MessageLog.text)).all()
    engine.dispose()
    return Counter({row[0]: row[1] for row in stored})


@pytest.mark.parametrize("processes", ["1", "2"])
def test_slow_questions_are_answered_in_passive_replies(
    make_program: MakeProgram, database: str, processes: str
) -> None:
    program = make_program(BOT, DATABASE_URL=database, WEB_WORKERS=processes, **PASSIVE)
    program.start()
    platform = program.platform()
    results = ask(platform, slow_questions(QUESTIONS, 6), ordinary_questions(40))
    assert len(with_outcome(results, Outcome.ANSWERED)) == QUESTIONS
    check_answers(program, platform, results)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_slow_questions_are_answered_by_customer_service(
    make_program: MakeProgram, database: str, api: FakeAPI, processes: str
) -> None:
    with listening(api) as url:
        program = make_program(
            BOT,
            DATABASE_URL=database,
            WEB_WORKERS=processes,
            WECHAT_CUSTOMER_SERVICE="yes",
            WECHAT_APP_SECRET=APP_SECRET,
            WECHAT_API_BASE_URL=url,
        )
        program.start()
        platform = program.platform()
        results = ask(platform, slow_questions(QUESTIONS, 6), ordinary_questions(40))
        assert with_outcome(results, Outcome.FETCH) == []
        check_customer_service(program, api, results)
        check_answers(program, platform, results)


def check_customer_service(program: Program, api: FakeAPI, results: Sequence[Result]) -> None:
    """Check that each follower who got nothing gets the answer exactly once, and nobody else does."""
    silent = with_outcome(results, Outcome.SILENT)
    assert silent
    deadline = time.monotonic() + 60
    while len(api.sent) < len(silent):
        assert time.monotonic() < deadline, program.log.read_text()
        time.sleep(0.1)
    sent = Counter((body["touser"], body["text"]["content"]) for body in api.sent)
    assert sent == Counter((result.openid, answer(result.text)) for result in silent)


@pytest.mark.parametrize("secret", [pytest.param("f" * 32, id="40001"), pytest.param("wrong", id="40125")])
def test_followers_get_their_answers_while_the_token_is_refused(
    make_program: MakeProgram, database: str, api: FakeAPI, secret: str
) -> None:
    with listening(api) as url:
        program = make_program(BOT, DATABASE_URL=database, WECHAT_APP_SECRET=secret, WECHAT_API_BASE_URL=url)
        program.start()
        platform = program.platform()
        results = ask(platform, slow_questions(QUESTIONS, 6), ordinary_questions(40))
        check_answers(program, platform, results)
        assert with_outcome(results, Outcome.SILENT) == [], "nobody is promised a message that cannot be sent"
        assert api.sent == []


@pytest.mark.parametrize("processes", ["1", "2"])
def test_those_beyond_the_bound_fetch_their_answers_by_a_tap(
    make_program: MakeProgram, database: str, processes: str
) -> None:
    program = make_program(BOT, DATABASE_URL=database, WEB_WORKERS=processes, **SMALL, **PASSIVE)
    program.start()
    platform = program.platform()
    results = ask(platform, slow_questions(60, 1), ordinary_questions(30))
    assert with_outcome(results, Outcome.FETCH), "the bound was reached"
    assert with_outcome(results, Outcome.SILENT) == []
    check_answers(program, platform, results)


def test_those_beyond_the_bound_are_answered_by_customer_service(
    make_program: MakeProgram, database: str, api: FakeAPI
) -> None:
    with listening(api) as url:
        program = make_program(
            BOT,
            DATABASE_URL=database,
            WEB_WORKERS="1",
            WECHAT_CUSTOMER_SERVICE="yes",
            WECHAT_APP_SECRET=APP_SECRET,
            WECHAT_API_BASE_URL=url,
            **SMALL,
        )
        program.start()
        platform = program.platform()
        results = ask(platform, slow_questions(60, 1), ordinary_questions(30))
        assert with_outcome(results, Outcome.FETCH) == []
        check_customer_service(program, api, results)
        check_answers(program, platform, results)


def test_a_link_shows_what_customer_service_has_sent_meanwhile(
    make_program: MakeProgram, database: str, api: FakeAPI
) -> None:
    with listening(api) as url:
        program = make_program(
            BOT,
            DATABASE_URL=database,
            WEB_WORKERS="1",
            WECHAT_APP_SECRET=APP_SECRET,
            WECHAT_API_BASE_URL=url,
            **SMALL,
        )
        program.start()
        platform = program.platform()
        results = ask(platform, slow_questions(60, 1), ordinary_questions(30))
        assert with_outcome(results, Outcome.FETCH), "nobody knows yet whether the account may"
        check_answers(program, platform, results)


def test_one_follower_with_many_slow_questions_holds_up_nobody(
    make_program: MakeProgram, database: str
) -> None:
    program = make_program(BOT, DATABASE_URL=database, **PASSIVE)
    program.start()
    platform = program.platform()
    many = slow_questions(20, 0.5, "oEager")
    results = ask(platform, [*many, *slow_questions(10, 1)], ordinary_questions(30))
    others = results[len(many) :]
    assert [result.reply for result in others] == [answer(result.text) for result in others]
    check_answers(program, platform, results)
