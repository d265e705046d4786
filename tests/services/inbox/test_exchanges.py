"""What is stored of a slow handler's message, whoever comes first: its result or its time-out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from tests.conftest import MakeApp
from wechat_bot.database.transactions import transaction
from wechat_bot.models import MessageLog, MessageState
from wechat_bot.services.inbox.exchanges import Exchange, RecordOutcome, mark_late, record, store_result
from wechat_bot.wechat.parsing import parse
from wechat_bot.wechat.replies import TextReply
from wechat_bot.wiring import services


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    return make_app(database_url=any_database)


@pytest.fixture
def question(app: Flask, engine: Engine) -> Exchange:
    """A recorded message that a slow handler works on."""
    head = {"ToUserName": "gh_1", "FromUserName": "o1", "CreateTime": "1767225600"}
    exchange = Exchange(
        account_id=services(app).account_id,
        follower_id=None,
        message=parse({**head, "MsgType": "text", "Content": "?", "MsgId": "1"}),
        received_at=datetime.now(UTC),
        state=MessageState.RECEIVED,
    )
    with transaction(engine) as connection:
        record(connection, [exchange])
    return exchange


def rows(engine: Engine) -> list[tuple[str, MessageState]]:
    with engine.connect() as connection:
        found = select(MessageLog.text, MessageLog.state).order_by(MessageLog.id)
        return [(text, MessageState(state)) for text, state in connection.execute(found)]


store = partial(store_result, in_time=MessageState.SENT, late=MessageState.READY)


def test_the_result_of_a_handler_is_stored_once(engine: Engine, question: Exchange) -> None:
    answered = replace(question, state=MessageState.ANSWERED, reply=TextReply("first"))
    with transaction(engine) as connection:
        assert store(connection, answered) == (RecordOutcome.RECORDED, MessageState.SENT)
    with transaction(engine) as connection:
        again = replace(answered, state=MessageState.FAILED, reply=TextReply("second"))
        assert store(connection, again) == (RecordOutcome.DUPLICATE, None)
    assert rows(engine) == [("?", MessageState.ANSWERED), ("first", MessageState.SENT)]


def test_a_message_that_has_been_answered_does_not_become_late(engine: Engine, question: Exchange) -> None:
    late = replace(question, hint=TextReply("fetch it"))
    with transaction(engine) as connection:
        store(connection, replace(question, state=MessageState.ANSWERED, reply=TextReply("answer")))
    with transaction(engine) as connection:
        assert mark_late(connection, late) == (MessageState.ANSWERED, None)
    assert rows(engine) == [("?", MessageState.ANSWERED), ("answer", MessageState.SENT)]


def test_an_answer_to_a_late_message_is_held(engine: Engine, question: Exchange) -> None:
    hint = TextReply("fetch it")
    with transaction(engine) as connection:
        assert mark_late(connection, replace(question, hint=hint)) == (MessageState.LATE, hint)
    with transaction(engine) as connection:
        answered = replace(question, state=MessageState.ANSWERED, reply=TextReply("answer"))
        assert store(connection, answered) == (RecordOutcome.RECORDED, MessageState.READY)
    held = ("answer", MessageState.READY)
    assert rows(engine) == [("?", MessageState.ANSWERED), ("fetch it", MessageState.SENT), held]
