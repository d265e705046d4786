"""Four processes with eight threads each take pushes of the same account."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from sqlalchemy import func, select

from tests.conftest import MakeApp
from wechat_bot import create_app
from wechat_bot.extensions import db
from wechat_bot.models import BotSession, Direction, Follower, MessageLog, MessageState
from wechat_bot.routing import Answer, Context, Router, matches
from wechat_bot.settings import LogLevel, Settings
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wiring import services

PROCESSES, THREADS = 4, 8
MESSAGES = 1000
FOLLOWERS = 100

router = Router()


@router.on(TextMessage, matches("count"))
def count(message: TextMessage, ctx: Context) -> Answer:
    ctx.session["count"] = ctx.session.get("count", 0) + 1
    return f"count {ctx.session['count']}"


@router.on(TextMessage)
def echo(message: TextMessage, ctx: Context) -> Answer:
    return f"echo {message.content}"


Fields = dict[str, Any]
Answered = tuple[str, str, str]
"""Openid, MsgId, and what the follower saw."""


def push_all(settings: Settings, pushes: Sequence[Fields]) -> list[Answered]:
    """In a process of its own: push everything, by many threads at once."""
    app = create_app(settings, router)
    platform = FakePlatform.of(app, timeout=30)
    with ThreadPoolExecutor(THREADS) as pool:
        shown = list(pool.map(lambda fields: str(platform.push(fields).shown), pushes))
    services(app).inbox.close()
    return [(f["FromUserName"], f["MsgId"], text) for f, text in zip(pushes, shown, strict=True)]


def test_each_message_is_stored_once_and_every_push_of_it_gets_the_same_answer(
    make_app: MakeApp, any_database: str
) -> None:
    app = make_app(router, database_url=any_database, log_level=LogLevel.ERROR)
    pushes = overlapping_pushes(FakePlatform.of(app))
    shares = [pushes[n::PROCESSES] for n in range(PROCESSES)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
        settings = [services(app).settings] * PROCESSES
        answered = [answer for share in pool.map(push_all, settings, shares) for answer in share]

    by_message: dict[tuple[str, str], set[str]] = defaultdict(set)
    for openid, msg_id, shown in answered:
        by_message[openid, msg_id].add(shown)
    assert len(by_message) == MESSAGES
    assert {len(answers) for answers in by_message.values()} == {1}

    counted = Counter(openid for (openid, _), [shown] in by_message.items() if shown.startswith("count"))
    numbers = {(openid, shown) for (openid, _), [shown] in by_message.items() if shown.startswith("count")}
    assert numbers == {(openid, f"count {n + 1}") for openid, total in counted.items() for n in range(total)}

    with app.app_context():
        states = select(MessageLog.direction, MessageLog.state, func.count()).group_by(
            MessageLog.direction, MessageLog.state
        )
        assert {tuple(row) for row in db.session.execute(states)} == {
            (Direction.IN, MessageState.ANSWERED, MESSAGES),
            (Direction.OUT, MessageState.SENT, MESSAGES),
        }
        sessions = select(Follower.openid, BotSession.session).join(Follower)
        assert {o: s.get("count", 0) for o, s in db.session.execute(sessions)} == {
            f"oFollower{n}": counted[f"oFollower{n}"] for n in range(FOLLOWERS)
        }


def overlapping_pushes(platform: FakePlatform) -> list[Fields]:
    """Every message one to three times, in an order in which retries overlap and overtake each other."""
    chance = random.Random(20260101)
    pushes: list[tuple[float, Fields]] = []
    for n in range(MESSAGES):
        follower = platform.follower(f"oFollower{n % FOLLOWERS}")
        content = "count" if chance.random() < 0.3 else f"text {n}"
        fields = follower.message("text", Content=content)
        pushes += [(n + chance.uniform(0, 40), fields) for _ in range(chance.randint(1, 3))]
    return [fields for _, fields in sorted(pushes, key=lambda push: push[0])]
