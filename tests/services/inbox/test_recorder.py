"""Concurrent pushes share a transaction, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, select

from tests.conftest import MakeApp
from tests.waiting import PATIENCE
from wechat_bot.database.engine import create_writer
from wechat_bot.extensions import db
from wechat_bot.models import MessageLog, MessageState
from wechat_bot.services.inbox.exchanges import Exchange, RecordOutcome
from wechat_bot.services.inbox.recorder import NotRecorded, Recorder
from wechat_bot.wechat.parsing import parse
from wechat_bot.wiring import services

Work = Exchange | Callable[[Connection], Any]


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    return make_app(database_url=any_database)


@pytest.fixture
def recorder(app: Flask) -> Iterator[Recorder]:
    with app.app_context():
        writer = create_writer(db.engine, services(app).settings)
    recorder = Recorder(writer)
    yield recorder
    recorder.close()
    writer.dispose()


def exchange(app: Flask, name: str, **fields: Any) -> Exchange:
    """A text of the follower `name` that is answered with silence."""
    head = {"ToUserName": "gh_1", "FromUserName": name, "CreateTime": "1767225600"}
    message = parse({**head, "MsgType": "text", "Content": name, "MsgId": "1", **fields})
    return Exchange(
        account_id=services(app).account_id,
        follower_id=None,
        message=message,
        received_at=datetime.now(UTC),
        state=MessageState.ANSWERED,
    )


def recorded(app: Flask) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(select(MessageLog.text)))


@contextmanager
def busy(recorder: Recorder) -> Iterator[None]:
    """Let a transaction run during the block, so that all other work queues."""
    begun, ended = threading.Event(), threading.Event()

    def wait(connection: Connection) -> None:
        begun.set()
        ended.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(recorder.write, wait)
        begun.wait(PATIENCE)
        try:
            yield
        finally:
            ended.set()


def perform_together(recorder: Recorder, batch: Sequence[Work]) -> list[Future[Any]]:
    """Perform the whole `batch` in one transaction."""
    with ThreadPoolExecutor(len(batch)) as pool:
        with busy(recorder):
            performed: list[Future[Any]] = [
                pool.submit(recorder.record, work)
                if isinstance(work, Exchange)
                else pool.submit(recorder.write, work)
                for work in batch
            ]
            while len(recorder._queue) < len(batch):
                time.sleep(0.001)
        return performed


@pytest.mark.parametrize("change", [False, True])
def test_one_fault_concerns_no_other_message_of_its_batch(
    app: Flask, recorder: Recorder, change: bool
) -> None:
    faulty = exchange(app, "oFaulty", Unstorable=object())
    good = [exchange(app, f"o{number}") for number in range(4)]
    batch: list[Work] = [*good[:2], faulty, *good[2:], *([lambda connection: 7] if change else [])]
    performed = perform_together(recorder, batch)
    assert [p.exception() is None for p in performed] == [work is not faulty for work in batch]
    assert not isinstance(performed[2].exception(), NotRecorded), "the database is not to blame"
    assert [p.result() for p in performed[:2]] == [RecordOutcome.RECORDED] * 2
    assert recorded(app) == {"o0", "o1", "o2", "o3"}


def test_a_push_that_was_given_up_is_not_written_later(app: Flask, recorder: Recorder) -> None:
    given_up, following = exchange(app, "oGivenUp"), exchange(app, "oNext")
    with busy(recorder), pytest.raises(NotRecorded, match="too slow"):
        recorder.record(given_up)
    assert recorder.record(following) is RecordOutcome.RECORDED
    assert recorded(app) == {"oNext"}
