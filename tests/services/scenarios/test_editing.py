"""Scenarios are stored with their results, and nobody's change is overwritten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import insert, select

from tests.conftest import MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import AuditEntry, Follower, FollowerTag, MessageLog, ScenarioResult, Tag
from wechat_bot.models.rows import new_row
from wechat_bot.services.audit import Actor
from wechat_bot.services.rules import editing as rules_editing
from wechat_bot.services.scenarios import editing, reading
from wechat_bot.services.scenarios.editing import ScenarioConflict, ScenarioNotFound
from wechat_bot.simulator.scenarios import Expectation, Scenario, Step, action
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

ACTOR = Actor(None, "阿珍", "")
HELP = Scenario("帮助", (Step(action("send", "帮助"), Expectation("contains", "改名")),))
RULE = {
    "name": "帮助",
    "trigger": {"type": "menu", "keys": ["A"]},
    "answers": [{"kind": "text", "text": "改名"}],
}


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Iterator[Flask]:
    app = make_app(database_url=any_database)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def account_id(app: Flask) -> int:
    return services(app).account_id


def entries(account_id: int) -> list[reading.ScenarioEntry]:
    with db.engine.connect() as connection:
        return reading.load(connection, account_id)


def test_results_are_stored_and_are_old_once_a_rule_changes(app: Flask, account_id: int) -> None:
    editing.add(db.engine, ACTOR, account_id, [HELP, replace(HELP, name="二")])
    assert [entry.last for entry in entries(account_id)] == [None, None]
    services(app).scenarios.run(ACTOR, account_id)
    services(app).scenarios.run(Actor(None, "小王", ""), account_id)
    for entry in entries(account_id):
        assert entry.last
        assert (entry.last.passed, entry.last.operator, entry.last.is_old) == (True, "小王", False)
        assert entry.last.steps[0].by == "commands.show_help"
    rules_editing.create(db.engine, ACTOR, account_id, RULE)
    assert [entry.last and entry.last.is_old for entry in entries(account_id)] == [True, True]


def test_who_saves_second_is_told_and_overwrites_nothing(app: Flask, account_id: int) -> None:
    [scenario_id] = editing.add(db.engine, ACTOR, account_id, [HELP])
    services(app).scenarios.run(ACTOR, account_id)
    editing.save(db.engine, ACTOR, account_id, scenario_id, 1, HELP)  # nothing has changed
    editing.save(db.engine, ACTOR, account_id, scenario_id, 1, replace(HELP, name="我的"))
    with pytest.raises(ScenarioConflict) as conflict:
        editing.save(db.engine, ACTOR, account_id, scenario_id, 1, replace(HELP, name="对方的"))
    assert (conflict.value.current.version, conflict.value.current.scenario.name) == (2, "我的")
    assert entries(account_id)[0].last is None  # it was of another conversation
    services(app).scenarios.run(ACTOR, account_id)
    editing.remove(db.engine, ACTOR, account_id, scenario_id)
    assert db.session.scalars(select(ScenarioResult.scenario_id)).all() == []
    with pytest.raises(ScenarioNotFound):
        editing.remove(db.engine, ACTOR, account_id, scenario_id)
    actions = db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions == ["scenario_added", "scenario_edited", "scenario_deleted"]


def test_scenarios_of_other_accounts_are_out_of_reach(app: Flask, account_id: int) -> None:
    [scenario_id] = editing.add(db.engine, ACTOR, account_id, [HELP])
    assert entries(account_id + 1) == []
    with pytest.raises(ScenarioNotFound):
        editing.save(db.engine, ACTOR, account_id + 1, scenario_id, 1, HELP)
    FakePlatform.of(app).text("帮助")
    assert services(app).scenarios.recorded(account_id + 1, 1, 5) is None


def test_a_conversation_of_the_log_becomes_a_scenario(app: Flask, account_id: int) -> None:
    platform = FakePlatform.of(app)
    for text in ("你好", "改名", "小明", "我是谁"):
        platform.text(text)
    last = db.session.scalars(select(MessageLog.id).where(MessageLog.text == "我是谁")).one()
    found = services(app).scenarios.recorded(account_id, last, 3)
    assert found == Scenario(
        "",
        (
            Step(action("send", "改名"), Expectation("text", "怎么称呼你？发送“取消”不改。")),
            Step(action("send", "小明"), Expectation("text", "好的，小明。")),
            Step(action("send", "我是谁"), Expectation("text", "你是小明。")),
        ),
    )
    assert services(app).scenarios.recorded(account_id, 10_000, 3) is None


def test_it_has_times_and_tags_only_if_the_answers_depend_on_them(app: Flask, account_id: int) -> None:
    platform = FakePlatform.of(app)
    platform.text("你好")
    tag = new_row(Tag, account_id=account_id, name="会员", colour="blue")
    with db.engine.begin() as connection:
        connection.execute(insert(Tag).values(tag))
        ids = {
            "follower_id": connection.scalar(select(Follower.id)),
            "tag_id": connection.scalar(select(Tag.id)),
        }
        connection.execute(insert(FollowerTag).values(ids))
    member = {**RULE, "trigger": {"type": "text"}, "audience": {"tags": ["会员"]}}
    pattern = [{"match": "contains", "text": "价格"}]
    rules_editing.create(db.engine, ACTOR, account_id, {**member, "patterns": pattern})
    platform.text("价格")
    last = db.session.scalars(select(MessageLog.id).where(MessageLog.text == "价格")).one()
    found = services(app).scenarios.recorded(account_id, last, 1)
    assert found
    assert found.tags == ("会员",)
    assert found.steps[0].at
    editing.add(db.engine, ACTOR, account_id, [replace(found, name="会员")])
    [played] = services(app).scenarios.run(ACTOR, account_id)
    assert played.passed
