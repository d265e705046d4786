"""Whatever happens in whatever order: each message is recorded once, and answered once or its follower told.

Two processes share a SQLite database. Their handlers finish, their time passes, they die and they lose the
database when the machine says so, at any statement and on either side of any commit.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, create_engine, event, select, update
from sqlalchemy.exc import SQLAlchemyError

from tests.conftest import APP_SECRET
from tests.waiting import PATIENCE
from wechat_bot.database.compiled import Connections
from wechat_bot.database.engine import create_reader, create_writer, engine_options
from wechat_bot.models import Account, Direction, MessageLog, MessageState
from wechat_bot.routing import Answer, Context, Router, matches
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.accounts.capabilities import Capabilities
from wechat_bot.services.accounts.quotas import Quotas
from wechat_bot.services.inbox import pickup
from wechat_bot.services.inbox.handling import MAX_PUSHES
from wechat_bot.services.inbox.receiving import Inbox, LeftUnanswered
from wechat_bot.services.inbox.recorder import NotRecorded
from wechat_bot.services.inbox.recovery import recover
from wechat_bot.services.messages.records import reply_key
from wechat_bot.services.outbox.sending import REFUSAL_PAUSE, Outbox
from wechat_bot.services.rules.files import media_id
from wechat_bot.services.rules.rule_book import RuleBook
from wechat_bot.settings import Settings, Synchronous
from wechat_bot.simulator.state import APIFault, APIFaultKind
from wechat_bot.testing import FakeAPI
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.api import WeChatClient
from wechat_bot.wechat.api.tokens import PAUSE
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.parsing import parse
from wechat_bot.wechat.replies import TextReply

SORRY = "出错了"
THINKING = "还在想"
LINK = re.compile(r"msgmenuid=(late-[0-9a-f]{32})")
SEND = "/cgi-bin/message/custom/send"
TOKEN = "/cgi-bin/stable_token"
LIMIT_REACHED = 45047
WAITING = {MessageState.RECEIVED, MessageState.LATE, MessageState.QUEUED, MessageState.SENDING}
"""The states that a message must leave."""


class Threads:
    """The threads of slow handlers, which go on when the machine says so."""

    def __init__(self) -> None:
        self._others = set(threading.enumerate())
        self._parked: dict[threading.Thread, Callable[[], bool]] = {}
        self._changed = threading.Condition()

    def park(self, until: Callable[[], bool]) -> None:
        """Let the current thread wait until a condition is met."""
        me = threading.current_thread()
        with self._changed:
            self._parked[me] = until
            self._changed.wait_for(until)
            del self._parked[me]

    def settle(self) -> None:
        """Let the threads go on whose conditions are met, and wait until all others wait."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with self._changed:
                self._changed.notify_all()
                running = [
                    thread
                    for thread in set(threading.enumerate()) - self._others
                    if thread not in self._parked or self._parked[thread]()
                ]
            if not running:
                return
            assert time.monotonic() < deadline, running
            time.sleep(0.001)


class SteppedCursor(sqlite3.Cursor):
    """A cursor that tells its process of every statement."""

    def execute(self, sql: str, *values: Any) -> Self:
        process: Process = self.connection.process  # type: ignore[attr-defined]
        if not sql.startswith("PRAGMA"):
            process.step()
        super().execute(sql, *values)
        if sql == "COMMIT":
            process.step()
        return self

    def executemany(self, sql: str, values: Any) -> Self:
        self.connection.process.step()  # type: ignore[attr-defined]
        return super().executemany(sql, values)


def stepped(factory: type[sqlite3.Connection], of: Process) -> type[sqlite3.Connection]:
    """Return a connection class that tells a process of every statement, and of the end of every commit."""

    class Stepped(factory):  # type: ignore[misc,valid-type]
        process = of

        def cursor(self, factory: Any = SteppedCursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            of.step()
            super().commit()
            of.step()

    return Stepped


class Place:
    """Where a process runs, with engines of its own; its successor takes over what they have compiled."""

    def __init__(self, settings: Settings) -> None:
        self.engine = create_engine(settings.sqlalchemy_url, **engine_options(settings))
        self.writer = create_writer(self.engine, settings)
        self.reader = create_reader(self.engine, settings)
        self.process: Process
        """The one that runs now."""
        for engine in (self.engine, self.writer, self.reader):
            event.listen(engine, "do_connect", self._step_connection)

    def _step_connection(self, dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> None:
        options["factory"] = stepped(options["factory"], self.process)

    def close(self) -> None:
        for engine in (self.engine, self.writer, self.reader):
            engine.dispose()


class Process:
    """An inbox, which can lose the database and can die."""

    def __init__(self, machine: InboxMachine, place: Place) -> None:
        self.is_dead = False
        self.fault: type[BaseException] | None = None
        """What the steps raise when `steps_left` have been made."""
        self.steps_left = 0
        self._machine = machine
        self._place = place
        place.process = self
        account = machine.settings.account
        client = None
        if account.has_api:
            url, transport = "https://api.weixin.qq.com", machine.api.transport
            client = WeChatClient(
                account.credentials, url, transport, clock=machine.api_clock, sleep=lambda seconds: None
            )
        capabilities = Capabilities(place.engine, account)
        archive: Any = None  # no files are sent
        account_id = partial(ensure_account, place.engine, account.app_id)
        quotas = Quotas(place.engine, account_id, client)
        router = self._router()
        self.outbox = Outbox(
            place.engine, client, capabilities, quotas, archive, lambda *job: None, router, sleep=self._sleep
        )
        self.inbox = Inbox(
            account,
            account_id,
            place.writer,
            Connections(place.reader, 2),
            router,
            RuleBook(place.writer, UTC, partial(media_id, place.writer)),
            self.outbox,
            nullcontext,
            lambda: None,
            clock=lambda: machine.now,
            sleep=self._sleep,
        )
        self.inbox.slow_handlers.start_monitor()

    def step(self) -> None:
        """Make a step, unless the process has lost the database or dies at this step.

        :raises InternalError: without the database.
        :raises SystemExit: in a process that is dead.
        """
        if self.fault is None:
            return
        if self.steps_left:
            self.steps_left -= 1
            return
        self.is_dead = self.fault is SystemExit
        raise self.fault("on purpose")

    def break_after(self, steps: int, fault: type[BaseException]) -> None:
        self.steps_left, self.fault = steps, fault

    def kill(self) -> None:
        """Let all threads end at once, whatever they do."""
        self.is_dead = True
        self.break_after(0, SystemExit)
        self._machine.threads.settle()
        self.fault = None
        self.inbox.close()
        self._place.close()

    def _wait(self, until: Callable[[], bool]) -> None:
        self._machine.threads.park(lambda: self.is_dead or until())
        if self.is_dead:
            raise SystemExit

    def _sleep(self, seconds: float) -> None:
        """Let handlers sleep until the time has passed; pushes do not wait."""
        if threading.current_thread() is not threading.main_thread():
            end = self._machine.now + seconds
            self._wait(lambda: self._machine.now >= end)

    def _router(self) -> Router:
        router, machine = Router(), self._machine

        def finish(message: TextMessage) -> None:
            self._wait(lambda: message.content in machine.finished)

        @router.on(TextMessage, matches("ask .*"), slow=True)
        def ask(message: TextMessage, ctx: Context) -> Answer:
            finish(message)
            ctx.session["asked"] = message.content
            return answer(message.content)

        @router.on(TextMessage, matches("pay .*"), slow=True, rerun=False)
        def pay(message: TextMessage, ctx: Context) -> Answer:
            machine.paid[message.content] += 1
            finish(message)
            return answer(message.content)

        @router.on(TextMessage, matches("fail .*"), slow=True)
        def fail(message: TextMessage, ctx: Context) -> Answer:
            finish(message)
            raise ValueError("on purpose")

        @router.on(TextMessage, matches("note .*"))
        def note(message: TextMessage, ctx: Context) -> Answer:
            ctx.session["noted"] = message.content
            return answer(message.content)

        @router.on(TextMessage)
        def echo(message: TextMessage, ctx: Context) -> Answer:
            return answer(message.content)

        return router


def answer(content: str) -> str:
    return f"answer to {content}"


@dataclass(eq=False)
class Question:
    """A message of a follower, and what the platform and the follower know of it."""

    message: TextMessage
    pushes: int = 0
    is_accepted: bool = False
    """Whether a push was answered, and the answer reached the platform."""
    shown: str | None = None
    """What the follower saw then."""
    is_pushed_again: bool = False
    """Whether it was pushed although it was accepted: nobody sees what such a push is answered with."""

    @property
    def is_slow(self) -> bool:
        return self.message.content.startswith(("ask", "pay", "fail"))

    @property
    def is_quick(self) -> bool:
        return self.message.content.startswith(("echo", "note"))

    @property
    def answers(self) -> set[str]:
        """What its answer may be: the apology if the handler fails, or if its processes die."""
        content = self.message.content
        if not self.is_slow:
            return {answer(content)}
        return {SORRY} if content.startswith("fail") else {SORRY, answer(content)}

    @property
    def key(self) -> str:
        return self.message.dedup_key

    @property
    def link(self) -> str:
        return f"late-{self.key}"


FOLLOWERS = st.sampled_from(["oFirst", "oSecond"])
PROCESSES = st.integers(0, 1)
NUMBERS = st.integers(0, 7)


class InboxMachine(RuleBasedStateMachine):
    """Followers, the platform and two processes; `questions` is the model."""

    def __init__(self, settings: Settings, migrated: Path, places: Sequence[Place], engine: Engine) -> None:
        super().__init__()
        self.settings = settings
        self.places = places
        self.engine = engine
        self.now = 1000.0
        self.api_seconds = 0.0
        """How far the clock of the API and of its clients is ahead."""
        self.finished: set[str] = set()
        """The contents of messages whose handlers have finished, or will when they run."""
        self.paid: Counter[str] = Counter()
        self.questions: list[Question] = []
        self._ids = count(1)
        self.threads = Threads()
        path = Path(str(settings.sqlalchemy_url).removeprefix("sqlite:///"))
        for file in path.parent.glob("bot.db*"):
            file.unlink()
        shutil.copyfile(migrated, path)

    @initialize(
        secret=st.sampled_from(["", APP_SECRET]),
        kind=st.sampled_from([AccountKind.UNKNOWN, AccountKind.VERIFIED_SERVICE]),
        threads=st.sampled_from([4, 16]),
    )
    def begin(self, secret: str, kind: AccountKind, threads: int) -> None:
        self._begin(secret, kind, threads)

    def _begin(self, secret: str, kind: AccountKind, threads: int) -> None:
        self.settings = replace(
            self.settings, wechat_app_secret=secret, wechat_account_kind=kind, web_threads=threads
        )
        credentials = replace(self.settings, wechat_app_secret=APP_SECRET).credentials
        self.api = FakeAPI(credentials, self.api_clock)
        self.processes = [Process(self, place) for place in self.places]
        self.threads.settle()

    # What followers and the platform do

    @rule(follower=FOLLOWERS, kind=st.sampled_from(["echo", "note"]), process=PROCESSES, lost=st.booleans())
    def push_quick(self, follower: str, kind: str, process: int, lost: bool) -> None:
        self._push(self._question(follower, kind), process, lost=lost)

    @rule(
        follower=FOLLOWERS,
        kind=st.sampled_from(["ask", "pay", "fail"]),
        process=PROCESSES,
        at_once=st.booleans(),
        lost=st.booleans(),
    )
    def push_slow(self, follower: str, kind: str, process: int, at_once: bool, lost: bool) -> None:
        question = self._question(follower, kind)
        if at_once:
            self.finished.add(question.message.content)
        self._push(question, process, lost=lost)

    @rule(number=NUMBERS, process=PROCESSES, lost=st.booleans())
    def push_again(self, number: int, process: int, lost: bool) -> None:
        """Push a message again, whether or not it was answered: the answer may have been lost."""
        if self.questions:
            question = self.questions[-1 - number % len(self.questions)]
            if question.pushes < MAX_PUSHES:
                question.is_pushed_again |= question.is_accepted
                self._push(question, process, lost=lost)

    @rule(number=NUMBERS, process=PROCESSES)
    def tap(self, number: int, process: int) -> None:
        """Tap the link of a message, which the follower may have."""
        slow = [question for question in self.questions if question.is_slow]
        if slow:
            asked = slow[-1 - number % len(slow)]
            tap = self._question(asked.message.openid, "查看回复", bizmsgmenuid=asked.link)
            self._push(tap, process, lost=False)

    # What processes do

    @rule(number=NUMBERS)
    def finish(self, number: int) -> None:
        """Let a handler finish."""
        if unfinished := [q for q in self.questions if q.message.content not in self.finished and q.is_slow]:
            self.finished.add(unfinished[number % len(unfinished)].message.content)
            self._settle()

    @rule(steps=st.sampled_from([1, 4]))
    def let_time_pass(self, steps: int) -> None:
        """Let as many times two seconds pass."""
        for _ in range(steps):
            self.now += 2
            self._settle()

    @rule()
    def let_half_a_minute_pass(self) -> None:
        """Let the platform give up what is not answered by now."""
        for question in self.questions:
            question.pushes = MAX_PUSHES
        with self.engine.connect() as connection, connection.execution_options(writes=True).begin():
            for row in connection.execute(select(MessageLog.id, MessageLog.received_at)).all():
                earlier = update(MessageLog).values(received_at=row.received_at - timedelta(seconds=30))
                connection.execute(earlier.where(MessageLog.id == row.id))
        self.let_time_pass(1)

    @rule(process=PROCESSES)
    def kill(self, process: int) -> None:
        self.processes[process].is_dead = True
        self._settle()

    @rule(process=PROCESSES, steps=st.integers(0, 12))
    def die_soon(self, process: int, steps: int) -> None:
        self.processes[process].break_after(steps, SystemExit)

    @rule(process=PROCESSES, steps=st.integers(0, 12))
    def lose_the_database(self, process: int, steps: int) -> None:
        self.processes[process].break_after(steps, sqlite3.InternalError)

    @rule()
    def have_the_database_back(self) -> None:
        for process in self.processes:
            process.fault = None
        self._settle()

    @rule(process=PROCESSES)
    def sweep(self, process: int) -> None:
        """Send what is queued, as the worker does every ten seconds."""
        with suppress(SystemExit, SQLAlchemyError):
            recover(self.places[process].engine, self.processes[process].outbox, datetime.now(UTC))
        self._settle()

    @rule(errcode=st.sampled_from([LIMIT_REACHED, 45015, -1]))
    def refuse_customer_service(self, errcode: int) -> None:
        self.api.errcodes[SEND] = [errcode]

    # What must hold

    @invariant()
    def each_message_is_recorded_once(self) -> None:
        recorded = Counter(row.platform_id for row in self._rows(direction=Direction.IN))
        assert set(recorded.values()) <= {1}
        assert {q.message.msg_id for q in self.questions if q.is_accepted} <= set(recorded)

    @invariant()
    def what_must_not_run_twice_runs_once(self) -> None:
        assert set(self.paid.values()) <= {1}

    def teardown(self) -> None:
        if not hasattr(self, "processes"):
            return
        try:
            self._end()
            self._check()
        finally:
            for process in self.processes:
                process.kill()
            self.engine.dispose()

    def _end(self) -> None:
        """Let everything end that has begun."""
        self.have_the_database_back()
        self.finished |= {question.message.content for question in self.questions}
        later = datetime.now(UTC) + timedelta(minutes=10)
        for _ in range(len(self.questions) + 10):  # of a follower, one message is handled at a time
            if not self._waiting():
                return
            self.let_time_pass(1)
            recover(self.places[0].engine, self.processes[0].outbox, later)
        assert self._waiting() == []

    def _check(self) -> None:
        """Check what has become of the messages for slow handlers."""
        asked = [question for question in self.questions if question.is_slow]
        for follower in ("oFirst", "oSecond"):
            self._fetch_held(follower)
        rows = {row.dedup_key: row for row in self._rows()}
        for question in asked:
            if question.key in rows:
                assert rows[question.key].state in {MessageState.ANSWERED, MessageState.FAILED}
                self._check_answer(question, rows[reply_key(question.key)])

    def _fetch_held(self, follower: str) -> None:
        """Let a follower write until nothing is held any more."""
        while True:
            question = self._question(follower, "echo")
            self._push(question, 0, lost=False)
            assert question.is_accepted
            if question.shown in question.answers:
                return

    def _check_answer(self, question: Question, reply: Any) -> None:
        """Check that the follower got the answer once, or was told, and can fetch it by the link."""
        assert reply.text in question.answers
        assert reply.state in {MessageState.SENT, MessageState.UNKNOWN}
        tap = self._question(question.message.openid, "查看回复", bizmsgmenuid=question.link)
        self._push(tap, 1, lost=False)
        assert tap.shown == reply.text
        if reply.text == SORRY:  # it does not say which message it answers
            return
        shown = [q for q in self.questions if q.is_accepted and q.shown == reply.text and q is not tap]
        held = [q for q in shown if q.is_quick]
        by_api = [body["text"]["content"] for body in self.api.sent].count(reply.text)
        assert by_api + len(held) <= 1
        assert by_api == 0 or question not in shown
        if question.is_accepted and question.shown is None and reply.state == MessageState.SENT:
            pushed_with_it = {row.platform_id for row in self._rows(reply_id=reply.id)}
            unseen = (q for q in self.questions if not q.is_accepted or q.is_pushed_again)
            lost = [q for q in unseen if q.message.msg_id in pushed_with_it]
            assert by_api or shown or lost

    # Tools

    def api_clock(self) -> float:
        return time.time() + self.api_seconds

    def _question(self, follower: str, content: str, **more: str) -> Question:
        number = next(self._ids)
        fields = {
            "ToUserName": "gh_1a2b3c4d5e6f",
            "FromUserName": follower,
            "CreateTime": str(int(time.time())),
            "MsgType": "text",
            "MsgId": str(number),
            "Content": content if more else f"{content} {number}",
            **more,
        }
        message = parse(fields)
        assert isinstance(message, TextMessage)
        question = Question(message)
        self.questions.append(question)
        return question

    def _push(self, question: Question, number: int, *, lost: bool) -> None:
        """Push a message once. The answer does not reach the platform if it is `lost`."""
        question.pushes += 1
        try:
            inbox = self.processes[number].inbox
            with inbox.turn() as turn:
                reply = inbox.receive(question.message, turn).reply
        except (NotRecorded, LeftUnanswered, SystemExit):
            return
        finally:
            self._settle()
        assert reply is None or isinstance(reply, TextReply)
        shown = reply.content if reply else None
        self._check_shown(question, shown)
        if not lost and not question.is_accepted:
            question.is_accepted, question.shown = True, shown

    def _check_shown(self, question: Question, shown: str | None) -> None:
        if link := LINK.search(shown or ""):
            assert link[1] == (question.message.menu_id or question.link)
        elif question.message.menu_id:
            asked = next(q for q in self.questions if q.link == question.message.menu_id)
            assert shown in asked.answers | {pickup.NOT_FOUND, pickup.NO_ANSWER}
        elif question.is_slow:
            assert shown in question.answers | {None}
        elif shown not in question.answers:
            earlier = [q for q in self.questions if q.message.openid == question.message.openid and q.is_slow]
            assert any(shown in q.answers for q in earlier)
            assert question.message.content.startswith("echo"), "no other handler makes room for it"

    def _settle(self) -> None:
        """Let all threads go on as far as they can, and replace processes that are dead."""
        self.threads.settle()
        for number, process in enumerate(self.processes):
            if process.is_dead:
                process.kill()
                self.processes[number] = Process(self, self.places[number])
                self.threads.settle()

    def _waiting(self) -> list[Any]:
        return [row for row in self._rows() if row.state in WAITING]

    def _rows(self, **where: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(select(MessageLog).filter_by(**where).order_by(MessageLog.id)))


class TokenMachine(InboxMachine):
    """An account that may send messages, whose token is refused, comes back and expires."""

    @initialize(
        secret=st.just(APP_SECRET),
        kind=st.just(AccountKind.VERIFIED_SERVICE),
        threads=st.sampled_from([4, 16]),
    )
    def begin(self, secret: str, kind: AccountKind, threads: int) -> None:
        self._begin(secret, kind, threads)

    @rule(path=st.sampled_from([TOKEN, SEND]), errcode=st.sampled_from([40164, 40125, 50002, 48004, 99999]))
    def refuse_the_token(self, path: str, errcode: int) -> None:
        self.api.expire_tokens()
        self.api.fail(APIFault(APIFaultKind.ERRCODE, errcode, times=None), path)

    @rule()
    def accept_the_token(self) -> None:
        """Take the token again, so long after that it is tried again."""
        with self.api.store.opened() as state:
            state.faults.clear()
        self.api_seconds += PAUSE + 1
        with self.engine.connect() as connection, connection.execution_options(writes=True).begin():
            long_ago = update(Account).values(refused_at=datetime.now(UTC) - REFUSAL_PAUSE)
            connection.execute(long_ago.where(Account.refused_at.is_not(None)))

    @rule(follower=FOLLOWERS, process=PROCESSES)
    def answer_late(self, follower: str, process: int) -> None:
        """Let a handler finish when no push waits for it any more."""
        question = self._question(follower, "ask")
        self._push(question, process, lost=False)
        self.finished.add(question.message.content)
        self._settle()

    @rule()
    def let_the_token_expire(self) -> None:
        self.api.expire_tokens()

    def _end(self) -> None:
        self.accept_the_token()
        super()._end()


def run(machine: type[InboxMachine], settings: Settings, migrated: Path, number: int, steps: int) -> None:
    """Run so many examples of a machine."""
    small = replace(
        settings,
        sqlite_synchronous=Synchronous.NORMAL,
        wechat_slow_handlers=2,
        wechat_answer_seconds=0.03,
        wechat_apology=SORRY,
        wechat_thinking=THINKING,
    )
    places = [Place(small), Place(small)]
    engine = create_engine(small.sqlalchemy_url, **engine_options(small))

    class Machine(machine):  # type: ignore[misc,valid-type]
        def __init__(self) -> None:
            super().__init__(small, migrated, places, engine)

    run_state_machine_as_test(
        Machine,
        settings=examples(
            max_examples=number,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


IGNORED = "ignore:(?s)Exception in thread slow.*SystemExit:pytest.PytestUnhandledThreadExceptionWarning"
"""Threads of processes that die."""


@pytest.mark.filterwarnings(IGNORED)
def test_each_message_is_recorded_once_and_answered_or_its_follower_told(
    settings: Settings, migrated: Path
) -> None:
    run(InboxMachine, settings, migrated, number=30, steps=25)


@pytest.mark.filterwarnings(IGNORED)
def test_no_answer_is_lost_or_doubled_while_the_token_is_refused_comes_back_and_expires(
    settings: Settings, migrated: Path
) -> None:
    run(TokenMachine, settings, migrated, number=200, steps=10)
