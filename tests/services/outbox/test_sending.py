"""Answers of operators on their way to the platform: each arrives once, or somebody is told."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Timer

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, event, select, update

from tests.cable import Cable
from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import Conversation, Follower, MessageLog, MessageState, Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations.handover import give_back
from wechat_bot.services.inbox.recovery import recover
from wechat_bot.services.operators import management
from wechat_bot.services.outbox.decisions import UNREADABLE_FILE
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.simulator.state import APIFault, APIFaultKind
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.replies import TextReply
from wechat_bot.wiring import services

SEND = "/cgi-bin/message/custom/send"
UPLOAD = "/cgi-bin/media/upload"
MINUTES = timedelta(minutes=1)
OUTAGE = 1.5
"""Seconds for which the database is away: longer than other transactions are tried again."""


class Desk:
    """An operator who answers a follower, and a worker that sends."""

    def __init__(self, app: Flask) -> None:
        self.outbox, self.answers = services(app).outbox, services(app).answers
        self._projector, self.account_id = services(app).projector, services(app).account_id
        self.outbox._sleep = lambda seconds: None
        with app.app_context():
            self.engine: Engine = db.engine
        self.platform = FakePlatform.of(app)
        self.platform.text("在吗")
        management.create(self.engine, Actor(None, "tests", ""), "li", Role.OPERATOR, "correct horse battery")
        self.actor = Actor(1, "li", "")
        with self.engine.connect() as connection:
            self.follower_id: int = connection.scalars(select(Follower.id)).one()

    @property
    def waiting_since(self) -> datetime | None:
        """Since when the follower waits for an operator."""
        self._projector.catch_up()
        with self.engine.connect() as connection:
            return connection.scalars(select(Conversation.waiting_since)).one()

    def write(self, *texts: str) -> list[int]:
        return [self.answers.send(self.actor, self.follower_id, TextReply(text)) for text in texts]

    def change(self, **values: object) -> None:
        """Change the rows of all answers."""
        answers = MessageLog.operator_id.is_not(None)
        with self.engine.begin() as connection:
            connection.execute(update(MessageLog).where(answers).values(**values))

    def work(self, ago: timedelta = MINUTES) -> None:
        """Let a worker look after answers that have been as they are since `ago`."""
        self.change(received_at=datetime.now(UTC) - ago)
        self.sweep()

    def sweep(self) -> None:
        recover(self.engine, self.outbox, datetime.now(UTC))

    @property
    def states(self) -> list[MessageState]:
        answers = select(MessageLog.state).where(MessageLog.operator_id.is_not(None)).order_by(MessageLog.id)
        with self.engine.connect() as connection:
            return [MessageState(state) for state in connection.scalars(answers)]


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET, wechat_account_kind=AccountKind.VERIFIED_SERVICE)


@pytest.fixture
def desk(app: Flask) -> Desk:
    return Desk(app)


def texts(api: FakeAPI) -> list[str]:
    return [message["text"]["content"] for message in api.sent]


@pytest.mark.parametrize(
    "kind", [APIFaultKind.CUT, APIFaultKind.GARBAGE, APIFaultKind.HTML, APIFaultKind.STATUS_500]
)
def test_an_answer_whose_response_is_lost_is_not_sent_again(
    desk: Desk, api: FakeAPI, kind: APIFaultKind
) -> None:
    api.fail(APIFault(kind), SEND)
    desk.write("在的")
    desk.work()
    desk.work(10 * MINUTES)
    assert desk.states == [MessageState.UNKNOWN]
    assert (texts(api), api.calls.count(SEND)) == (["在的"], 1)


def test_that_an_answer_was_sent_is_stored_when_the_database_is_back(
    make_app: MakeApp, api: FakeAPI, postgresql_database: str
) -> None:
    cable = Cable(postgresql_database)
    kind = AccountKind.VERIFIED_SERVICE
    desk = Desk(
        make_app(api=api, wechat_app_secret=APP_SECRET, wechat_account_kind=kind, database_url=cable.url)
    )
    desk.write("在的")
    desk.work()
    desk.write("还在")
    desk.change(received_at=datetime.now(UTC) - MINUTES)

    def lose_the_database() -> None:
        api.before_call = None
        cable.cut()
        Timer(OUTAGE, cable.mend).start()

    api.before_call = lose_the_database
    desk.outbox.send(desk.follower_id)
    assert desk.states == [MessageState.SENT, MessageState.SENT]
    assert texts(api) == ["在的", "还在"]
    cable.cut()


def test_the_next_answer_waits_while_one_is_being_sent(desk: Desk, api: FakeAPI) -> None:
    desk.write("一")
    desk.change(state=MessageState.SENDING)
    desk.write("二")
    desk.work()
    assert (desk.states, api.sent) == ([MessageState.SENDING, MessageState.QUEUED], [])
    desk.work(6 * MINUTES)  # nobody sends it any more
    assert (desk.states, texts(api)) == ([MessageState.UNKNOWN, MessageState.SENT], ["二"])


def test_a_file_that_takes_several_uploads_stays_its_worker_s(desk: Desk, api: FakeAPI) -> None:
    """Each upload may take two minutes, so that all of them take longer than a claim is good for."""
    api.fail(APIFault(APIFaultKind.CUT, times=3), UPLOAD)
    desk.outbox._sleep = lambda seconds: desk.change(received_at=datetime.now(UTC) - 6 * MINUTES)
    seen: list[list[MessageState]] = []

    def look() -> None:
        desk.sweep()
        seen.append(desk.states)

    desk.answers.send_file(desk.actor, desk.follower_id, "image", PNG)
    api.before_call = look
    desk.work()
    assert set(map(tuple, seen)) == {(MessageState.SENDING,)}
    assert (desk.states, len(api.sent)) == ([MessageState.SENT], 1)


def test_a_claim_that_is_renewed_while_a_sweep_looks_for_lost_ones_stays(desk: Desk) -> None:
    def renew(connection: Connection) -> None:
        """Renew the claim after the sweep has found it, and before it changes anything."""
        if connection.get_execution_options().get("writes"):
            connection.execute(update(MessageLog).values(received_at=datetime.now(UTC)))

    desk.write("在的")
    desk.change(state=MessageState.SENDING, received_at=datetime.now(UTC) - 6 * MINUTES)
    event.listen(desk.engine, "begin", renew)
    desk.sweep()
    assert desk.states == [MessageState.SENDING]


def test_an_answer_that_was_given_up_and_sent_again_is_not_sent_twice(desk: Desk, api: FakeAPI) -> None:
    def slow(seconds: float) -> None:
        desk.outbox._sleep = lambda seconds: None
        desk.work(6 * MINUTES)
        assert desk.states == [MessageState.UNKNOWN]
        desk.answers.retry(desk.actor, desk.account_id, message_id)
        desk.work()

    [message_id] = desk.write("在的")
    api.errcodes[SEND] = [-1]
    desk.outbox._sleep = slow
    desk.work()
    assert (desk.states, texts(api)) == ([MessageState.SENT], ["在的"])


def test_what_becomes_known_late_replaces_the_doubt(desk: Desk, api: FakeAPI) -> None:
    def look() -> None:
        api.before_call = None
        desk.work(6 * MINUTES)
        assert desk.states == [MessageState.UNKNOWN]

    desk.write("在的")
    assert desk.outbox._client
    desk.outbox._client.system.callback_ips()  # so that the next call is that of the message
    api.before_call = look
    desk.work()
    assert (desk.states, texts(api)) == ([MessageState.SENT], ["在的"])


def test_a_file_that_cannot_be_read_fails_at_once_and_the_next_answer_goes(
    desk: Desk, api: FakeAPI, tmp_path: Path
) -> None:
    desk.answers.send_file(desk.actor, desk.follower_id, "image", PNG)
    desk.write("文件在路上")
    shutil.rmtree(tmp_path / "media")
    desk.work()
    assert (desk.states, texts(api)) == ([MessageState.FAILED, MessageState.SENT], ["文件在路上"])
    with desk.engine.connect() as connection:
        assert UNREADABLE_FILE in connection.scalars(select(MessageLog.error)).all()


def test_a_follower_waits_until_an_answer_has_been_sent(desk: Desk, api: FakeAPI) -> None:
    since = desk.waiting_since
    assert since
    [withdrawn] = desk.write("打错了")
    assert desk.waiting_since == since
    desk.answers.withdraw(desk.actor, desk.account_id, withdrawn)
    assert desk.waiting_since == since
    [message_id] = desk.write("在的")
    api.errcodes[SEND] = [45002]
    desk.work()
    assert desk.states == [MessageState.WITHDRAWN, MessageState.FAILED]
    assert desk.waiting_since == since
    desk.answers.retry(desk.actor, desk.account_id, message_id)
    api.fail(APIFault(APIFaultKind.CUT), SEND)
    desk.work()
    assert desk.waiting_since == since, "nobody knows whether it arrived"
    desk.answers.retry(desk.actor, desk.account_id, message_id)
    desk.work()
    assert desk.states == [MessageState.WITHDRAWN, MessageState.SENT]
    assert desk.waiting_since is None


def test_what_a_follower_writes_before_an_answer_is_sent_waits_on(desk: Desk) -> None:
    since = desk.waiting_since
    desk.write("在的")
    later = datetime.now(UTC).replace(microsecond=0) + MINUTES
    desk.platform.text("还有一件事", CreateTime=str(int(later.timestamp())))
    assert desk.waiting_since == since
    desk.work()
    assert desk.waiting_since == later


def test_what_a_handler_answered_before_an_answer_is_sent_waits_for_nobody(desk: Desk) -> None:
    assert desk.waiting_since
    desk.write("在的")
    give_back(desk.engine, desk.actor, desk.account_id, desk.follower_id)
    desk.platform.text("帮助")
    assert desk.waiting_since
    desk.work()
    assert desk.waiting_since is None
