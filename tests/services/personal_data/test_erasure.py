"""A follower who wants to be forgotten is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select, text

from tests.conftest import MakeApp
from tests.services.messages.journal import NOON, Journal
from tests.services.personal_data.people import FILE, OPENID, UNIONID, WORDS, People
from wechat_bot import worker
from wechat_bot.database.transactions import transaction
from wechat_bot.extensions import Model, db
from wechat_bot.models import (
    AuditEntry,
    Erasure,
    Follower,
    KnowledgePair,
    MessageLog,
    MessageState,
    ModelAnswer,
    QuestionExample,
    QuestionGroup,
)
from wechat_bot.routing import Context, Router
from wechat_bot.services.audit import Actor
from wechat_bot.services.health.heartbeats import heartbeat
from wechat_bot.services.knowledge import pairs
from wechat_bot.services.media import discarding
from wechat_bot.services.messages import history
from wechat_bot.services.messages.filters import MessageFilter
from wechat_bot.services.personal_data import deletion
from wechat_bot.services.personal_data.places import FOLLOWER, MESSAGES, OF_MESSAGES, PLACES
from wechat_bot.services.personal_data.register import Register
from wechat_bot.services.search.index import FOLLOWERS
from wechat_bot.services.search.index import MESSAGES as SEARCH
from wechat_bot.services.search.tokens import label
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wiring import services

ADMIN = Actor(None, "li", "")
REFERENCES = {"follower_id", "openid", "unionid", "message_id", "last_message_id", "note_id", "dedup_key"}
KNOWN = {"erasures": "the id alone, of which nothing is left"}
"""Tables that refer to followers and are no places of their data."""


def erase(app: Flask, follower_id: int) -> int:
    """Erase a follower, and return the id of the erasure."""
    bot = services(app)
    erasure_id = bot.erasures.begin(ADMIN, bot.account_id, follower_id)
    assert bot.erasures.run(erasure_id)
    return erasure_id


def everything(engine: Engine) -> str:
    """All that is in the database, as text."""
    with engine.connect() as connection:
        tables = [*MessageLog.metadata.sorted_tables, text("follower_search")]
        return "\n".join(
            f"{table} {tuple(row)!r}"
            for table in tables
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        )


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def count(engine: Engine, model: type[Model], *where: Any) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(model).where(*where)) or 0


def test_the_list_of_places_has_every_column_that_refers_to_a_follower() -> None:
    listed = {place.model.__tablename__ for place in (FOLLOWER, MESSAGES, *PLACES)}
    listed |= {model.__tablename__ for model in OF_MESSAGES}
    for table in MessageLog.metadata.sorted_tables:
        targets = {key.column.table.name for column in table.c for key in column.foreign_keys}
        refers = REFERENCES & set(table.c.keys()) or targets & {"followers", "message_logs", "notes", "media"}
        assert not refers or table.name in listed | KNOWN.keys(), (
            f"{table.name} refers to followers: say in services/personal_data/places.py what becomes of it"
        )


def test_nothing_in_any_database_tells_who_it_was_or_what_they_said(
    make_app: MakeApp, any_database: str, tmp_path: Path
) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        engine = db.engine
    people = People(app, engine)
    follower_id = people.add()
    for place in (FOLLOWER, MESSAGES, *PLACES):
        assert count(engine, place.model, place.of(follower_id)), place.model
    known = everything(engine)
    assert all(mark in known for mark in (OPENID, UNIONID, WORDS))

    erase(app, follower_id)
    left = everything(engine)
    assert not [line for line in left.splitlines() for mark in (OPENID, UNIONID, WORDS) if mark in line]
    dialect = engine.dialect.name
    with engine.connect() as connection:
        of_follower = SEARCH.contains(dialect, [label("follower", str(follower_id))])
        assert connection.scalars(select(SEARCH.id_column(dialect)).where(of_follower)).all() == []
        followers = FOLLOWERS.id_column(dialect)
        assert connection.scalars(select(followers).where(followers == follower_id)).all() == []
        assert history.page(connection, people.account_id, MessageFilter(q=WORDS)).rows == []
    discarding.delete_discarded(engine, people.store, datetime.now(UTC) + timedelta(hours=2))
    assert FILE not in files(tmp_path / "media")
    for kept in (ModelAnswer.cost == 0.25, ModelAnswer.follower_id.is_(None)):
        assert count(engine, ModelAnswer, kept) == 1  # the record of what the model did, without the person
    assert count(engine, AuditEntry, AuditEntry.action == "note_added") == 1


def test_another_follower_loses_nothing(app: Flask, engine: Engine, people: People, tmp_path: Path) -> None:
    other = people.add("oAnotherFollower", "绿色的青蛙跳进了池塘")
    shared = people.add()
    before = [line for line in everything(engine).splitlines() if "绿色的青蛙" in line]
    erase(app, shared)
    after = everything(engine).splitlines()
    assert [line for line in before if line not in after] == []
    for place in (FOLLOWER, MESSAGES, *PLACES):
        assert count(engine, place.model, place.of(other)), place.model
    discarding.delete_discarded(engine, people.store, datetime.now(UTC) + timedelta(hours=2))
    assert FILE in files(tmp_path / "media")  # both sent the same picture
    with engine.connect() as connection:
        assert len(history.page(connection, people.account_id, MessageFilter(q="绿色的青蛙")).rows) == 2


def test_who_writes_again_is_a_new_follower(app: Flask, engine: Engine) -> None:
    platform = FakePlatform.of(app).follower(OPENID)
    assert platform.text("你好") is not None
    bot = services(app)
    with engine.connect() as connection:
        first = connection.scalars(select(Follower.id)).one()
    erasure_id = bot.erasures.begin(ADMIN, bot.account_id, first)
    platform.text("还在吗")  # while it goes on
    assert bot.erasures.run(erasure_id)
    platform.text("在吗")
    with engine.connect() as connection:
        [(second, openid)] = connection.execute(select(Follower.id, Follower.openid)).all()
        texts = connection.scalars(select(MessageLog.text).where(MessageLog.direction == "in")).all()
    assert second > first
    assert (openid, texts) == (OPENID, ["还在吗", "在吗"])


@pytest.mark.parametrize("is_slow", [False, True])
def test_whoever_is_erased_while_a_message_is_handled_loses_nothing_but_the_past(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, is_slow: bool
) -> None:
    """The handler stands for an admin who is faster than it."""
    router = Router()
    erasures: list[int] = []

    @router.on(TextMessage, slow=is_slow)
    def answer(message: TextMessage, ctx: Context) -> str:
        if message.content == "再见" and not erasures:
            with ctx.services.engine.connect() as connection:
                follower_id = connection.scalars(select(Follower.id)).one()
            erasures.append(erase(app, follower_id))
        return "好的"

    app = make_app(router)
    platform = FakePlatform.of(app).follower(OPENID)
    assert platform.text("你好") == "好的"
    said = platform.text("再见")
    assert said == (None if is_slow else "好的")
    assert platform.text("又来了") == "好的"
    with app.app_context():
        [openid] = db.session.scalars(select(Follower.openid)).all()
        texts = db.session.scalars(select(MessageLog.text).where(MessageLog.direction == "in")).all()
    assert (openid, texts) == (OPENID, ["又来了"] if is_slow else ["再见", "又来了"])
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_ids_are_not_given_again(engine: Engine) -> None:
    journal = Journal(engine)
    follower, message = journal.follower("o1"), journal.add()
    with transaction(engine) as connection:
        connection.execute(text("DELETE FROM message_logs"))
        connection.execute(text("DELETE FROM followers"))
    assert (journal.follower("o2"), journal.add()) == (follower + 1, message + 1)


def test_messages_that_wait_are_not_sent_to_nobody(app: Flask, engine: Engine) -> None:
    journal = Journal(engine)
    follower_id = journal.follower(OPENID)
    journal.add(follower_id=follower_id, direction="out", state=MessageState.QUEUED, channel="customer")
    journal.add(follower_id=follower_id, state=MessageState.RECEIVED)
    services(app).erasures.begin(ADMIN, journal.account_id, follower_id)
    with engine.connect() as connection:
        states = connection.scalars(select(MessageLog.state).order_by(MessageLog.id)).all()
    assert states == [MessageState.WITHHELD, MessageState.FAILED]


def test_an_erasure_goes_on_where_it_was_interrupted(
    app: Flask, engine: Engine, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "BATCH_SIZE", 10)
    follower_id = people.add()
    people.journal.add_many([f"{WORDS}{number}" for number in range(95)], follower_id=follower_id)
    erasures = services(app).erasures
    erasure_id = erasures.begin(ADMIN, people.account_id, follower_id)
    assert erasures.begin(ADMIN, people.account_id, follower_id) == erasure_id  # asked for twice, it is one
    assert not erasures.run(erasure_id, deadline=0)
    assert count(engine, MessageLog, MESSAGES.of(follower_id)) == 88
    steps: list[tuple[int, int]] = []
    while not erasures.run(erasure_id, lambda *step: steps.append(step)):
        pass
    assert steps == [*((done, 98) for done in range(20, 91, 10)), (98, 98)]
    erasures.work(people.account_id, seconds=10)
    with engine.connect() as connection:
        erasure = connection.execute(select(Erasure.__table__)).one()
        actions = connection.scalars(select(AuditEntry.action).where(AuditEntry.action.startswith("erasure")))
        assert actions.all() == ["erasure_begun", "erasure_finished"]
    assert (erasure.done, erasure.total, erasure.finished_at is None) == (98, 98, False)
    assert WORDS not in everything(engine)


def test_the_leader_of_the_workers_does_it(app: Flask, engine: Engine, people: People) -> None:
    bot = services(app)
    bot.erasures.begin(ADMIN, people.account_id, people.add())
    with app.app_context():
        worker.erase_followers(app, "host:1")
        assert count(engine, Erasure, Erasure.finished_at.is_(None)) == 1
        heartbeat(engine, "host:1")
        worker.erase_followers(app, "host:1")
        worker.delete_old_data(app, "host:1")
    assert count(engine, Erasure, Erasure.finished_at.is_(None)) == 0


def test_a_message_that_is_still_to_be_processed_is_waited_for(
    app: Flask, engine: Engine, people: People
) -> None:
    """Or the search index would get its words after it is deleted."""
    follower_id = people.add()
    people.say(follower_id, f"{WORDS}了")
    assert len(deletion.delete_messages(engine, MESSAGES.of(follower_id))) == 3
    assert deletion.delete_messages(engine, MESSAGES.of(follower_id)) == []
    assert count(engine, MessageLog, MESSAGES.of(follower_id)) == 3
    erase(app, follower_id)
    assert WORDS not in everything(engine)


def test_a_question_that_others_ask_too_takes_their_words(app: Flask, engine: Engine, people: People) -> None:
    follower_id = people.add(words="你们的店明天几点开门呢")
    other = people.journal.follower("oAnotherFollower")
    people.say(other, "你们的店明天几点开门啊")
    services(app).projector.catch_up()
    services(app).questions.catch_up(10)
    assert count(engine, QuestionGroup) == 1
    erase(app, follower_id)
    with engine.connect() as connection:
        group = connection.execute(select(QuestionGroup.text, QuestionGroup.asked)).one()
        assert group == ("你们的店明天几点开门啊", 2)
    people.say(people.journal.follower("oThirdFollower"), "你们的店明天几点开门啊！")
    services(app).projector.catch_up()
    services(app).questions.catch_up(10)
    assert (count(engine, QuestionGroup), count(engine, QuestionExample)) == (1, 2)


def test_admins_hear_which_texts_of_operators_repeat_a_message(
    app: Flask, engine: Engine, people: People
) -> None:
    pair_id = pairs.create(engine, ADMIN, people.account_id, {"question": WORDS, "answer": "是的"})
    pairs.create(engine, ADMIN, people.account_id, {"question": "你们在哪儿", "answer": "在河边"})
    erasure_id = erase(app, people.add())
    with engine.connect() as connection:
        copies = connection.scalar(select(Erasure.copies).where(Erasure.id == erasure_id))
    assert copies == [f"pair:{pair_id}"]
    assert count(engine, KnowledgePair) == 2


def test_after_a_restore_the_register_tells_whom_to_erase_again(
    app: Flask, engine: Engine, people: People, tmp_path: Path
) -> None:
    follower_id, erasures = people.add(), services(app).erasures
    with pytest.raises(FileNotFoundError):
        erasures.begin_again(ADMIN, people.account_id)
    erase(app, follower_id)
    assert OPENID not in erasures.register.path.read_text()
    now = datetime.now(UTC)
    restored = people.journal.follower(OPENID, first_seen_at=NOON)
    people.journal.follower("oAnotherFollower", first_seen_at=NOON)
    assert erasures.begin_again(ADMIN, people.account_id) == 1
    assert erasures.begin_again(ADMIN, people.account_id) == 0
    erasures.work(people.account_id, seconds=10)
    came_back = people.journal.follower(OPENID, first_seen_at=now + timedelta(days=1))
    assert erasures.begin_again(ADMIN, people.account_id) == 0
    with engine.connect() as connection:
        assert came_back in connection.scalars(select(Follower.id)).all()
        assert restored not in connection.scalars(select(Follower.id)).all()


def test_the_register_is_read_with_the_previous_key_too(tmp_path: Path) -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    Register(tmp_path, ["old"]).add(OPENID, at)
    assert Register(tmp_path, ["new", "old"]).read().when(OPENID) == at
    assert Register(tmp_path, ["new"]).read().when(OPENID) is None
    assert Register(tmp_path, ["old"]).path.stat().st_mode & 0o777 == 0o600
