"""What Prometheus reads."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text, update

from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import Direction, MessageLog, MessageState
from wechat_bot.services.health import heartbeats
from wechat_bot.services.inbox import queue
from wechat_bot.settings import Switch
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wiring import services

ROOT = Path(__file__).parent.parent


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET, metrics_enabled=Switch.YES)


def figure(app: Flask, name: str) -> float:
    """The value of a figure with its labels; 0 if it is not there."""
    page = app.test_client().get("/metrics").text
    found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_pushes_are_counted_by_kind_and_outcome_and_timed(app: Flask, platform: FakePlatform) -> None:
    texts = 'wechat_pushes_total{kind="TextMessage",outcome="text"}'
    silent = 'wechat_pushes_total{kind="UnsubscribeEvent",outcome="success"}'
    before = [figure(app, name) for name in (texts, silent, "wechat_answer_seconds_count")]
    platform.text("帮助")
    platform.text("帮助")
    platform.push(platform.event("unsubscribe", EventKey=""))
    after = [figure(app, name) for name in (texts, silent, "wechat_answer_seconds_count")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 1, 3]


def test_refused_requests_are_counted_by_cause(app: Flask) -> None:
    name = 'wechat_callback_requests_total{outcome="not_signed"}'
    before = figure(app, name)
    app.test_client().get("/wechat")
    assert figure(app, name) - before == 1


def test_calls_of_the_api_are_counted_by_errcode(app: Flask, api: FakeAPI) -> None:
    name = 'wechat_api_calls_total{errcode="45009",path="/cgi-bin/getcallbackip"}'
    before = figure(app, name)
    api.errcodes["/cgi-bin/getcallbackip"] = [45009]
    with app.app_context():
        services(app).doctor.diagnose(online=True)
    assert figure(app, name) - before == 1


def test_queues_and_workers_are_told_as_they_are_now(app: Flask, platform: FakePlatform) -> None:
    assert figure(app, "wechat_workers") == 0
    platform.text("帮助")
    with app.app_context():
        heartbeats.heartbeat(db.engine, "host:1")
        db.session.execute(text("UPDATE message_logs SET state = 'queued' WHERE direction = 'out'"))
        db.session.commit()
    assert figure(app, "wechat_workers") == 1
    assert figure(app, 'wechat_outgoing_messages{state="queued"}') == 1
    assert figure(app, "wechat_digest_lag") >= 1
    assert figure(app, "wechat_database_up") == 1


def test_slow_handlers_are_told_as_they_are_now(app: Flask, platform: FakePlatform) -> None:
    names = ("slow_handlers_running", "slow_handlers_limit", "waiting_messages", "waiting_limit")
    assert [figure(app, f"wechat_{name}") for name in names] == [0, 0, 0, 0]
    assert "wechat_slow_handler_p95_seconds" not in app.test_client().get("/metrics").text
    platform.text("你好")
    with app.app_context():
        for name in ("host:1", "host:2"):
            figures = {"running": 3, "max_running": 10, "waiting": 4, "max_waiting": 20, "p95_ms": 8200}
            queue.send_heartbeat(db.engine, name, **figures)
        received_at = datetime.now(UTC) - timedelta(seconds=90)
        queued = update(MessageLog).where(MessageLog.direction == Direction.IN)
        db.session.execute(queued.values(state=MessageState.LATE, received_at=received_at))
        db.session.commit()
    assert [figure(app, f"wechat_{name}") for name in names] == [6, 20, 8, 40]
    assert figure(app, "wechat_queued_messages") == 1
    assert int(figure(app, "wechat_oldest_unfinished_seconds")) == 90
    assert figure(app, "wechat_slow_handler_p95_seconds") == 8.2


def test_a_database_that_is_away_is_a_figure_too(app: Flask) -> None:
    with app.app_context():
        db.session.execute(text("DROP TABLE workers"))
        db.session.commit()
    page = app.test_client().get("/metrics")
    assert page.status_code == 200
    assert "wechat_database_up 0.0" in page.text


SCRIPT = """
from sqlalchemy import create_engine
from wechat_bot.metrics import Metrics
metrics = Metrics(create_engine("sqlite://"), lambda: 0)
metrics.record_request("not_signed")
print(metrics.text().decode())
"""


def test_processes_count_together(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT]
    for _ in range(2):
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert 'wechat_callback_requests_total{outcome="not_signed"} 2.0' in done.stdout
