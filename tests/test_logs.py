"""What is logged, and by which ids the lines of a message are found."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tests.conftest import APP_ID, APP_SECRET, MakeApp
from wechat_bot import logs
from wechat_bot.blueprints.callback import PushRequest
from wechat_bot.extensions import db
from wechat_bot.routing import Context, Router, keyword
from wechat_bot.semaphore import Turn
from wechat_bot.services.health.call_stats import PushOutcome
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wiring import services

log = logging.getLogger("wechat_bot.handlers.ours")
router = Router()


@router.on(TextMessage, keyword("slow"), slow=True)
def answer_late(message: TextMessage, ctx: Context) -> str:
    log.warning("at work")
    return "fine"


@router.on(TextMessage)
def answer(message: TextMessage, ctx: Context) -> str:
    return "fine"


class Lines:
    """The lines that were logged as JSON."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def of(self, logger: str) -> list[dict[str, Any]]:
        """Those of a logger."""
        found = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [line for line in found if line["logger"].startswith(f"wechat_bot.{logger}")]


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(router, api=api, wechat_app_secret=APP_SECRET)


@pytest.fixture
def lines(app: Flask) -> Iterator[Lines]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JSONFormatter())
    logging.getLogger("wechat_bot").addHandler(handler)
    yield Lines(stream)
    logging.getLogger("wechat_bot").removeHandler(handler)


def test_lines_of_a_push_and_of_its_slow_handler_name_the_message(
    platform: FakePlatform, lines: Lines
) -> None:
    fields = platform.message("text", Content="slow")
    platform.push(fields)
    [ours] = lines.of("handlers.ours")
    [pushed] = [line for line in lines.of("blueprints.callback") if "waited" in line["message"]]
    ids = {name: ours[name] for name in ("request", "account", "dedup_key", "msg_id")}
    assert ids.items() <= pushed.items()
    assert (ids["account"], ids["msg_id"]) == (APP_ID, fields["MsgId"])
    assert re.fullmatch("[0-9a-f]{32}", ids["dedup_key"])


def test_the_lines_of_a_job_name_it_and_its_message(app: Flask, platform: FakePlatform, lines: Lines) -> None:
    platform.text("quick")
    with app.app_context():
        db.session.execute(
            text("UPDATE message_logs SET state = 'queued', channel = 'customer' WHERE direction = 'out'")
        )
        db.session.commit()
    services(app).outbox.schedule(1, 0)
    services(app).jobs.run_all()
    [line] = lines.of("services.outbox")
    assert line["message"].startswith("customer-service message 2:")
    assert {"account": APP_ID, "job": "send", "row": 1, "message_id": 2}.items() <= line.items()


def test_a_quick_push_costs_no_line(app: Flask, platform: FakePlatform, lines: Lines) -> None:
    platform.text("quick")
    assert [line for line in lines.of("") if line["level"] != "DEBUG"] == []


def test_a_push_that_fails_has_one(app: Flask, lines: Lines) -> None:
    PushRequest(services(app), Turn()).record(PushOutcome.NOT_RECORDED)
    [line] = lines.of("")
    assert line["level"] == "INFO"
    assert re.fullmatch(r"unknown: not_recorded after \d+ ms", line["message"])


@pytest.mark.parametrize(
    ("proxies", "given", "taken"),
    [
        (1, "0123456789abcdef0123456789abcdef", True),
        (1, "7f9c24e8-3b12-4fef-91e0-56a2d4f1c8aa", True),
        (0, "0123456789abcdef0123456789abcdef", False),
        (1, "short", False),
        (1, "a" * 65, False),
        (1, 'a quote " and more', False),
    ],
)
def test_the_id_of_a_trusted_proxy_is_taken_over(
    make_app: MakeApp, proxies: int, given: str, taken: bool
) -> None:
    client = make_app(trusted_proxies=proxies).test_client()
    answer = client.get("/healthz", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is taken
    assert answer.headers["X-Request-ID"]


def line_of(message: str) -> str:
    record = logging.LogRecord("wechat_bot.x", logging.INFO, "", 0, message, (), None)
    return logs.TextFormatter().format(record).partition(" ")[2]


def test_a_line_of_text_has_the_ids_at_its_end() -> None:
    assert contextvars.Context().run(line_of, "nothing") == "INFO - wechat_bot.x: nothing"
    with logs.about(request="1a2b3c4d", account="wx1", msg_id=""):
        logs.bind(message_id=5)
        assert line_of("five") == "INFO 1a2b3c4d wechat_bot.x: five [account=wx1 message_id=5]"


def test_no_id_can_look_like_another_line() -> None:
    with logs.about(request="-", msg_id="1]\n2026-11-29 ERROR"):
        assert line_of("odd") == r'INFO - wechat_bot.x: odd [msg_id="1]\n2026-11-29 ERROR"]'
