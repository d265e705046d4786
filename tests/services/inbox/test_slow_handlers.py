"""Slow handlers: one run and one answer, whichever road it takes. In real time, all cases at once."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.conftest import APP_SECRET, MakeApp
from tests.waiting import PATIENCE, wait_until
from wechat_bot.extensions import db
from wechat_bot.models import Direction, MessageLog, MessageState
from wechat_bot.routing import Answer, Context, Router, matches
from wechat_bot.services.accounts.capabilities import Feature, PermissionReason
from wechat_bot.services.audit import Actor
from wechat_bot.services.inbox.recovery import recover
from wechat_bot.settings import Settings, Switch
from wechat_bot.simulator.state import APIFault, APIFaultKind
from wechat_bot.testing import Delivery, FakeAPI, FakePlatform, Send, client_sender
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.replies import Reply
from wechat_bot.wiring import services

SEND = "/cgi-bin/message/custom/send"


@dataclass
class SlowBot:
    """A router whose slow handlers take as long as the message or the test says; their runs are counted."""

    router: Router = field(default_factory=Router)
    runs: Counter[str] = field(default_factory=Counter)
    told: threading.Event = field(default_factory=threading.Event)
    """What the handler of "wait" waits for."""
    pushed: list[threading.Event] = field(default_factory=lambda: [threading.Event() for _ in range(4)])
    """What the handlers of "push #0" to "push #3" wait for."""

    def __post_init__(self) -> None:
        lock = threading.Lock()

        @self.router.on(TextMessage, matches(r"(?P<name>\w+) (?P<seconds>[\d.]+)"), slow=True)
        def think(message: TextMessage, ctx: Context) -> Answer:
            with lock:
                self.runs[ctx.match["name"]] += 1
            time.sleep(float(ctx.match["seconds"]))
            ctx.session["thought"] = ctx.match["name"]
            return f"{ctx.match['name']} done"

        @self.router.on(TextMessage, matches("wait"), slow=True)
        def wait(message: TextMessage, ctx: Context) -> Answer:
            self.runs["wait"] += 1
            self.told.wait(PATIENCE)
            ctx.session["thought"] = "waited"
            return "waited"

        @self.router.on(TextMessage, matches(r"push #(?P<number>\d)"), slow=True)
        def wait_for_push(message: TextMessage, ctx: Context) -> Answer:
            with lock:
                self.runs[message.content] += 1
            self.pushed[int(ctx.match["number"])].wait(PATIENCE)
            ctx.session["thought"] = message.content
            return f"{message.content} done"

        @self.router.on(TextMessage, matches("fail"), slow=True)
        def fail(message: TextMessage, ctx: Context) -> Answer:
            raise ValueError("on purpose")

        @self.router.on(TextMessage, matches("forget"))
        def forget(message: TextMessage, ctx: Context) -> Answer:
            ctx.session["thought"] = "nothing"
            return "forgotten"

        @self.router.on(TextMessage, matches("thought"))
        def tell(message: TextMessage, ctx: Context) -> Answer:
            return str(ctx.session.get("thought"))

        @self.router.on(TextMessage)
        def echo(message: TextMessage, ctx: Context) -> Answer:
            return f"echo {message.content}"


@pytest.fixture
def bot() -> SlowBot:
    return SlowBot()


def in_turns(*apps: Flask) -> Send:
    """Every push reaches another process."""
    senders = itertools.cycle([client_sender(app) for app in apps])

    def send(method: str, query: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        return next(senders)(method, query, body, timeout)

    return send


def states(app: Flask, direction: Direction) -> list[MessageState]:
    with app.app_context():
        found = select(MessageLog.state).where(MessageLog.direction == direction).order_by(MessageLog.id)
        return [MessageState(state) for state in db.session.scalars(found)]


def test_without_the_api_the_answer_comes_on_the_push_that_it_is_ready_for(
    make_app: MakeApp, bot: SlowBot, settings: Settings
) -> None:
    apps = [make_app(bot.router), make_app(bot.router)]
    forward = in_turns(*apps)

    def ask(number: int) -> tuple[int, str | Reply | None]:
        """Ask a question whose handler ends during the push with this number, counted from 0."""
        pushes = itertools.count()

        def send(*push: Any) -> tuple[int, bytes]:
            if next(pushes) == number:
                bot.pushed[number].set()
            return forward(*push)

        follower = FakePlatform(settings.credentials, send).follower(f"oFollower{number}")
        delivery = follower.push(follower.message("text", Content=f"push #{number}"))
        return len(delivery.attempts), delivery.shown

    with ThreadPoolExecutor() as pool:
        *answers, (pushes, told) = pool.map(ask, range(4))
    assert answers == [(1, "push #0 done"), (2, "push #1 done"), (3, "push #2 done")]
    assert pushes == 3
    assert str(told).startswith(settings.wechat_thinking)
    bot.pushed[3].set()
    wait_until(lambda: MessageState.READY in states(apps[0], Direction.OUT))
    late = FakePlatform(settings.credentials, forward).follower("oFollower3")
    assert late.text("anything") == "push #3 done"
    assert late.text("thought") == "push #3"
    assert late.text("anything") == "echo anything", "the answer comes once"
    assert bot.runs == {f"push #{number}": 1 for number in range(4)}


VERIFIED: dict[str, Any] = {
    "wechat_app_secret": APP_SECRET,
    "wechat_account_kind": AccountKind.VERIFIED_SERVICE,
}
"""Settings of an account that may send customer-service messages."""


def test_with_the_api_the_platform_gets_success_and_the_follower_a_customer_service_message(
    make_app: MakeApp, bot: SlowBot, api: FakeAPI
) -> None:
    app = make_app(bot.router, api, **VERIFIED)
    platform = FakePlatform.of(app)

    def ask(number: int) -> Delivery:
        follower = platform.follower(f"oFollower{number}")
        return follower.push(follower.message("text", Content=f"push #{number}"))

    bot.pushed[0].set()
    with ThreadPoolExecutor() as pool:
        deliveries = list(pool.map(ask, range(4)))
    assert [delivery.shown for delivery in deliveries] == ["push #0 done", None, None, None]
    assert [len(delivery.attempts) for delivery in deliveries] == [1, 1, 1, 1]
    for number in range(1, 4):
        bot.pushed[number].set()
        wait_until(lambda number=number: len(api.sent) == number)  # type: ignore[misc]
    assert api.sent == [
        {"touser": f"oFollower{n}", "msgtype": "text", "text": {"content": f"push #{n} done"}}
        for n in range(1, 4)
    ]
    wait_until(lambda: set(states(app, Direction.OUT)) == {MessageState.SENT})
    assert set(states(app, Direction.IN)) == {MessageState.ANSWERED}
    assert set(bot.runs.values()) == {1}


def test_a_retry_at_another_process_waits_for_the_first(make_app: MakeApp, bot: SlowBot) -> None:
    first, second = FakePlatform.of(make_app(bot.router)), FakePlatform.of(make_app(bot.router))
    fields = first.message("text", Content="t 1")
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda platform: platform.push(fields).shown, [first, second, first, second]))
    assert answers == ["t done"] * 4
    assert bot.runs == {"t": 1}


def test_a_slow_handler_that_raises_shows_its_error_in_development(make_app: MakeApp, bot: SlowBot) -> None:
    app = make_app(bot.router)
    assert "ValueError: on purpose" in str(FakePlatform.of(app).text("fail"))
    assert states(app, Direction.IN) == [MessageState.FAILED]


def test_a_slow_handler_runs_again_when_the_session_changed_meanwhile(
    make_app: MakeApp, bot: SlowBot
) -> None:
    platform = FakePlatform.of(make_app(bot.router))
    with ThreadPoolExecutor() as pool:
        long = pool.submit(platform.text, "wait")
        wait_until(lambda: bot.runs["wait"] == 1)
        assert platform.text("forget") == "forgotten"
        bot.told.set()
        assert long.result() == "waited"
    assert platform.text("thought") == "waited"
    assert bot.runs == {"wait": 2}


def is_learned(app: Flask) -> bool:
    """Whether the program has learned that the account may not send, or may."""
    permission = services(app).capabilities.all(1)[Feature.CUSTOMER_SERVICE]
    return permission.reason is PermissionReason.LEARNED


@pytest.mark.parametrize(
    ("errcodes", "state", "remembered"),
    [
        pytest.param([48001], MessageState.READY, True, id="the account may not"),
        pytest.param([45015], MessageState.READY, False, id="the window is closed"),
        pytest.param([45047], MessageState.READY, False, id="the quota is used up"),
        pytest.param([-1], MessageState.SENT, False, id="busy once"),
        pytest.param([40001], MessageState.SENT, False, id="the token was replaced"),
        pytest.param([45002], MessageState.FAILED, False, id="refused for what it says"),
        pytest.param([40013], MessageState.READY, False, id="the AppSecret is refused"),
    ],
)
def test_what_the_api_says_decides_what_becomes_of_a_late_answer(
    make_app: MakeApp, bot: SlowBot, api: FakeAPI, errcodes: list[int], state: MessageState, remembered: bool
) -> None:
    app = make_app(bot.router, api, **VERIFIED, wechat_answer_seconds=0.2)
    platform = FakePlatform.of(app)
    api.errcodes[SEND] = errcodes
    assert platform.text("wait") is None
    bot.told.set()
    wait_until(lambda: states(app, Direction.OUT) == [state])
    wait_until(lambda: is_learned(app) is remembered)
    fetched = "waited" if state is MessageState.READY else "echo more"
    assert platform.text("more") == fetched


def test_an_account_that_was_refused_once_is_not_tried_again(
    make_app: MakeApp, bot: SlowBot, api: FakeAPI
) -> None:
    app = make_app(bot.router, api, **VERIFIED, wechat_answer_seconds=0.2)
    platform = FakePlatform.of(app)
    api.errcodes[SEND] = [48001]
    assert platform.text("wait") is None
    bot.told.set()
    wait_until(lambda: states(app, Direction.OUT) == [MessageState.READY] and is_learned(app))
    wait_until(lambda: not services(app).inbox.slow_handlers.handles_message_of(platform.openid))
    bot.told.clear()
    attempt = platform.push_once(platform.message("text", Content="wait"))
    bot.told.set()
    assert attempt.status is None, "the platform is left to push again"
    assert api.calls.count(SEND) == 1


def test_an_answer_that_an_operator_sends_again_meanwhile_is_shown_by_no_push(
    make_app: MakeApp, bot: SlowBot, api: FakeAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(bot.router, api, **VERIFIED, wechat_answer_seconds=0.2)
    platform = FakePlatform.of(app)
    question = platform.message("text", Content="wait")
    api.errcodes[SEND] = [45047]
    assert platform.push(question).shown is None
    bot.told.set()
    wait_until(lambda: states(app, Direction.OUT) == [MessageState.READY])
    reader = services(app).inbox._reader
    read = reader.reply

    def read_and_send_again(key: str) -> object:
        monkeypatch.setattr(reader, "reply", read)
        stored = read(key)
        assert stored
        services(app).answers.retry(Actor(None, "li", ""), services(app).account_id, stored.id)
        return stored

    monkeypatch.setattr(reader, "reply", read_and_send_again)
    assert platform.push(question).shown is None
    assert states(app, Direction.OUT) == [MessageState.QUEUED]


def test_while_the_token_is_refused_all_processes_give_the_answer_to_a_later_push(
    make_app: MakeApp, bot: SlowBot, api: FakeAPI
) -> None:
    """As for every new owner before the white list is filled."""
    apps = [make_app(bot.router, api, **VERIFIED, wechat_answer_seconds=0.2) for _ in range(2)]
    first, second = (FakePlatform.of(app) for app in apps)
    api.fail(APIFault(APIFaultKind.ERRCODE, 40164, times=None), "/cgi-bin/stable_token")
    assert first.text("wait") is None, "nobody knows yet"
    bot.told.set()
    wait_until(lambda: states(apps[0], Direction.OUT) == [MessageState.READY])
    assert second.text("more") == "waited"
    bot.told.clear()
    other = second.follower("oOther")
    asked = other.message("text", Content="wait")
    assert other.push_once(asked).status is None, "the platform is left to push again"
    bot.told.set()
    wait_until(lambda: states(apps[0], Direction.IN)[-1] == MessageState.ANSWERED)
    assert other.push(asked).shown == "waited"
    assert api.sent == []


def test_an_owner_can_do_without_customer_service_messages(
    make_app: MakeApp, bot: SlowBot, api: FakeAPI
) -> None:
    app = make_app(
        bot.router,
        api,
        wechat_app_secret=APP_SECRET,
        wechat_customer_service=Switch.NO,
        wechat_answer_seconds=0.2,
    )
    attempt = FakePlatform.of(app).push_once(FakePlatform.of(app).message("text", Content="wait"))
    bot.told.set()
    assert attempt.status is None
    assert api.calls == []


def test_the_rest_of_a_long_text_is_sent_when_the_account_may(
    make_app: MakeApp, bot: SlowBot, api: FakeAPI
) -> None:
    app = make_app(bot.router, api, **VERIFIED)
    text = "好" * 1000
    first = FakePlatform.of(app).text(text)
    assert services(app).jobs.run_all() == 1
    assert f"echo {text}" == str(first) + api.sent[0]["text"]["content"]


def test_a_text_of_several_messages_is_sent_in_several(make_app: MakeApp, bot: SlowBot, api: FakeAPI) -> None:
    app = make_app(bot.router, api, **VERIFIED)
    text = "好" * 2000
    first = FakePlatform.of(app).text(text)
    services(app).jobs.run_all()
    rest = [sent["text"]["content"] for sent in api.sent]
    assert len(rest) == 2
    assert f"echo {text}" == str(first) + "".join(rest)


@pytest.mark.parametrize(
    ("left", "found", "minutes"),
    [
        (MessageState.RECEIVED, MessageState.FAILED, 60 * 49),
        (MessageState.LATE, MessageState.FAILED, 60 * 49),
        (MessageState.SENDING, MessageState.UNKNOWN, 6),
    ],
)
def test_what_a_crash_left_behind_is_found(
    make_app: MakeApp, bot: SlowBot, left: MessageState, found: MessageState, minutes: int
) -> None:
    app = make_app(bot.router)
    FakePlatform.of(app).text("x")
    with app.app_context():
        row = MessageLog.direction == (Direction.OUT if left is MessageState.SENDING else Direction.IN)
        db.session.execute(update(MessageLog).where(row).values(state=left))
        db.session.commit()
        now, outbox = datetime.now(UTC), services(app).outbox
        assert recover(db.engine, outbox, now) == 0, "somebody may be working on it"
        assert recover(db.engine, outbox, now + timedelta(minutes=minutes)) == 1
        assert db.session.scalar(select(MessageLog.state).where(row)) == found
