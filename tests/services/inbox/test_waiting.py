"""Many slow messages at once: who waits, who is told to fetch the answer, and that every answer is there."""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, delete, select, update

from tests.conftest import APP_SECRET, MakeApp
from tests.waiting import PATIENCE, wait_until
from wechat_bot.models import Direction, HandlerProcess, MessageLog, MessageState
from wechat_bot.routing import Answer, Context, Router, matches
from wechat_bot.services.inbox import local_processes, pickup, queue
from wechat_bot.services.inbox.queue import HEARTBEAT_TIMEOUT, Liveness
from wechat_bot.services.inbox.waiting import WaitingPushes
from wechat_bot.settings import Environment, Settings
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.replies import MAX_TEXT_BYTES, Reply, TextReply
from wechat_bot.wiring import services

LINK = re.compile(r'href="weixin://bizmsgmenu\?msgmenucontent=[^&"]+&msgmenuid=(late-[0-9a-f]{32}(?:-\d+)?)"')

Shown = str | Reply | None


@dataclass
class Bot:
    """A bot whose slow handler waits until the test says so."""

    router: Router = field(default_factory=Router)
    told: threading.Event = field(default_factory=threading.Event)
    runs: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    fails: bool = False

    def __post_init__(self) -> None:
        lock, running = threading.Lock(), set[str]()

        @self.router.on(TextMessage, matches("ask .*"), slow=True)
        def ask(message: TextMessage, ctx: Context) -> Answer:
            with lock:
                running.add(message.msg_id)
                self.runs[message.content] += 1
                self.most_at_once = max(self.most_at_once, len(running))
            self.told.wait(PATIENCE)
            with lock:
                running.remove(message.msg_id)
            if self.fails:
                raise ValueError("on purpose")
            return f"answer to {message.content}"

        @self.router.on(TextMessage, matches("pay"), slow=True, rerun=False)
        def pay(message: TextMessage, ctx: Context) -> Answer:
            self.runs["pay"] += 1
            return "paid"

        @self.router.on(TextMessage, matches("long"))
        def long(message: TextMessage, ctx: Context) -> Answer:
            return "".join(f"第{n}句。" for n in range(400))

        @self.router.on(TextMessage)
        def echo(message: TextMessage, ctx: Context) -> Answer:
            return f"echo {message.content}"


@pytest.fixture
def bot() -> Bot:
    return Bot()


def tap(platform: FakePlatform, text: Shown) -> Shown:
    """Tap the link in `text`."""
    found = LINK.search(str(text))
    assert found, f"there is no link in {text!r}"
    return platform.text("查看回复", bizmsgmenuid=found[1])


def rows(engine: Engine, **where: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(MessageLog).filter_by(**where).order_by(MessageLog.id)).all())


@pytest.fixture
def app(make_app: MakeApp, any_database: str, bot: Bot) -> Flask:
    return make_app(bot.router, database_url=any_database, wechat_slow_handlers=2, web_threads=16)


def ask_one(platform: FakePlatform, number: int) -> Shown:
    follower = platform.follower(f"oFollower{number}")
    return follower.push(follower.message("text", Content=f"ask {number}")).shown


def ask(platform: FakePlatform, count: int) -> list[Shown]:
    """Let so many followers ask at once, and return what each is shown."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask_one, [platform] * count, range(count)))


def ask_beyond(bound: int, platform: FakePlatform, bot: Bot, count: int) -> list[Shown]:
    """The same, and let the handlers end when all those that cannot wait have been told."""
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(ask_one, platform, number) for number in range(count)]
        wait_until(lambda: sum(future.done() for future in asked) >= count - bound)
        bot.told.set()
        return [future.result() for future in asked]


def test_beyond_the_bound_followers_are_told_at_once_and_keep_their_places(
    app: Flask, platform: FakePlatform, bot: Bot, engine: Engine
) -> None:
    shown = ask_beyond(6, platform, bot, 20)
    answered = {n for n, text in enumerate(shown) if text == f"answer to ask {n}"}
    assert 2 <= len(answered) <= 6, "web_threads * 3 / 8 messages wait at most"
    wait_until(lambda: {row.state for row in rows(engine, direction=Direction.IN)} == {MessageState.ANSWERED})
    for number in set(range(20)) - answered:
        follower = platform.follower(f"oFollower{number}")
        assert tap(follower, shown[number]) == f"answer to ask {number}"
        assert follower.text("hello") == "echo hello", "the answer was fetched, so nothing is held"
        assert tap(follower, shown[number]) == f"answer to ask {number}", "a fetch is a read"
    assert set(bot.runs.values()) == {1}
    assert bot.most_at_once == 2


def test_quick_messages_are_answered_beside_the_waiting_ones(
    app: Flask, platform: FakePlatform, bot: Bot
) -> None:
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(ask, platform, 20)
        wait_until(lambda: bot.most_at_once == 2)
        assert [platform.text(f"quick {n}") for n in range(20)] == [f"echo quick {n}" for n in range(20)]
        bot.told.set()
        assert None not in slow.result()


def test_one_follower_has_one_slow_message_at_work(
    app: Flask, platform: FakePlatform, bot: Bot, engine: Engine
) -> None:
    with ThreadPoolExecutor(10) as pool:
        shown = pool.map(lambda n: platform.text(f"ask {n}"), range(10))
        wait_until(lambda: bot.runs)
        time.sleep(1)
        assert bot.most_at_once == 1
        assert platform.follower("oSomebodyElse").text("hi") == "echo hi"
        bot.told.set()
        texts = list(shown)
    assert sum("answer" in str(text) for text in texts) == 1
    wait_until(lambda: len(bot.runs) == 10)
    wait_until(lambda: {row.state for row in rows(engine, direction=Direction.IN)} == {MessageState.ANSWERED})
    for number, text in enumerate(texts):
        if LINK.search(str(text)):
            assert tap(platform, text) == f"answer to ask {number}"
    assert bot.most_at_once == 1
    assert set(bot.runs.values()) == {1}


def test_a_link_shows_nothing_to_anybody_else(app: Flask, platform: FakePlatform, bot: Bot) -> None:
    bot.told.set()
    platform.text("ask mine")
    [key] = [row.dedup_key for row in rows(services(app).engine, direction=Direction.IN)]
    link = pickup.with_link("x", key).content
    other = platform.follower("oThief")
    other.text("hello")
    assert tap(other, link) == pickup.NOT_FOUND
    assert platform.follower("oNew").text("查看回复", bizmsgmenuid=f"late-{key}") == pickup.NOT_FOUND
    assert tap(platform, link) == "answer to ask mine"
    assert platform.text("查看回复", bizmsgmenuid=f"late-{'0' * 32}") == pickup.NOT_FOUND
    assert platform.text("查看回复", bizmsgmenuid="late-nonsense") == "echo 查看回复"


def test_an_answer_that_is_not_ready_shows_the_link_again(
    make_app: MakeApp, bot: Bot, settings: Settings
) -> None:
    app = make_app(bot.router, web_threads=4, wechat_answer_seconds=0.3)
    platform = FakePlatform.of(app)
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(platform.follower("oFirst").text, "ask first")
        wait_until(lambda: bot.runs)
        told = platform.text("ask second")
        again = tap(platform, told)
        bot.told.set()
        held.result()
    assert str(told).startswith(settings.wechat_thinking)
    assert str(again).startswith(pickup.STILL_WRITING)
    wait_until(lambda: tap(platform, again) == "answer to ask second")


def test_a_handler_that_fails_is_told_when_its_answer_is_fetched(
    make_app: MakeApp, bot: Bot, engine: Engine
) -> None:
    bot.fails = True
    app = make_app(bot.router, app_env=Environment.PRODUCTION)
    bot.told.set()
    platform = FakePlatform.of(app)
    platform.text("ask x")
    [row] = rows(services(app).engine, direction=Direction.IN)
    assert tap(platform, pickup.with_link("x", row.dedup_key).content) == pickup.NO_ANSWER


def test_a_long_answer_has_pages_that_are_fetched_by_tap_or_by_any_message(
    app: Flask, platform: FakePlatform
) -> None:
    whole = "".join(f"第{n}句。" for n in range(400))

    def text_of(page: Shown) -> str:
        assert len(str(page).encode()) <= MAX_TEXT_BYTES
        return LINK.split(str(page))[0].removesuffix("\n<a ")

    first = platform.text("long")
    assert "下一页 (2/3)" in str(first)
    second = tap(platform, first)
    assert "下一页 (3/3)" in str(second)
    third = tap(platform, second)
    assert text_of(first) + text_of(second) + text_of(third) == whole
    assert tap(platform, first) == second
    other = platform.follower("oOther")
    assert text_of(other.text("long")) + text_of(other.text("go on")) + text_of(other.text("on")) == whole
    assert other.text("on") == "echo on"


def test_a_retry_of_a_tap_gets_the_same_page(app: Flask, platform: FakePlatform, bot: Bot) -> None:
    bot.told.set()
    link = LINK.search(str(platform.text("long")))
    assert link
    fields = platform.message("text", Content="查看回复", bizmsgmenuid=link[1])
    assert len({platform.push(fields).shown for _ in range(3)}) == 1


def test_with_customer_service_what_is_over_the_bound_is_sent_later(
    make_app: MakeApp, bot: Bot, api: FakeAPI
) -> None:
    app = make_app(
        bot.router,
        api,
        wechat_app_secret=APP_SECRET,
        wechat_account_kind=AccountKind.VERIFIED_SERVICE,
        wechat_slow_handlers=2,
        web_threads=8,
    )
    platform = FakePlatform.of(app)
    shown = ask_beyond(3, platform, bot, 12)
    silent = {n for n, text in enumerate(shown) if text is None}
    assert len(silent) >= 9
    wait_until(lambda: len(api.sent) == len(silent))
    sent = {message["touser"]: message["text"]["content"] for message in api.sent}
    assert sent == {f"oFollower{n}": f"answer to ask {n}" for n in silent}


def test_a_link_shows_the_answer_that_customer_service_has_sent_meanwhile(
    make_app: MakeApp, bot: Bot, api: FakeAPI
) -> None:
    app = make_app(bot.router, api, wechat_app_secret=APP_SECRET, wechat_slow_handlers=2, web_threads=8)
    platform = FakePlatform.of(app)
    shown = ask_beyond(3, platform, bot, 12)
    told = {n: text for n, text in enumerate(shown) if LINK.search(str(text))}
    wait_until(lambda: len(api.sent) == len(told))
    assert len(told) >= 9
    for number, text in told.items():
        assert tap(platform.follower(f"oFollower{number}"), text) == f"answer to ask {number}"
    assert len(api.sent) == len(told)


def test_a_refused_token_is_no_reason_to_leave_followers_without_a_word(
    make_app: MakeApp, bot: Bot, api: FakeAPI
) -> None:
    app = make_app(bot.router, api, wechat_app_secret="f" * 32, wechat_slow_handlers=2, web_threads=8)
    platform = FakePlatform.of(app)
    shown = ask_beyond(3, platform, bot, 12)
    engine = services(app).engine
    wait_until(lambda: {row.state for row in rows(engine, direction=Direction.IN)} == {MessageState.ANSWERED})
    for number, text in enumerate(shown):
        follower = platform.follower(f"oFollower{number}")
        answer = text if "answer" in str(text) else tap(follower, text)
        assert answer == f"answer to ask {number}"
    assert api.sent == []


# Processes that die


def abandon(app: Flask, text: str, owner: str, state: MessageState = MessageState.RECEIVED) -> None:
    """Let it seem as if `owner` had taken the message `text` and died before its handler ended."""
    with services(app).engine.begin() as connection:
        row = MessageLog.text == text, MessageLog.direction == Direction.IN
        connection.execute(update(MessageLog).where(*row).values(state=state, owner=owner, runs=1))


@pytest.fixture
def known_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a process of this host that is dead; that its heartbeats stopped is not noticed."""
    monkeypatch.setattr(queue, "HEARTBEAT_TIMEOUT", inf)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = local_processes._path("here:1:dead")
    file.parent.mkdir()
    file.touch()
    return file.name


@pytest.mark.parametrize("state", [MessageState.RECEIVED, MessageState.LATE])
def test_what_a_dead_process_left_is_handled_by_another_one(
    app: Flask, platform: FakePlatform, bot: Bot, engine: Engine, state: MessageState
) -> None:
    platform.text("hello")
    fields = platform.message("text", Content="hello again")
    platform.push(fields)
    with engine.begin() as connection:
        row = MessageLog.text == "hello again", MessageLog.direction == Direction.IN
        payload = fields | {"Content": "ask again"}
        connection.execute(update(MessageLog).where(*row).values(payload=payload))
        connection.execute(delete(MessageLog).where(MessageLog.text == "echo hello again"))
    abandon(app, "hello again", "host:1:dead", state)
    bot.told.set()
    services(app).inbox.slow_handlers.start_monitor()
    wait_until(lambda: rows(engine, text="hello again")[0].state == MessageState.ANSWERED)
    assert bot.runs == {"ask again": 1}
    assert rows(engine, text="hello again")[0].runs == 2


def test_a_push_right_after_the_death_of_a_process_counts_as_the_last(
    make_app: MakeApp, bot: Bot, settings: Settings
) -> None:
    """The platform may push again at once when a connection is lost, and nobody knows how often it has."""
    app = make_app(bot.router, wechat_answer_seconds=0.3)
    platform = FakePlatform.of(app)
    fields = platform.message("text", Content="hello")
    platform.push(fields)
    abandon(app, "hello", "host:1:dead")
    told = platform.push_once(fields).reply
    assert isinstance(told, TextReply)
    assert told.content.startswith(settings.wechat_thinking)


def test_a_handler_that_must_not_run_again_ends_with_the_apology(
    make_app: MakeApp, bot: Bot, known_dead: str
) -> None:
    app = make_app(bot.router, wechat_apology="出错了")
    platform, engine = FakePlatform.of(app), services(app).engine
    assert platform.text("pay") == "paid"
    with engine.begin() as connection:
        connection.execute(delete(MessageLog).where(MessageLog.direction == Direction.OUT))
    abandon(app, "pay", known_dead)
    services(app).inbox.slow_handlers.start_monitor()
    wait_until(lambda: rows(engine, direction=Direction.IN)[0].state == MessageState.FAILED)
    assert bot.runs == {"pay": 1}
    assert platform.text("and now?") == "出错了"


def test_a_message_that_kills_its_process_twice_is_not_handled_again(
    make_app: MakeApp, bot: Bot, known_dead: str
) -> None:
    app = make_app(bot.router)
    bot.told.set()
    platform, engine = FakePlatform.of(app), services(app).engine
    platform.text("ask x")
    with engine.begin() as connection:
        connection.execute(delete(MessageLog).where(MessageLog.direction == Direction.OUT))
    abandon(app, "ask x", known_dead)
    with engine.begin() as connection:
        connection.execute(update(MessageLog).values(runs=2))
    services(app).inbox.slow_handlers.start_monitor()
    wait_until(lambda: rows(engine, direction=Direction.IN)[0].state == MessageState.FAILED)
    assert bot.runs == {"ask x": 1}


def test_processes_are_dead_when_their_heartbeats_stop_and_not_when_everything_stops() -> None:
    liveness = Liveness()
    for now in range(5):
        assert liveness.dead({"dead": None, "alive": str(now)}, now) == set()  # type: ignore[dict-item]
    times = [5 + n * 0.5 for n in range(5)]
    found = [liveness.dead({"dead": None, "alive": str(now)}, now) for now in times]  # type: ignore[dict-item]
    assert found[-1] == {"dead"}
    assert liveness.dead({"dead": None, "alive": "6.5"}, 100) == set(), "nobody looked for a while"  # type: ignore[dict-item]
    assert HEARTBEAT_TIMEOUT <= 7


def test_a_process_shows_its_figures_while_it_lives(make_app: MakeApp, bot: Bot) -> None:
    app = make_app(bot.router, wechat_slow_handlers=2, web_threads=16)
    engine = services(app).engine
    with ThreadPoolExecutor(8) as pool:
        slow = pool.submit(ask, FakePlatform.of(app), 5)

        def figures() -> Any:
            with engine.connect() as connection:
                found = select(HandlerProcess.running, HandlerProcess.waiting, HandlerProcess.max_running)
                return connection.execute(found).one_or_none()

        wait_until(lambda: figures() == (2, 5, 2))
        bot.told.set()
        slow.result()
    services(app).inbox.slow_handlers.close()
    assert figures() is None


# The database is away


class Outage:
    """Makes the inbox's statements fail until it ends."""

    def __init__(self, app: Flask) -> None:
        self._recorder = services(app).inbox._recorder
        self._perform = self._recorder._perform
        self.refused = 0

    def begin(self) -> None:
        from wechat_bot.services.inbox.recorder import NotRecorded

        def refuse(work: Any) -> Any:
            self.refused += 1
            raise NotRecorded("the database is away")

        self._recorder._perform = refuse  # type: ignore[method-assign]

    def end(self) -> None:
        self._recorder._perform = self._perform  # type: ignore[method-assign]


def test_a_finished_answer_is_kept_until_the_database_takes_it(make_app: MakeApp, bot: Bot) -> None:
    app = make_app(bot.router)
    platform, outage = FakePlatform.of(app), Outage(app)
    with ThreadPoolExecutor() as pool:
        shown = pool.submit(platform.text, "ask x")
        wait_until(lambda: bot.runs)
        outage.begin()
        bot.told.set()
        wait_until(lambda: outage.refused > 2)
        outage.end()
        assert shown.result() == "answer to ask x"
    assert bot.runs == {"ask x": 1}


def test_a_push_waits_out_a_short_outage(make_app: MakeApp, bot: Bot) -> None:
    app = make_app(bot.router)
    platform, outage = FakePlatform.of(app), Outage(app)
    outage.begin()
    with ThreadPoolExecutor() as pool:
        shown = [pool.submit(platform.push, platform.message("text", Content=f"m{n}")) for n in range(5)]
        wait_until(lambda: outage.refused > 5)
        outage.end()
        deliveries = [push.result() for push in shown]
    assert [delivery.shown for delivery in deliveries] == [f"echo m{n}" for n in range(5)]
    assert [len(delivery.attempts) for delivery in deliveries] == [1] * 5


def test_a_push_that_cannot_be_recorded_is_held_within_the_bound(make_app: MakeApp, bot: Bot) -> None:
    app = make_app(bot.router, web_threads=4)
    platform, outage = FakePlatform.of(app), Outage(app)
    outage.begin()
    with ThreadPoolExecutor() as pool:
        pushes = [platform.message("text", Content=f"m{n}") for n in range(3)]
        attempts = list(pool.map(platform.push_once, pushes))
    assert sorted(str(attempt.status) for attempt in attempts) == ["503", "503", "None"]
    outage.end()


# The bound itself


def test_pushes_of_one_message_count_once_and_the_bound_holds() -> None:
    waiting = WaitingPushes(2)
    assert [waiting.admit(key) for key in "aabc"] == [True, True, True, False]
    waiting.dismiss("b")
    assert waiting.admit("c")
    waiting.dismiss("a")
    assert not waiting.admit("d"), "a push of the first message still waits"
    waiting.wake("a")
    assert waiting.wait("a", 0)
    assert not waiting.wait("c", 0)
    with suppress(KeyError):
        waiting.dismiss("a")
    assert len(waiting) == 1
