"""Sample messages are recorded as if they had been pushed."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import Engine, func, select

from tests.conftest import MakeApp
from wechat_bot import create_app
from wechat_bot.extensions import db
from wechat_bot.handlers import router
from wechat_bot.models import BotSession, Channel, Direction, Follower, Handover, MessageLog, MessageState
from wechat_bot.sample_data import AlreadyUsed, Plan, seed
from wechat_bot.sample_data.dialogues import dialogues
from wechat_bot.sample_data.traffic import ZONE
from wechat_bot.services.projections.projector import Projector
from wechat_bot.settings import Environment, Settings
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat import parsing
from wechat_bot.wiring import services

UNTIL = datetime(2026, 11, 24, 12, tzinfo=UTC)


def plan(count: int, **more: Any) -> Plan:
    return Plan(messages=count, until=UNTIL, **more)


def filled(app: Flask, wanted: Plan) -> Engine:
    with app.app_context():
        engine = db.engine
    seed(engine, router, "", wanted)
    return engine


def logs(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        rows = select(MessageLog, Follower.openid).outerjoin(Follower, Follower.id == MessageLog.follower_id)
        return list(connection.execute(rows.order_by(MessageLog.id)))


def followers(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(Follower).order_by(Follower.openid)))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Three thousand rows of the message log."""
    folder: Path = tmp_path_factory.mktemp("seed")
    app = create_app(Settings(database_url=f"sqlite:///{folder}/bot.db"))
    with app.app_context():
        upgrade()
    recorded = logs(filled(app, plan(3000)))
    services(app).inbox.close()
    return recorded


def test_as_many_messages_as_wanted_are_recorded_on_every_database(
    make_app: MakeApp, any_database: str
) -> None:
    engine = filled(make_app(database_url=any_database), plan(701, followers=20))
    assert len(logs(engine)) == 701
    count = len(followers(engine))
    assert 10 < count <= 20
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(BotSession)) == count


def test_the_same_plan_makes_the_same_rows(make_app: MakeApp, tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two", "three")]
    seeds = (1, 1, 2)
    first, again, other = (
        filled(make_app(database_url=url), plan(300, seed=seed))
        for url, seed in zip(urls, seeds, strict=True)
    )
    assert logs(first) == logs(again)
    assert followers(first) == followers(again)
    assert {log.dedup_key for log in logs(first)}.isdisjoint(log.dedup_key for log in logs(other))


RECEIVED = ("openid", "kind", "event", "text", "payload", "platform_id", "created_at")
ANSWERED = ("openid", "channel", "kind", "text", "payload", "state", "attempts", "origin")
FOLLOWER = ("openid", "subscribed", "status_at", "follow_count", "scene")


def test_a_seeded_message_equals_what_pushing_it_would_have_stored(make_app: MakeApp, tmp_path: Path) -> None:
    seeded = filled(make_app(database_url=f"sqlite:///{tmp_path}/seeded.db"), plan(500))
    app = make_app(database_url=f"sqlite:///{tmp_path}/pushed.db")
    platform = FakePlatform.of(app)
    for log in logs(seeded):
        if log.direction == Direction.IN:
            platform.push_once(log.payload)
    with app.app_context():
        pushed = {log.dedup_key: log for log in logs(db.engine)}
        assert values(followers(seeded), FOLLOWER) == values(followers(db.engine), FOLLOWER)
        handed_over = set(
            db.session.scalars(select(Follower.openid).join(Handover))
        )  # the bot is silent then
    received = [log for log in logs(seeded) if log.direction == Direction.IN]
    answers = [log for log in logs(seeded) if log.direction == Direction.OUT]
    by_handlers = [log for log in answers if not log.origin.startswith("shop.")]
    openids = {person.id: person.openid for person in followers(seeded)}
    by_handlers = [log for log in by_handlers if openids[log.follower_id] not in handed_over]
    assert len(by_handlers) > len(answers) / 10
    for sample, names in ((received, RECEIVED), (by_handlers, ANSWERED)):
        assert values(sample, names) == values([pushed[log.dedup_key] for log in sample], names)


def values(rows: list[Any], names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [tuple(getattr(row, name) for name in names) for row in rows]


def test_followers_were_seen_when_they_wrote(make_app: MakeApp) -> None:
    engine = filled(make_app(), plan(1500, followers=30))
    Projector(engine, router).catch_up(60)
    spoken = [log for log in logs(engine) if log.direction == Direction.IN and log.follower_id]
    for follower in followers(engine):
        times = [log.received_at for log in spoken if log.follower_id == follower.id]
        assert (follower.first_seen_at, follower.last_seen_at) == (times[0], times[-1])


def test_followers_come_with_scenes_leave_and_return(make_app: MakeApp) -> None:
    people = followers(filled(make_app(), plan(6000, followers=60)))
    assert {person.subscribed for person in people} == {True, False}
    assert {"spring-fair", "counter-7"} < {person.scene for person in people}
    assert max(person.follow_count for person in people) >= 2


def test_every_kind_of_message_is_there(recorded: list[Any]) -> None:
    kinds = {log.kind for log in recorded if log.direction == Direction.IN}
    assert kinds > {"text", "image", "voice", "video", "shortvideo", "location", "link", "file", "event"}
    assert {"sticker", "finder_card"} & kinds
    events = {log.event for log in recorded}
    assert events > {"subscribe", "unsubscribe", "scan", "click", "view", "location", "templatesendjobfinish"}
    assert {log.kind for log in recorded if log.direction == Direction.OUT} >= {"text", "news", "image"}
    assert {bool(log.text) for log in recorded if log.kind == "voice"} == {True, False}


def test_messages_go_well_but_for_a_few(make_app: MakeApp) -> None:
    recorded = logs(filled(make_app(), plan(12_000)))
    states = Counter(log.state for log in recorded)
    assert set(states) >= {
        MessageState.ANSWERED,
        MessageState.SENT,
        MessageState.FAILED,
        MessageState.LATE,
        MessageState.UNKNOWN,
    }
    assert states[MessageState.ANSWERED] + states[MessageState.SENT] > 0.98 * len(recorded)
    assert {log.attempts for log in recorded if log.direction == Direction.IN} == {1, 2, 3}
    assert {log.channel for log in recorded} == {None, Channel.REPLY, Channel.CUSTOMER}
    assert all(log.error for log in recorded if log.state in {MessageState.FAILED, MessageState.UNKNOWN})


def test_messages_are_in_the_order_of_their_arrival_and_end_when_they_should(recorded: list[Any]) -> None:
    arrived = [log.received_at for log in recorded if log.direction == Direction.IN]
    assert arrived == sorted(arrived)
    assert UNTIL - timedelta(days=60) <= arrived[0] < UNTIL - timedelta(days=59)
    assert UNTIL - timedelta(hours=3) < arrived[-1] <= UNTIL


def test_people_write_by_day_more_than_at_night_and_few_write_much(recorded: list[Any]) -> None:
    hours = Counter(log.received_at.astimezone(ZONE).hour for log in recorded)
    assert sum(hours[hour] for hour in range(1, 5)) * 8 < sum(hours[hour] for hour in range(18, 22))
    busiest = Counter(log.follower_id for log in recorded).most_common()
    assert sum(count for _, count in busiest[: len(busiest) // 5]) > 0.35 * len(recorded)


def test_all_phone_numbers_are_made_up(recorded: list[Any]) -> None:
    texts = "\n".join(log.text for log in recorded)
    assert re.search("199-0000-[0-9]{4}", texts)
    assert not re.search(r"(?<![0-9])1[3-9][0-9]{9}(?![0-9])", texts)


def test_every_line_of_the_dialogues_can_be_said(make_app: MakeApp) -> None:
    topics = Counter(dialogue.topic for dialogue in dialogues())
    assert topics["退款"] >= 3
    assert sum(topics.values()) > 60
    recorded = logs(filled(make_app(), plan(9000)))
    assert not [log.text for log in recorded if re.search(r"[{}]", log.text)]
    for dialogue in dialogues():
        for line in dialogue.lines:
            if line.answer:
                assert any(log.origin == line.answer.origin for log in recorded), line.answer.origin


def test_messages_are_never_added_to_an_account_in_use_by_mistake(make_app: MakeApp) -> None:
    app = make_app()
    FakePlatform.of(app).text("帮助")
    with pytest.raises(AlreadyUsed):
        filled(app, plan(10))
    with app.app_context():
        seed(db.engine, router, "", plan(10), add=True)
        assert len(logs(db.engine)) == 12


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["wechat", "seed", *arguments])


def test_the_command_tells_what_it_did(app: Flask, engine: Engine) -> None:
    done = run(app, "--messages", "50", "--followers", "5", "--until", "2026-11-24T20:00:00+08:00")
    assert "50 messages of 5 followers." in done.output
    assert max(log.received_at for log in logs(engine)) <= UNTIL
    refused = run(app)
    assert (refused.exit_code, len(logs(engine))) == (1, 50)
    assert "Pass --add" in refused.output
    again = run(app, "--messages", "50", "--followers", "5", "--until", "2026-11-24T20:00+08:00", "--add")
    assert (again.exit_code, len(logs(engine))) == (1, 50)
    assert "another --seed" in again.output
    assert run(app, "--messages", "5", "--seed", "2", "--add").exit_code == 0
    assert len(logs(engine)) == 55


def test_a_time_that_is_none_is_told(app: Flask) -> None:
    assert "yesterday" in run(app, "--until", "yesterday").output


def test_production_is_not_filled_by_mistake(make_app: MakeApp) -> None:
    app = make_app(app_env=Environment.PRODUCTION, secret_key="a key for tests only")
    refused = run(app, "--messages", "5")
    assert refused.exit_code == 1
    assert "--yes" in refused.output
    assert run(app, "--messages", "5", "--yes").exit_code == 0


def test_seeded_fields_are_messages(recorded: list[Any]) -> None:
    for log in recorded:
        if log.direction == Direction.IN:
            assert parsing.parse(log.payload).dedup_key == log.dedup_key
