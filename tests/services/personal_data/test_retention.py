"""Data is kept for as long as an account's policy says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, insert, select, update

from tests.conftest import MakeApp
from tests.services.messages.journal import CATCH_ALL, NOON
from tests.services.personal_data.people import FILE, People
from tests.services.personal_data.test_erasure import count, files
from wechat_bot.database.transactions import write
from wechat_bot.extensions import db
from wechat_bot.models import (
    AuditEntry,
    Conversation,
    HandoverEvent,
    Media,
    MediaState,
    MessageLog,
    MessageState,
    ModelAnswer,
    Outcome,
    QuestionGroup,
)
from wechat_bot.models.rows import new_row
from wechat_bot.routing import strict_json
from wechat_bot.routing.strict_json import InvalidDefinition
from wechat_bot.services.audit import Actor, record_now
from wechat_bot.services.media import discarding
from wechat_bot.services.messages import history
from wechat_bot.services.messages.filters import MessageFilter
from wechat_bot.services.personal_data.retention import (
    PolicyChanged,
    RetentionPolicy,
    apply_policy,
    load_policy,
    save_policy,
)
from wechat_bot.wiring import services

ADMIN = Actor(None, "li", "")
DAY = timedelta(days=1)
LATER = NOON + 100 * DAY


def keep(engine: Engine, account_id: int, now: datetime = LATER, **days: int) -> None:
    """Set a policy and let it be applied."""
    with engine.connect() as connection:
        version = load_policy(connection, account_id).version
    save_policy(engine, ADMIN, account_id, version, RetentionPolicy(**days))
    apply_policy(engine, account_id, now, seconds=60)


def test_old_messages_are_deleted_with_all_that_is_made_of_them(
    make_app: MakeApp, any_database: str, tmp_path: Path
) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        engine = db.engine
    people = People(app, engine)
    old, both = people.journal.follower("oWroteOnce"), people.journal.follower("oWroteAgain")
    people.say(old, "从前的问题")
    people.say(both, "从前的另一件事")
    recent = people.journal.add("现在的话", follower_id=both, created_at=LATER - DAY, origin=CATCH_ALL)
    waiting = people.journal.add("还在等", follower_id=both, direction="out", state=MessageState.READY)
    services(app).projector.catch_up()
    services(app).questions.catch_up(10)
    keep(engine, people.account_id, messages=30)
    with engine.connect() as connection:
        assert connection.scalars(select(MessageLog.id).order_by(MessageLog.id)).all() == [recent, waiting]
        rows = connection.execute(select(Conversation.follower_id, Conversation.last_in_id)).all()
        assert rows == [(both, recent)]
        assert history.page(connection, people.account_id, MessageFilter(q="从前")).rows == []
        assert connection.scalars(select(QuestionGroup.text)).all() == ["现在的话"]
    assert count(engine, Media) == 0
    discarding.delete_discarded(engine, people.store, datetime.now(UTC) + timedelta(hours=2))
    assert FILE not in files(tmp_path / "media")


def test_files_can_be_kept_for_a_shorter_time_than_messages(
    app: Flask, engine: Engine, people: People, tmp_path: Path
) -> None:
    people.say(people.journal.follower("o1"), "看这张图")
    services(app).projector.catch_up()
    keep(engine, people.account_id, media=100)
    assert count(engine, Media, Media.state == MediaState.STORED) == 1
    keep(engine, people.account_id, media=99)
    assert count(engine, Media, Media.state == MediaState.DELETED, Media.digest == "") == 1
    assert count(engine, MessageLog) == 3
    now = datetime.now(UTC)
    discarding.delete_discarded(engine, people.store, now)
    assert FILE in files(tmp_path / "media")  # somebody may be about to store the same
    people.store.put(FILE)
    discarding.delete_discarded(engine, people.store, now + timedelta(minutes=59, seconds=59))
    assert FILE in files(tmp_path / "media")
    discarding.delete_discarded(engine, people.store, now + timedelta(hours=2))
    assert FILE not in files(tmp_path / "media")


def test_each_kind_has_a_time_of_its_own(app: Flask, engine: Engine, people: People) -> None:
    people.add()
    made: dict[str, Any] = {
        "account_id": people.account_id,
        "profile_version": 1,
        "outcome": Outcome.ANSWERED,
    }
    for days in (182, 184):
        row = new_row(ModelAnswer, created_at=NOON - days * DAY, **made)
        write(engine, insert(ModelAnswer).values(row))
    write(engine, update(HandoverEvent).values(at=NOON))
    write(engine, update(AuditEntry).values(at=NOON))
    record_now(engine, people.operator, "exported")
    keep(engine, people.account_id, NOON + DAY, questions=1, handovers=1, audit=1, model_answers=183)
    assert count(engine, HandoverEvent) == 2  # not older than a day
    keep(engine, people.account_id, NOON + 2 * DAY, questions=1, handovers=1, audit=1, model_answers=184)
    assert count(engine, HandoverEvent) == 0
    assert count(engine, QuestionGroup) == 0
    assert count(engine, ModelAnswer) == 2
    with engine.connect() as connection:
        actions = connection.scalars(select(AuditEntry.action)).all()
    assert actions == ["exported", "retention_changed", "retention_changed"]
    assert count(engine, MessageLog) == 4


def test_without_a_policy_answers_of_the_assistant_are_kept_for_a_year(app: Flask, engine: Engine) -> None:
    account_id = services(app).account_id
    values: dict[str, Any] = {"account_id": account_id, "profile_version": 1, "outcome": Outcome.ANSWERED}
    for days in (364, 366):
        row = new_row(ModelAnswer, created_at=NOON - days * DAY, **values)
        write(engine, insert(ModelAnswer).values(row))
    apply_policy(engine, account_id + 1, NOON, seconds=10)
    assert count(engine, ModelAnswer) == 2
    apply_policy(engine, account_id, NOON, seconds=10)
    assert count(engine, ModelAnswer) == 1


@pytest.mark.parametrize("days", [{"model_answers": 182}, {"messages": -1}, {"audit": 40000}, {"media": "x"}])
def test_times_that_make_no_sense_or_are_too_short_are_refused(days: dict[str, Any]) -> None:
    with pytest.raises(InvalidDefinition):
        strict_json.read(RetentionPolicy, days)


def test_no_change_of_a_colleague_is_lost(app: Flask, engine: Engine) -> None:
    account_id = services(app).account_id
    save_policy(engine, ADMIN, account_id, 0, RetentionPolicy(messages=30))
    with pytest.raises(PolicyChanged):
        save_policy(engine, ADMIN, account_id, 0, RetentionPolicy(messages=60))
    save_policy(engine, ADMIN, account_id, 1, RetentionPolicy(messages=30))  # nothing changes
    with engine.connect() as connection:
        stored = load_policy(connection, account_id)
    assert (stored.policy.messages, stored.version) == (30, 1)
