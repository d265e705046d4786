"""The first part of an answer is the response to the last push, and the rest follows it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import APP_SECRET, MakeApp
from tests.waiting import PATIENCE, wait_until
from wechat_bot.extensions import db
from wechat_bot.models import Direction, MessageLog, MessageState
from wechat_bot.routing import Answer, Context, Router
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.replies import AITextReply, TextReply
from wechat_bot.wiring import services

FIRST = "第一句话已经写好了，可以先读起来，不用再等。"
REST = "第二句还在写。" * 4
LABEL = "（由 AI 生成）"


class Writer:
    """A handler that has written `FIRST` and a bit of the rest, and goes on when it may."""

    def __init__(self, answer: str = FIRST + REST) -> None:
        self.goes_on, self.router = threading.Event(), Router()

        @self.router.on(TextMessage, slow=True)
        def write(message: TextMessage, ctx: Context) -> Answer:
            ctx.partial = lambda: AITextReply(FIRST + "第二", LABEL)
            self.goes_on.wait(PATIENCE)
            return AITextReply(answer, LABEL)


def start(make_app: MakeApp, writer: Writer, kind: AccountKind, api: FakeAPI | None = None) -> Flask:
    secret = {"wechat_app_secret": APP_SECRET} if api else {}
    app = make_app(writer.router, api, wechat_answer_seconds=0.1, wechat_account_kind=kind, **secret)
    services(app).inbox._sleep = lambda seconds: None
    return app


def finish(app: Flask, writer: Writer) -> None:
    writer.goes_on.set()
    with app.app_context():
        asked = select(MessageLog.state).where(MessageLog.direction == Direction.IN)

        def is_answered() -> bool:
            db.session.rollback()
            return MessageState.ANSWERED in db.session.scalars(asked).all()

        wait_until(is_answered)


def fetch(platform: FakePlatform, told: str) -> str:
    """Return what a tap on the link in a message fetches."""
    found = re.search(r"msgmenuid=(late-[0-9a-f]+-\d+)", told)
    assert found, told
    return str(platform.text("查看回复", bizmsgmenuid=found[1]))


def test_the_rest_is_fetched_by_a_tap(make_app: MakeApp) -> None:
    writer = Writer()
    app = start(make_app, writer, AccountKind.UNVERIFIED_SUBSCRIPTION)
    platform = FakePlatform.of(app)
    told = str(platform.text("讲讲"))
    assert told.startswith(FIRST + "\n<a href")
    assert told.endswith(LABEL)
    finish(app, writer)
    assert fetch(platform, told) == f"{REST}\n{LABEL}"
    assert fetch(platform, told) == f"{REST}\n{LABEL}", "as often as it is tapped"


def test_the_rest_is_sent_where_messages_can_be_sent(make_app: MakeApp, api: FakeAPI) -> None:
    writer = Writer()
    app = start(make_app, writer, AccountKind.VERIFIED_SERVICE, api)
    platform = FakePlatform.of(app)
    assert platform.text("讲讲") == f"{FIRST}\n{LABEL}"
    finish(app, writer)
    services(app).inbox.close()
    assert [message["text"]["content"] for message in api.sent] == [REST]
    assert api.sent[0]["aimsgcontext"] == {"is_ai_msg": 1}


@pytest.mark.parametrize(
    ("answer", "rest"),
    [("一个别的回答。", f"一个别的回答。\n{LABEL}"), (FIRST, "上面就是全部回答。")],
    ids=["another", "complete"],
)
def test_an_answer_that_ends_otherwise(make_app: MakeApp, answer: str, rest: str) -> None:
    writer = Writer(answer)
    app = start(make_app, writer, AccountKind.UNVERIFIED_SUBSCRIPTION)
    platform = FakePlatform.of(app)
    told = str(platform.text("讲讲"))
    finish(app, writer)
    assert fetch(platform, told) == rest


@pytest.mark.parametrize(
    "written", [lambda: None, lambda: TextReply("太短。"), lambda: TextReply("没有句号" * 9)]
)
def test_little_is_not_shown(make_app: MakeApp, written: Callable[[], Any]) -> None:
    goes_on, router = threading.Event(), Router()

    @router.on(TextMessage, slow=True)
    def write(message: TextMessage, ctx: Context) -> Answer:
        ctx.partial = written
        goes_on.wait(PATIENCE)
        return "好了"

    app = make_app(router, wechat_answer_seconds=0.1, wechat_thinking="还在想")
    services(app).inbox._sleep = lambda seconds: None
    assert str(FakePlatform.of(app).text("讲讲")).startswith("还在想")
    goes_on.set()
