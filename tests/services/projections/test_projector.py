"""What is derived from messages: nothing missing, nothing twice."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, Row, select, update

from tests.conftest import MakeApp
from tests.services.messages.journal import CATCH_ALL, NOON, Journal
from wechat_bot.database.transactions import transaction
from wechat_bot.extensions import db
from wechat_bot.handlers import router
from wechat_bot.models import (
    Conversation,
    ConversationStatus,
    Direction,
    Follower,
    HourIndex,
    MessageLog,
    MessageState,
    Progress,
)
from wechat_bot.services.messages.partitions import first_id
from wechat_bot.services.projections.projector import MIN_LEFT_ROWS, Projector
from wechat_bot.services.projections.watermark import GAP_TIMEOUT, MAX_GAPS, Watermark
from wechat_bot.services.search.index import FOLLOWERS, MESSAGES, SearchIndex
from wechat_bot.services.search.tokens import Query


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    return make_app(database_url=any_database)


@pytest.fixture
def digest(engine: Engine) -> Projector:
    return Projector(engine, router)


def found(engine: Engine, words: str, index: SearchIndex = MESSAGES) -> list[int]:
    with engine.connect() as connection:
        return sorted(connection.scalars(index.matching_ids(Query.parse(words), engine.dialect.name)))


def thread(engine: Engine, follower_id: int) -> Row[Any]:
    with engine.connect() as connection:
        return connection.execute(
            select(Conversation.__table__).where(Conversation.follower_id == follower_id)
        ).one()


def test_what_was_recorded_is_found_after_catching_up(
    journal: Journal, digest: Projector, engine: Engine
) -> None:
    first = journal.add("我要退款")
    assert digest.catch_up() == 0
    second = journal.add("退款多久到账")
    assert found(engine, "退款") == [first]
    assert digest.catch_up() == 0
    assert found(engine, "退款") == [first, second]


def test_messages_are_counted_once_and_events_are_none(
    journal: Journal, digest: Projector, engine: Engine
) -> None:
    follower = journal.follower("o1")
    said = journal.add("在吗", follower_id=follower)
    journal.add("在", follower_id=follower, direction=Direction.OUT)
    last = journal.add("menu", follower_id=follower, kind="event", event="click")
    for _ in range(3):
        digest.catch_up()
    row = thread(engine, follower)
    assert (row.messages_in, row.messages_out) == (1, 1)
    assert (row.last_in_id, row.last_id) == (said, last)
    assert row.status == ConversationStatus.DONE


def test_a_follower_was_seen_with_the_last_push_whatever_it_was(
    journal: Journal, digest: Projector, engine: Engine
) -> None:
    quiet, lively = journal.follower("o1"), journal.follower("o2")
    hours = [NOON + timedelta(hours=hour) for hour in range(5)]
    journal.add(follower_id=lively, created_at=hours[2], kind="event", event="view")
    journal.add(follower_id=lively, created_at=hours[1])
    journal.add(follower_id=lively, created_at=hours[3], direction=Direction.OUT)
    journal.add(follower_id=quiet, created_at=hours[0] - timedelta(days=1))
    digest.catch_up()
    seen = select(Follower.id, Follower.last_seen_at)
    with engine.connect() as connection:
        assert dict(connection.execute(seen).all()) == {quiet: NOON, lively: hours[2]}
    journal.add(follower_id=lively, created_at=hours[4])
    digest.catch_up()
    with engine.connect() as connection:
        assert dict(connection.execute(seen).all()) == {quiet: NOON, lively: hours[4]}


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({"origin": CATCH_ALL}, ConversationStatus.OPEN),
        ({"origin": ""}, ConversationStatus.OPEN),
        ({"origin": "commands.show_help"}, ConversationStatus.DONE),
        ({"origin": "commands.show_help", "state": MessageState.FAILED}, ConversationStatus.OPEN),
        ({"origin": "commands.show_help", "state": MessageState.LATE}, ConversationStatus.OPEN),
        ({"origin": CATCH_ALL, "kind": "event", "event": "click"}, ConversationStatus.DONE),
    ],
)
def test_a_person_is_needed_where_no_handler_helped(
    make_app: MakeApp, columns: dict[str, Any], status: ConversationStatus
) -> None:
    with make_app().app_context():
        engine = db.engine
    journal = Journal(engine)
    follower = journal.follower("o1")
    journal.add(follower_id=follower, **columns)
    Projector(engine, router).catch_up()
    row = thread(engine, follower)
    assert row.status == status
    assert (row.waiting_since is None) == (status is ConversationStatus.DONE)


def test_a_follower_waits_since_the_first_message_that_nobody_looked_after(
    journal: Journal, digest: Projector, engine: Engine
) -> None:
    follower = journal.follower("o1")
    journal.add("帮助", follower_id=follower, created_at=NOON - timedelta(minutes=1))
    first, *_later = (
        journal.add(follower_id=follower, origin=CATCH_ALL, created_at=NOON + timedelta(minutes=minutes))
        for minutes in range(3)
    )
    for _ in range(2):
        digest.catch_up()
        row = thread(engine, follower)
        assert (row.waiting_since.replace(tzinfo=UTC), row.waiting_id) == (NOON, first)
        journal.add("帮助", follower_id=follower)
    journal.add(follower_id=follower, direction=Direction.OUT, origin="operator:1", operator_id=1)
    digest.catch_up()
    row = thread(engine, follower)
    assert (row.waiting_since, row.waiting_id) == (None, None)


def test_a_waiting_conversation_opens_when_the_follower_speaks(
    journal: Journal, digest: Projector, engine: Engine
) -> None:
    follower = journal.follower("o1")
    journal.add(follower_id=follower)
    digest.catch_up()
    with transaction(engine) as connection:
        connection.execute(update(Conversation).values(status=ConversationStatus.WAITING))
    journal.add(follower_id=follower, kind="event", event="view")
    digest.catch_up()
    assert thread(engine, follower).status == ConversationStatus.WAITING
    journal.add(follower_id=follower)
    digest.catch_up()
    assert thread(engine, follower).status == ConversationStatus.OPEN


def test_a_person_is_needed_when_a_slow_handler_fails_in_the_end(
    journal: Journal, digest: Projector, engine: Engine
) -> None:
    follower = journal.follower("o1")
    message = journal.add(follower_id=follower, state=MessageState.RECEIVED)
    digest.catch_up()
    assert thread(engine, follower).status == ConversationStatus.DONE
    with transaction(engine) as connection:
        connection.execute(
            update(MessageLog).where(MessageLog.id == message).values(state=MessageState.FAILED)
        )
    digest.catch_up()
    assert thread(engine, follower).status == ConversationStatus.OPEN
    assert thread(engine, follower).messages_in == 1


def test_a_message_that_is_committed_late_is_not_missed(make_app: MakeApp, server_database: str) -> None:
    with make_app(database_url=server_database, database_connections=2).app_context():
        engine = db.engine
    journal, digest = Journal(engine), Projector(engine, router)
    follower, other, now = journal.follower("o1"), journal.follower("o2"), datetime.now(UTC)
    with engine.begin() as connection:
        late = journal.insert(connection, "退款", follower_id=follower, created_at=now)
        journal.insert(connection, "退款", follower_id=follower, created_at=now)
        journal.add("退款", follower_id=other, created_at=now)
        digest.catch_up()
        assert len(found(engine, "退款")) == 1
    digest.catch_up()
    digest.catch_up()
    assert found(engine, "退款") == [late, late + 1, late + 2]
    assert (thread(engine, follower).messages_in, thread(engine, other).messages_in) == (2, 1)
    with engine.connect() as connection:
        gaps = connection.scalars(select(Progress.gaps).where(Progress.name == "messages")).one()
    assert [gap for gap in gaps if gap[0] >= late] == []


def test_missing_ids_are_looked_for_for_a_minute() -> None:
    now = datetime.now(UTC)
    position = Watermark(0, []).advanced([(3, now), (7, now)], [], now.timestamp())
    assert position.id == 7
    assert [gap[:2] for gap in position.gaps] == [[1, 2], [4, 6]]
    found_one = position.advanced([], {5}, now.timestamp())
    assert [gap[:2] for gap in found_one.gaps] == [[1, 2], [4, 4], [6, 6]]
    assert found_one.advanced([], [], now.timestamp() + GAP_TIMEOUT + 1).gaps == []


def test_ids_that_are_missing_since_long_ago_are_not_looked_for() -> None:
    now = datetime.now(UTC)
    old = now - timedelta(days=1)
    assert Watermark(0, []).advanced([(5, old), (9, old)], [], now.timestamp()).gaps == []
    many = [(2 * number, now) for number in range(1, MAX_GAPS + 50)]
    assert len(Watermark(0, []).advanced(many, [], now.timestamp()).gaps) == MAX_GAPS


def test_many_may_catch_up_at_once(journal: Journal, digest: Projector, engine: Engine) -> None:
    digest.at_once = 50  # they share one connection, for which none waits long
    follower = journal.follower("o1")
    journal.add_many([f"第{number}条" for number in range(150)], follower_id=follower)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: digest.catch_up(30), range(4)))
    assert thread(engine, follower).messages_in == 150
    assert len(found(engine, "条")) == 150


def test_catching_up_ends_in_time_and_tells_what_is_left(journal: Journal, digest: Projector) -> None:
    journal.add_many(["你好"] * (2 * digest.at_once + 1))
    assert digest.catch_up(0) == digest.at_once + 1
    assert digest.catch_up(0) == 1
    assert digest.catch_up() == 0


def test_what_comes_meanwhile_is_left_for_later(
    journal: Journal, digest: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a load of pushes is digested in steps of a few rows, which never end."""
    steps, write = [], digest._write_messages

    def write_while_another_comes(*values: Any) -> bool:
        steps.append(values)
        journal.add("又一条")
        return write(*values)

    monkeypatch.setattr(digest, "_write_messages", write_while_another_comes)
    journal.add("第一条")
    assert digest.catch_up() == 0
    assert len(steps) == 1
    assert digest.backlog() == 1


def test_the_worker_leaves_a_storm_for_later(journal: Journal, digest: Projector, engine: Engine) -> None:
    digest.catch_up_when_quiet(10)
    journal.add_many(["第一阵"] * 4000)
    digest._look = replace(digest._look, seconds=time.monotonic())  # however long that took
    digest.catch_up_when_quiet(10)
    assert digest.backlog() == 4000
    assert digest.catch_up(60) == 0
    assert len(found(engine, "第一阵")) == 4000
    last = journal.add("第二阵")
    digest.catch_up_when_quiet(10)
    assert found(engine, "第二阵") == [last]


def test_pages_leave_to_the_worker_what_has_just_come(journal: Journal, digest: Projector) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=1)
    journal.add_many(["你好"] * (MIN_LEFT_ROWS - 1), created_at=soon)
    assert (digest.catch_up_for_page(10), digest.backlog()) == (0, 0)
    journal.add_many(["你好"] * MIN_LEFT_ROWS, created_at=soon)
    assert (digest.catch_up_for_page(10), digest.backlog()) == (0, MIN_LEFT_ROWS)
    digest.catch_up()
    journal.add_many(["你好"] * MIN_LEFT_ROWS, created_at=NOON)
    assert (digest.catch_up_for_page(10), digest.backlog()) == (0, 0)


def test_the_ids_between_two_months_are_no_messages(journal: Journal, digest: Projector) -> None:
    journal.add()
    digest.catch_up()
    journal.add(id=first_id(NOON) + 2)
    assert digest.backlog() == 2
    digest.catch_up()
    digest.rebuild_search()
    assert digest.backlog() == 2 + 1


def test_hours_have_their_first_message(journal: Journal, digest: Projector, engine: Engine) -> None:
    noon = int(NOON.timestamp()) // 3600
    ids = [journal.add(created_at=NOON + timedelta(minutes=minutes)) for minutes in (5, 59, 60, 200)]
    digest.catch_up()
    with engine.connect() as connection:
        hours = connection.execute(select(HourIndex.hour, HourIndex.first_id).order_by(HourIndex.hour)).all()
    assert [tuple(row) for row in hours] == [(noon, ids[0]), (noon + 1, ids[2]), (noon + 3, ids[3])]


def test_new_followers_and_those_who_follow_again_are_found(
    journal: Journal, digest: Projector, engine: Engine
) -> None:
    follower = journal.follower("oXyz", scene="spring")
    digest.catch_up()
    assert found(engine, "xyz spring", FOLLOWERS) == [follower]
    with transaction(engine) as connection:
        connection.execute(update(Follower).values(scene="autumn"))
    journal.add("autumn", follower_id=follower, kind="event", event="subscribe")
    digest.catch_up()
    assert found(engine, "autumn", FOLLOWERS) == [follower]


def test_the_index_is_built_again_and_nothing_else_changes(
    journal: Journal, digest: Projector, engine: Engine
) -> None:
    follower = journal.follower("o1")
    journal.add_many(["退款"] * (2 * digest.at_once + 10), follower_id=follower, origin=CATCH_ALL)
    digest.catch_up()
    with transaction(engine) as connection:
        connection.execute(update(Conversation).values(status=ConversationStatus.DONE, waiting_since=None))
    before, everything = thread(engine, follower), found(engine, "退款")
    digest.rebuild_search()
    assert digest.backlog() == everything[-1] + follower
    assert found(engine, "退款") == []
    assert digest.catch_up(0) == everything[-1]  # the followers come first
    left = digest.catch_up(0)
    digest.rebuild_search()  # goes on where it was
    assert digest.backlog() == left < everything[-1]
    newest = journal.add("退款", follower_id=follower)
    digest.catch_up()
    assert found(engine, "退款") == [*everything, newest]
    after = thread(engine, follower)
    assert after.messages_in == before.messages_in + 1
    assert after.status == ConversationStatus.DONE
