"""What Prometheus reads."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Engine, insert, text, update

from tests.conftest import APP_ID, APP_SECRET, MakeApp
from wechat_bot.extensions import db
from wechat_bot.metrics import MAX_CHILDREN, Labelled
from wechat_bot.models import AccessToken, Direction, MessageLog, MessageState, ModelAnswer
from wechat_bot.models.rows import new_row
from wechat_bot.routing import Context, Router
from wechat_bot.services.health import heartbeats
from wechat_bot.services.inbox import queue
from wechat_bot.settings import Switch
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.messages import TextMessage
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
    texts = f'wechat_pushes_total{{account="{APP_ID}",kind="TextMessage",outcome="answered"}}'
    silent = f'wechat_pushes_total{{account="{APP_ID}",kind="UnsubscribeEvent",outcome="answered"}}'
    timed = f'wechat_answer_seconds_count{{account="{APP_ID}",kind="TextMessage",waited="no"}}'
    before = [figure(app, name) for name in (texts, silent, timed)]
    platform.text("帮助")
    platform.text("帮助")
    platform.push(platform.event("unsubscribe", EventKey=""))
    after = [figure(app, name) for name in (texts, silent, timed)]
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 1, 2]


def test_each_road_of_a_late_answer_is_counted(make_app: MakeApp) -> None:
    router, begun, told = Router(), threading.Event(), threading.Event()

    @router.on(TextMessage, slow=True)
    def think(message: TextMessage, ctx: Context) -> str:
        begun.set()
        assert told.wait(120)
        return "thought"

    app = make_app(router, metrics_enabled=Switch.YES)
    platform = FakePlatform.of(app)
    outcomes = ("waited", "link", "fetched")
    labels = f'account="{APP_ID}",kind="TextMessage"'
    names = [f'wechat_pushes_total{{{labels},outcome="{outcome}"}}' for outcome in outcomes]
    before = [figure(app, name) for name in names]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(platform.text, "first")
        assert begun.wait(120)
        hint = str(platform.text("one message of a follower at a time"))
        told.set()
        assert str(first.result()) == "thought"
    link = re.search("msgmenuid=(late-[0-9a-f]+)", hint)
    assert link
    platform.text("查看回复", bizmsgmenuid=link[1])
    assert [figure(app, name) - old for name, old in zip(names, before, strict=True)] == [1, 1, 1]


def test_nothing_that_a_hostile_follower_sends_makes_a_label(app: Flask, platform: FakePlatform) -> None:
    for number in range(5):
        platform.push(platform.message(f"hostile{number}"))
        platform.push(platform.event(f"HOSTILE{number}", EventKey="hostile"))
    assert "hostile" not in app.test_client().get("/metrics").text.lower()


def test_labels_are_bounded_whatever_happens() -> None:
    registry = CollectorRegistry()
    child = Labelled(Counter("calls", "Calls.", ["account", "path"], registry=registry))
    for number in range(MAX_CHILDREN + 500):
        child("wx1", f"/{number}").inc()
    samples = [sample for family in registry.collect() for sample in family.samples]
    assert sum(sample.value for sample in samples if sample.name == "calls_total") == MAX_CHILDREN + 500
    assert sum(sample.name == "calls_total" for sample in samples) == MAX_CHILDREN + 1


def test_refused_requests_are_counted_by_cause(app: Flask) -> None:
    name = f'wechat_callback_requests_total{{account="{APP_ID}",outcome="not_signed"}}'
    before = figure(app, name)
    app.test_client().get("/wechat")
    assert figure(app, name) - before == 1


def test_calls_of_the_api_are_counted_by_errcode(app: Flask, api: FakeAPI) -> None:
    labels = f'account="{APP_ID}",errcode="45009",path="/cgi-bin/getcallbackip"'
    name = f"wechat_api_calls_total{{{labels}}}"
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
    assert figure(app, f'wechat_outgoing_messages{{account="{APP_ID}",state="queued"}}') == 1
    assert figure(app, "wechat_digest_lag") >= 1
    assert figure(app, "wechat_database_up") == 1


def test_slow_handlers_are_told_as_they_are_now(app: Flask, platform: FakePlatform) -> None:
    names = ("slow_handlers_running", "slow_handlers_limit", "waiting_messages", "waiting_limit")
    assert [figure(app, f"wechat_{name}") for name in names] == [0, 0, 0, 0]
    assert "\nwechat_slow_handler_p95_seconds" not in app.test_client().get("/metrics").text
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


def test_tokens_the_assistant_and_the_program_are_told_of(app: Flask) -> None:
    account_id, expires = services(app).account_id, datetime(2026, 11, 29, 12, tzinfo=UTC)
    with app.app_context():
        db.session.execute(
            insert(AccessToken).values(
                account_id=account_id, kind="access_token", value="x", expires_at=expires
            )
        )
        db.session.execute(text("UPDATE accounts SET refused_at = '2026-11-29 11:00:00'"))
        asked = {"outcome": "answered", "profile_version": 1, "prompt_tokens": 900, "completion_tokens": 100}
        row = new_row(ModelAnswer, account_id=account_id, cost=0.25, created_at=datetime.now(UTC), **asked)
        db.session.execute(insert(ModelAnswer), row)
        db.session.commit()
    account = f'account="{APP_ID}"'
    expiry = f'wechat_access_token_expiry_timestamp_seconds{{{account},kind="access_token"}}'
    assert figure(app, expiry) == expires.timestamp()
    assert figure(app, f"wechat_account_refused{{{account}}}") == 1
    assert figure(app, f"wechat_assistant_tokens_total{{{account}}}") == 1000
    assert figure(app, f"wechat_assistant_cost_yuan_total{{{account}}}") == 0.25
    assert figure(app, "wechat_disk_free_bytes") > 0
    assert 'wechat_build_info{revision="' in app.test_client().get("/metrics").text


def test_connections_that_are_used_and_waited_for_are_measured(app: Flask, engine: Engine) -> None:
    names = "wechat_database_wait_seconds_count", "wechat_database_use_seconds_total"
    before = [figure(app, name) for name in names]
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    after = [figure(app, name) for name in names]
    assert all(new > old for new, old in zip(after, before, strict=True))


def test_a_database_that_is_away_is_a_figure_too(app: Flask) -> None:
    with app.app_context():
        db.session.execute(text("DROP TABLE workers"))
        db.session.commit()
    page = app.test_client().get("/metrics")
    assert page.status_code == 200
    assert "wechat_database_up 0.0" in page.text


SCRIPT = """
from datetime import UTC
from pathlib import Path
from sqlalchemy import create_engine
from wechat_bot.metrics import Metrics
metrics = Metrics(create_engine("sqlite://"), lambda: 0, Path(), UTC)
metrics.record_request("wx1", "not_signed")
print(metrics.text().decode())
"""


def test_processes_count_together(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT]
    for _ in range(2):
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert 'wechat_callback_requests_total{account="wx1",outcome="not_signed"} 2.0' in done.stdout
