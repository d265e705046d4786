"""The worker is killed repeatedly: every message is sent once, or its state is unknown."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, func, insert, select, update

from tests.conftest import APP_SECRET, MakeApp
from tests.needs import lacking
from tests.ports import free_port
from tests.server.conftest import ROOT
from tests.services.alerts.played import Shop, playing_robot
from tests.waiting import PATIENCE, wait_until
from wechat_bot.database.transactions import retry_conflicts, transaction
from wechat_bot.extensions import db
from wechat_bot.models import Follower, MessageLog, MessageState
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.messages.records import outgoing_row
from wechat_bot.testing import FakeAPI, listening
from wechat_bot.wechat.replies import TextReply
from wechat_bot.wiring import services

FOLLOWERS = 50
MESSAGES = 500
KILLS = 4


def queue_messages(app: Flask) -> None:
    """Queue messages of operators that were written a minute ago."""
    with app.app_context():
        account_id = ensure_account(db.engine, services(app).settings.wechat_app_id)
        now = datetime.now(UTC) - timedelta(minutes=1)
        for n in range(FOLLOWERS):
            db.session.add(
                Follower(account_id=account_id, openid=f"o{n}", first_seen_at=now, last_seen_at=now)
            )
        db.session.flush()
        ids = db.session.scalars(select(Follower.id)).all()
        rows = [
            outgoing_row(
                account_id,
                ids[n % FOLLOWERS],
                TextReply(str(n)),
                MessageState.QUEUED,
                f"operator:{n}",
                origin="operator:1",
                operator_id=1,
            )
            | {"received_at": now}
            for n in range(MESSAGES)
        ]
        db.session.execute(insert(MessageLog), rows)
        db.session.commit()
    for follower_id in ids:
        services(app).outbox.schedule(follower_id, 0)


def left(app: Flask) -> int:
    """Return the number of messages that are not settled."""
    open_ = MessageLog.state.in_([MessageState.QUEUED, MessageState.SENDING])
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(MessageLog).where(open_)) or 0


@contextmanager
def worker(folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wechat_bot", "wechat", "worker"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def redis_server(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Start Redis without persistence; yield its URL, and a function that restarts it."""
    program = shutil.which("redis-server")
    if program is None:
        lacking("no redis-server: apt install redis-server")
    port = free_port()
    command = [program, "--port", str(port), "--save", "", "--dir", str(folder), "--bind", "127.0.0.1"]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        for process in running:
            process.kill()
            process.wait()
        running[:] = [subprocess.Popen(command, stdout=subprocess.DEVNULL)]
        wait_until(lambda: _accepts(port))

    start()
    try:
        yield f"redis://127.0.0.1:{port}/0", start
    finally:
        running[0].kill()
        running[0].wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("queue", ["file", "redis"])
def test_every_message_is_sent_once_or_marked_as_unknown(
    make_app: MakeApp, api: FakeAPI, tmp_path: Path, queue: str
) -> None:
    chance = random.Random(5)
    api.delay = 0.005
    with ExitStack() as stack:
        url, restart_redis = (
            stack.enter_context(redis_server(tmp_path)) if queue == "redis" else ("", lambda: None)
        )
        base_url = stack.enter_context(listening(api))
        app = make_app(wechat_app_secret=APP_SECRET, wechat_api_base_url=base_url, job_queue_url=url)
        settings = services(app).settings
        environment = {
            "SECRET_KEY": settings.secret_key,
            "INSTANCE_PATH": settings.instance_path,
            "DATABASE_URL": settings.database_url,
            "WECHAT_APP_ID": settings.wechat_app_id,
            "WECHAT_APP_SECRET": APP_SECRET,
            "WECHAT_API_BASE_URL": base_url,
            "JOB_QUEUE_URL": url,
            "LOG_LEVEL": "WARNING",
        }
        queue_messages(app)
        for kill in range(KILLS):
            with worker(tmp_path, environment) as process:
                before = len(api.sent)
                wait_until(lambda before=before: len(api.sent) > before or not left(app))  # type: ignore[misc]
                time.sleep(chance.uniform(0, 0.4))
                process.send_signal(signal.SIGKILL)
            if kill == KILLS // 2:
                restart_redis()
        age_sending_messages(app)
        with worker(tmp_path, environment):
            wait_until(lambda: not left(app))
    check_outcomes(app, api)


def test_a_worker_sends_alerts_and_ends_when_it_is_told_to(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(job_queue_url="")
    settings = services(app).settings
    environment = {
        "SECRET_KEY": settings.secret_key,
        "INSTANCE_PATH": settings.instance_path,
        "DATABASE_URL": settings.database_url,
        "WECHAT_APP_ID": settings.wechat_app_id,
        "ALERTS_PRIVATE_ADDRESSES": "yes",
    }
    with playing_robot() as robot, worker(tmp_path, environment) as process:
        shop = Shop(app)
        shop.add("wecom", robot.url)
        shop.asks("oFirst")
        wait_until(lambda: bool(robot.got))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert robot.texts[0].startswith("公众号：1 位粉丝在等人工")


def age_sending_messages(app: Flask) -> None:
    """Age the messages that killed workers were sending, so that recovery ends them."""
    with app.app_context():
        _age(db.engine)


@retry_conflicts
def _age(engine: Engine) -> None:
    old = datetime.now(UTC) - timedelta(minutes=6)
    with transaction(engine) as connection:
        sending = update(MessageLog).where(MessageLog.state == MessageState.SENDING)
        connection.execute(sending.values(received_at=old))


def check_outcomes(app: Flask, api: FakeAPI) -> None:
    sent = Counter(each["text"]["content"] for each in api.sent)
    assert max(sent.values()) == 1, "none is doubled"
    with app.app_context():
        rows = db.session.execute(select(MessageLog.text, MessageLog.state)).all()
    states = {row.text: row.state for row in rows}
    assert set(states.values()) <= {MessageState.SENT, MessageState.UNKNOWN}, "none is lost"
    assert {text for text, state in states.items() if state == MessageState.SENT} <= set(sent)
    assert set(sent) <= set(states)
    assert sum(state == MessageState.UNKNOWN for state in states.values()) <= KILLS * 4, "few are in doubt"
