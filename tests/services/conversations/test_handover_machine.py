"""Whatever happens in whatever order: the bot does not answer after a person, no answer of an operator is
lost, and no conversation is nobody's and unseen.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import Engine, func, select, update

from tests.conftest import APP_SECRET, MakeApp
from tests.databases import Databases
from tests.operators import add_operator
from tests.waiting import PATIENCE, wait_until
from wechat_bot import handlers
from wechat_bot.extensions import db
from wechat_bot.models import (
    UNFINISHED,
    Conversation,
    ConversationStatus,
    Direction,
    Follower,
    Handover,
    MessageLog,
    MessageState,
    Role,
)
from wechat_bot.routing import Answer, Context, Owner, Router, matches
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import actions, handover
from wechat_bot.services.inbox import queue
from wechat_bot.services.outbox.answers import CannotSend
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.replies import TextReply
from wechat_bot.wiring import services

NUMBERS = count(1)


@dataclass
class Office:
    """An account with two operators, and a bot whose handlers think until they may answer."""

    make_app: MakeApp
    database_url: str
    api: FakeAPI
    kind: AccountKind
    thoughts: dict[str, threading.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.router = Router()

        @self.router.on(TextMessage, matches(r"想(?P<number>\d+)"), slow=True)
        def think(message: TextMessage, ctx: Context) -> Answer:
            number = ctx.match["number"]
            self.thoughts.setdefault(number, threading.Event()).wait(PATIENCE)
            return f"慢{number}"

        @self.router.on(TextMessage, matches(r"问(?P<number>\d+)"))
        def reply(message: TextMessage, ctx: Context) -> Answer:
            return f"快{ctx.match['number']}"

        self.router.include(handlers.router)
        self.app = self.start()
        with self.app.app_context():
            self.engine: Engine = db.engine
        self.operators = [
            Actor(add_operator(self.engine, name, Role.OPERATOR), name, "") for name in ("小李", "小王")
        ]

    def start(self) -> Flask:
        """Start a process."""
        app = self.make_app(
            self.router,
            self.api,
            database_url=self.database_url,
            wechat_answer_seconds=0.02,
            wechat_app_secret=APP_SECRET,
            wechat_account_kind=self.kind,
        )
        bot = services(app)
        bot.inbox._sleep = bot.outbox._sleep = lambda seconds: None
        return app


class HandoverMachine(RuleBasedStateMachine):
    """One follower of the account."""

    office: Office

    @initialize()
    def greet(self) -> None:
        self.openid = f"oFollower{next(NUMBERS)}"
        self.shown: list[str] = []
        self.thinking: list[str] = []
        self.answers: dict[str, int] = {}
        self.needs_operator = False
        self._push("帮助")
        found = select(Follower.id).where(Follower.openid == self.openid)
        self.follower_id: int = self._value(found)
        self.said = self._said_by_bot()

    @property
    def bot(self) -> Any:
        return services(self.office.app)

    def _value(self, query: Any) -> Any:
        with self.office.engine.connect() as connection:
            return connection.scalar(query)

    @property
    def owner(self) -> Owner:
        found = select(Handover.owner).where(Handover.follower_id == self.follower_id)
        return Owner(self._value(found) or Owner.BOT)

    def _said_by_bot(self, *states: MessageState) -> set[int]:
        """Return the ids of what the bot has said, or of its messages in other states."""
        found = select(MessageLog.id).where(
            MessageLog.follower_id == self.follower_id,
            MessageLog.direction == Direction.OUT,
            MessageLog.state.in_(states or [MessageState.SENT]),
            MessageLog.operator_id.is_(None),
        )
        with self.office.engine.connect() as connection:
            return set(connection.scalars(found))

    def _push(self, text: str) -> None:
        reply = FakePlatform.of(self.office.app).follower(self.openid).text(text)
        if reply is not None:
            self.shown.append(str(reply))

    def _check(self, owner: Owner) -> None:
        """Nothing was said by the bot while `owner` had the conversation, unless it was the bot."""
        said, coming = self._said_by_bot(), self._said_by_bot(MessageState.QUEUED, MessageState.READY)
        assert self.owner is Owner.BOT or not coming, (
            "the bot will speak although a person has the conversation"
        )
        assert owner is Owner.BOT or said == self.said, "the bot spoke while a person had the conversation"
        self.said = said
        self.bot.projector.catch_up()
        found = select(Conversation.status).where(Conversation.follower_id == self.follower_id)
        status = self._value(found)
        assert status == ConversationStatus.OPEN or not (self.needs_operator or self.owner is Owner.WAITING)

    # Few rules, of which each does one of several things: hypothesis leaves out whole rules.

    @rule(text=st.sampled_from(["问", "想", "嗯", "人工"]))
    def write(self, text: str) -> None:
        owner, said = self.owner, len(self.shown)
        if text == "想":
            self._ask(owner)
        else:
            self._push(f"{text}{next(NUMBERS)}" if text == "问" else text)
        told = self.shown[said:]
        self.needs_operator |= not any(
            each.startswith(("快", "慢", "还在")) or each in self.answers for each in told
        )
        self._check(owner)

    @rule(
        what=st.sampled_from(["answer", "answer", "take", "give back", "resolve"]),
        operator=st.sampled_from([0, 1]),
    )
    def work(self, what: str, operator: int) -> None:
        """Let an operator do something."""
        owner, actor = self.owner, self.office.operators[operator]
        this = (self.office.engine, actor, self.bot.account_id)
        match what:
            case "answer":
                self._answer(actor)
            case "take":
                handover.take(*this, self.follower_id)
            case "give back":
                handover.give_back(*this, self.follower_id)
            case "resolve":
                actions.set_status(*this, [self.follower_id], ConversationStatus.DONE)
                self.needs_operator = False
        if what in {"give back", "resolve"}:
            assert self.owner is Owner.BOT
        elif what == "take":
            assert self.owner is Owner.OPERATOR
        self._check(owner)

    def _answer(self, actor: Actor) -> None:
        text = f"人{next(NUMBERS)}"
        try:
            self.answers[text] = self.bot.answers.send(actor, self.follower_id, TextReply(text))
        except CannotSend:  # all that the platform allows has been said
            return
        assert self.owner is Owner.OPERATOR

    @rule(what=st.sampled_from(["think", "think", "deliver", "die", "wait"]))
    def go_on(self, what: str) -> None:
        """Let handlers, workers, processes and time do something."""
        owner = self.owner
        match what:
            case "think":
                if not self.thinking:
                    self._ask(owner)
                for number in self.thinking[:1]:
                    self._finish(number)
            case "deliver":
                self._deliver()
            case "die":
                self._die()
            case "wait":
                now = datetime.now(UTC) + timedelta(minutes=31)
                handover.end_expired(self.office.engine, self.bot.account_id, now)
        self._check(owner)

    def _ask(self, owner: Owner) -> None:
        """Let the follower ask what takes time."""
        number = str(next(NUMBERS))
        self._push(f"想{number}")
        if owner is Owner.BOT:
            self.thinking.append(number)

    def _finish(self, number: str) -> None:
        self.thinking.remove(number)
        self.office.thoughts.setdefault(number, threading.Event()).set()
        asked = select(MessageLog.state).where(MessageLog.text == f"想{number}")
        wait_until(lambda: self._value(asked) not in UNFINISHED)

    def _die(self) -> None:
        """Let another process take over what this one is thinking about."""
        dead, self.office.app = self.bot, self.office.start()
        dead.inbox.slow_handlers._closing.set()
        queue.requeue(self.office.engine, {dead.inbox.slow_handlers.process}, set())
        self.bot.inbox.slow_handlers._start_queued()

    def _deliver(self) -> None:
        """Send what can be sent."""
        queued = (MessageLog.follower_id == self.follower_id, MessageLog.state == MessageState.QUEUED)
        with self.office.engine.begin() as connection:
            earlier = datetime.now(UTC) - timedelta(minutes=1)
            connection.execute(update(MessageLog).where(*queued).values(received_at=earlier))
        self.bot.outbox.send(self.follower_id)

    def _is_delivered(self) -> bool:
        """Send what can be sent, unless a thread still sends; return whether nothing is left."""
        self._deliver()
        unsent = MessageLog.state.in_([MessageState.QUEUED, MessageState.SENDING])
        return not self._value(select(func.count()).where(MessageLog.follower_id == self.follower_id, unsent))

    # The end

    def teardown(self) -> None:
        if not hasattr(self, "follower_id"):
            return
        for number in self.thinking[:]:
            self._finish(number)
        wait_until(self._is_delivered)
        ready = (MessageLog.follower_id == self.follower_id, MessageLog.state == MessageState.READY)
        while self._value(select(func.count()).where(*ready)):
            waiting = self._value(select(func.count()).where(*ready))
            self._push("嗯")
            assert self._value(select(func.count()).where(*ready)) < waiting
        sent = [each["text"]["content"] for each in self.office.api.sent if each["touser"] == self.openid]
        seen = Counter(text for text in (*self.shown, *sent) if text in self.answers)
        assert seen == Counter(dict.fromkeys(self.answers, 1)), "each answer of an operator arrives once"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path, databases: Databases) -> Iterator[str]:
    with databases.borrow(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def offices(make_app: MakeApp, database: str, api: FakeAPI) -> Iterator[Any]:
    made: list[Office] = []

    def open_office(kind: AccountKind) -> Office:
        made.append(Office(make_app, database, api, kind))
        return made[-1]

    yield open_office
    for office in made:
        for thought in office.thoughts.values():
            thought.set()


@pytest.mark.parametrize("kind", [AccountKind.UNVERIFIED_SUBSCRIPTION, AccountKind.VERIFIED_SERVICE])
def test_the_bot_never_speaks_over_a_person_and_nothing_is_lost(offices: Any, kind: AccountKind) -> None:
    class Machine(HandoverMachine):
        office = offices(kind)

    run_state_machine_as_test(
        Machine,
        settings=examples(
            max_examples=examples().max_examples // 3,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
