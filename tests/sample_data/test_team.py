"""Sample data includes the work of operators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import Engine, func, insert, select

from tests.conftest import MakeApp
from wechat_bot.extensions import db
from wechat_bot.handlers import router
from wechat_bot.models import (
    Conversation,
    ConversationStatus,
    Follower,
    FollowerTag,
    Media,
    MediaState,
    MessageLog,
    Note,
    Operator,
    Role,
    Tag,
)
from wechat_bot.sample_data.pictures import PICTURE_COUNT, attach_pictures
from wechat_bot.sample_data.team import OPEN_COUNT, UNREAD_COUNT
from wechat_bot.services.media.formats import identify
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services


def seeded(app: Flask, *operators: str) -> Engine:
    with app.app_context():
        engine = db.engine
    with engine.begin() as connection:
        for name in operators:
            connection.execute(
                insert(Operator).values(
                    name=name, role=Role.OPERATOR, password_hash="-", created_at=datetime.now(UTC)
                )
            )
    done = app.test_cli_runner().invoke(
        args=["wechat", "seed", "--messages", "2500", "--until", "2026-11-24"]
    )
    assert done.exit_code == 0, done.output
    return engine


def column(engine: Engine, query: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.scalars(query))


def test_everything_is_searchable_and_has_a_conversation(make_app: MakeApp, any_database: str) -> None:
    engine = seeded(make_app(database_url=any_database), "小王")
    with engine.connect() as connection:
        followers = connection.scalar(select(func.count()).select_from(Follower))
        assert connection.scalar(select(func.count()).select_from(Conversation)) == followers


def test_regulars_have_names_tags_and_stars(app: Flask) -> None:
    engine = seeded(app)
    assert {"小区团购群主王姐", "梧桐路店 沈先生"} <= set(column(engine, select(Follower.alias)))
    assert {"VIP", "投诉", "老客户", "待发货"} <= set(column(engine, select(Tag.name)))
    assert len(column(engine, select(FollowerTag.follower_id))) > 10
    assert True in column(engine, select(Conversation.starred))


def test_old_conversations_are_done_and_new_ones_unread(app: Flask) -> None:
    engine = seeded(app)
    waiting = column(
        engine, select(Conversation.follower_id).where(Conversation.status == ConversationStatus.OPEN)
    )
    assert 0 < len(waiting) <= OPEN_COUNT
    unread = column(
        engine, select(Conversation.follower_id).where(Conversation.read_id < Conversation.last_id)
    )
    assert len(unread) == UNREAD_COUNT


def test_open_conversations_wait_since_a_question_that_nobody_answered(app: Flask) -> None:
    engine = seeded(app)
    asked = select(MessageLog.origin, MessageLog.created_at == Conversation.waiting_since).join(
        Conversation, Conversation.waiting_id == MessageLog.id
    )
    with engine.connect() as connection:
        origins, times = zip(*connection.execute(asked), strict=True)
    assert set(origins) <= router.catch_alls()
    assert set(times) == {True}


def test_operators_share_the_work_and_leave_notes(app: Flask) -> None:
    engine = seeded(app, "小王", "小李")
    assert len(set(column(engine, select(Conversation.assignee_id)))) == 3  # both, and nobody
    assert len(set(column(engine, select(Note.operator_id)))) == 2
    assert set(column(engine, select(Conversation.status))) == set(ConversationStatus)


def test_pictures_of_made_up_followers_are_there_to_be_seen(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    engine = seeded(app)
    with engine.connect() as connection:
        pictures = connection.execute(select(Media.__table__).where(Media.kind == "image")).all()
    assert {row.state for row in pictures} == {MediaState.STORED}
    assert len({row.digest for row in pictures}) == PICTURE_COUNT
    archive = services(app).archive
    for row in pictures[:3]:
        assert identify("image", archive.read(row.digest), row.size).content_type == row.content_type
        assert archive.read(row.thumbnail)


def test_pictures_of_real_followers_stay_wanted(app: Flask, engine: Engine) -> None:
    FakePlatform.of(app).image()
    services(app).projector.catch_up()
    attach_pictures(engine, services(app).archive, seed=1)
    assert column(engine, select(Media.state)) == [MediaState.WANTED]
