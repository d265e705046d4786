"""Many followers ask slow questions at once: all get their answers, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest
from sqlalchemy import create_engine, func, select

from benchmarks.processes import settle
from tests import asynchronous
from tests.conftest import APP_SECRET
from tests.server.conftest import ROOT, MakeProgram, Program
from tests.waiting import wait_until
from wechat_bot.models import Direction, MessageLog
from wechat_bot.simulator.flood import Message, Outcome, Result, fetch, flood
from wechat_bot.testing import FakeAPI, listening

BOT = ROOT / "benchmarks/waiting_bot/wsgi.py"
"""Answers with the question, and so many seconds later as a question says that begins with 慢."""
QUESTIONS = 60
TAPS = 60
SMALL = {"WEB_WORKERS": "1", "WEB_THREADS": "16", "WECHAT_SLOW_HANDLERS": "4"}
"""Settings with which 60 questions at once are more than can wait for their answers."""
PASSIVE = {"WECHAT_CUSTOMER_SERVICE": "no"}

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
on_every_deployment = pytest.mark.parametrize(
    ("database", "processes"), [("sqlite", "1"), ("sqlite", "2"), ("postgresql", "2")], indirect=["database"]
)

Start = Callable[..., Program]


@pytest.fixture
def start(make_program: MakeProgram, database: str) -> Start:
    """Starts the program with a bot that has a slow handler; keyword arguments are its environment.

    All its processes run then: on a slow machine, one that starts leaves no time for pushes.
    """

    def start(**environment: str) -> Program:
        program = make_program(BOT, DATABASE_URL=database, **environment)
        program.start()
        assert program.process
        settle(program.process.pid)
        return program

    return start


@pytest.fixture
def account(api: FakeAPI) -> Iterator[dict[str, str]]:
    """The environment of a program that uses the API `api`."""
    with listening(api) as url:
        yield {"WECHAT_APP_SECRET": APP_SECRET, "WECHAT_API_BASE_URL": url}


def slow_questions(count: int, seconds: float, openid: str = "") -> list[Message]:
    """Return questions of as many followers, or of the follower `openid`."""
    return [(openid or f"oSlow{n}", {"Content": f"慢 {seconds} 第 {n} 问"}) for n in range(count)]


def answer(question: str) -> str:
    return f"收到：{question}"


def ask(program: Program, slow: Sequence[Message]) -> list[Result]:
    """Ask slow questions at once and 30 ordinary ones beside them, and return the results of the slow ones.

    All ordinary questions must be answered.
    """
    platform, ordinary = program.platform(), [(f"oQuick{n}", {"Content": f"第 {n} 问"}) for n in range(30)]

    async def asked() -> tuple[list[Result], list[Result]]:
        return await asyncio.gather(flood(platform, slow), flood(platform, ordinary, per_second=5))

    results, quick = asynchronous.run(asked())
    assert [result for result in quick if result.reply != answer(result.text)] == []
    return results


def with_outcome(results: Sequence[Result], outcome: Outcome) -> list[Result]:
    return [result for result in results if result.outcome is outcome]


def check_answers(program: Program, results: Sequence[Result]) -> None:
    """Check that each follower has the answer, or gets it by tapping the link, and that it is stored once."""
    platform = program.platform()
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


@on_every_deployment
def test_slow_questions_are_answered_in_passive_replies(start: Start, processes: str) -> None:
    program = start(WEB_WORKERS=processes, **PASSIVE)
    results = ask(program, slow_questions(QUESTIONS, 6))
    assert len(with_outcome(results, Outcome.ANSWERED)) == QUESTIONS
    check_answers(program, results)


@on_every_deployment
def test_slow_questions_are_answered_by_customer_service(
    start: Start, api: FakeAPI, account: dict[str, str], processes: str
) -> None:
    program = start(WEB_WORKERS=processes, WECHAT_CUSTOMER_SERVICE="yes", **account)
    results = ask(program, slow_questions(QUESTIONS, 6))
    assert with_outcome(results, Outcome.FETCH) == []
    check_customer_service(program, api, results)
    check_answers(program, results)


def check_customer_service(program: Program, api: FakeAPI, results: Sequence[Result]) -> None:
    """Check that each follower who got nothing gets the answer exactly once, and nobody else does."""
    silent = with_outcome(results, Outcome.SILENT)
    assert silent
    wait_until(lambda: len(api.sent) >= len(silent), program.log.read_text)
    sent = Counter((body["touser"], body["text"]["content"]) for body in api.sent)
    assert sent == Counter((result.openid, answer(result.text)) for result in silent)


@on_sqlite
@pytest.mark.parametrize("secret", [pytest.param("f" * 32, id="40001"), pytest.param("wrong", id="40125")])
def test_followers_get_their_answers_while_the_token_is_refused(
    start: Start, api: FakeAPI, account: dict[str, str], secret: str
) -> None:
    program = start(**account | {"WECHAT_APP_SECRET": secret})
    results = ask(program, slow_questions(QUESTIONS, 6))
    check_answers(program, results)
    assert with_outcome(results, Outcome.SILENT) == [], "nobody is promised a message that cannot be sent"
    assert api.sent == []


@on_every_deployment
def test_those_beyond_the_bound_fetch_their_answers_by_a_tap(start: Start, processes: str) -> None:
    program = start(**SMALL | PASSIVE | {"WEB_WORKERS": processes})
    results = ask(program, slow_questions(60, 1))
    assert with_outcome(results, Outcome.FETCH), "the bound was reached"
    assert with_outcome(results, Outcome.SILENT) == []
    check_answers(program, results)


@on_sqlite
def test_those_beyond_the_bound_are_answered_by_customer_service(
    start: Start, api: FakeAPI, account: dict[str, str]
) -> None:
    program = start(WECHAT_CUSTOMER_SERVICE="yes", **SMALL, **account)
    results = ask(program, slow_questions(60, 1))
    assert with_outcome(results, Outcome.FETCH) == []
    check_customer_service(program, api, results)
    check_answers(program, results)


@on_sqlite
def test_a_link_shows_what_customer_service_has_sent_meanwhile(start: Start, account: dict[str, str]) -> None:
    program = start(**SMALL, **account)
    results = ask(program, slow_questions(60, 1))
    assert with_outcome(results, Outcome.FETCH), "nobody knows yet whether the account may"
    check_answers(program, results)


def test_one_follower_with_many_slow_questions_holds_up_nobody(start: Start) -> None:
    program = start(**PASSIVE)
    many = slow_questions(20, 0.5, "oEager")
    results = ask(program, [*many, *slow_questions(10, 1)])
    others = results[len(many) :]
    assert [result.reply for result in others] == [answer(result.text) for result in others]
    check_answers(program, results)
