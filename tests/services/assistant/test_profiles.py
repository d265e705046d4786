"""Profiles are saved once, with their history; keys stay sealed."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import Engine, select, text

from tests.conftest import MakeApp, statements
from wechat_bot.extensions import db
from wechat_bot.models import AuditEntry, Change
from wechat_bot.routing.strict_json import InvalidDefinition
from wechat_bot.services.assistant.profile import AssistantProfile
from wechat_bot.services.assistant.profiles import KEPT, Conflict, ProfileNotFound, Profiles
from wechat_bot.services.audit import Actor
from wechat_bot.services.operators.sealing import Sealer
from wechat_bot.wiring import services

KEY = "sk-4f1c9a7d2e8b6035"
ACTOR = Actor(None, "chen", "127.0.0.1")
PROFILE = AssistantProfile(enabled=True, base_url="https://api.deepseek.com/v1", model="deepseek-chat")


@pytest.fixture
def account_id(app: Flask) -> int:
    return services(app).account_id


@pytest.fixture
def profiles(engine: Engine) -> Profiles:
    return Profiles(engine, Sealer("a secret"))


def test_what_was_never_saved_is_off(profiles: Profiles, account_id: int) -> None:
    stored = profiles.latest(account_id)
    assert (stored.version, stored.has_key, stored.profile) == (0, False, AssistantProfile())


def test_on_every_database_profiles_are_saved_and_restored(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        profiles, account_id = Profiles(db.engine, Sealer("a secret")), services(app).account_id
    assert profiles.save(ACTOR, account_id, 0, PROFILE, KEY) == 1
    assert profiles.save(ACTOR, account_id, 1, replace(PROFILE, enabled=False), None) == 2
    assert profiles.save(ACTOR, account_id, 2, replace(PROFILE, label="〔AI 🤖〕"), None) == 3
    assert profiles.restore(ACTOR, account_id, 1) == 4
    stored = profiles.latest(account_id)
    assert (stored.version, stored.profile, stored.has_key) == (4, PROFILE, True)
    history = profiles.history(account_id)
    assert [row.version for row in history] == [4, 3, 2, 1]
    assert [row.change for row in history] == [
        Change.RESTORED,
        Change.EDITED,
        Change.DISABLED,
        Change.CREATED,
    ]


def test_the_second_of_two_editors_gets_the_version_of_the_first(profiles: Profiles, account_id: int) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, None)
    mine = replace(PROFILE, label="〔AI〕")
    with pytest.raises(Conflict) as caught:
        profiles.save(ACTOR, account_id, 0, mine, "sk-other")
    assert (caught.value.mine, caught.value.current.version) == (mine, 1)
    assert caught.value.current.profile == PROFILE
    assert not profiles.latest(account_id).has_key


def test_saving_without_a_change_makes_no_version(profiles: Profiles, account_id: int) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, KEY)
    assert profiles.save(ACTOR, account_id, 1, PROFILE, None) == 1
    assert len(profiles.history(account_id)) == 1


def test_an_invalid_profile_is_not_saved(profiles: Profiles, account_id: int) -> None:
    with pytest.raises(InvalidDefinition):
        profiles.save(ACTOR, account_id, 0, replace(PROFILE, label=""), None)
    assert profiles.latest(account_id).version == 0


def test_a_version_that_never_was_is_not_restored(profiles: Profiles, account_id: int) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, None)
    for version in (0, 7, 2**62):
        with pytest.raises(ProfileNotFound):
            profiles.restore(ACTOR, account_id, version)


def test_a_profile_is_read_once_while_it_is_fresh(engine: Engine, account_id: int) -> None:
    now = [0.0]
    profiles = Profiles(engine, Sealer("a secret"), clock=lambda: now[0])
    other = Profiles(engine, Sealer("a secret"))
    assert profiles.current(account_id).version == 0
    other.save(ACTOR, account_id, 0, PROFILE, KEY)
    with statements() as sent:
        assert profiles.current(account_id).version == 0
        assert sent == []
        now[0] = 2.0
        assert profiles.current(account_id).version == 1
        assert profiles.model(profiles.current(account_id)).key == KEY
        assert len(sent) == 1


def test_nobody_waits_while_another_thread_reads_the_profile_again(engine: Engine, account_id: int) -> None:
    now = [0.0]
    profiles = Profiles(engine, Sealer("a secret"), clock=lambda: now[0])
    before = profiles.current(account_id)
    now[0] += 2 * KEPT
    with profiles._reading, statements() as sent:
        assert profiles.current(account_id) is before
    assert sent == []
    with statements() as sent:
        profiles.current(account_id)
    assert len(sent) == 1


def test_whoever_saves_sees_it_at_once(profiles: Profiles, account_id: int) -> None:
    assert profiles.current(account_id).version == 0
    profiles.save(ACTOR, account_id, 0, PROFILE, None)
    assert profiles.current(account_id).version == 1


def test_the_key_is_in_no_table(profiles: Profiles, engine: Engine, account_id: int) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, KEY)
    profiles.save(ACTOR, account_id, 1, replace(PROFILE, label="〔AI〕"), KEY + "2")
    assert profiles.model(profiles.latest(account_id)).key == KEY + "2"
    with engine.connect() as connection:
        for table in ("assistant_profiles", "assistant_profile_versions", AuditEntry.__tablename__):
            assert KEY not in str(connection.execute(text(f"SELECT * FROM {table}")).all())


def test_the_audit_log_tells_that_there_is_a_key(profiles: Profiles, engine: Engine, account_id: int) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, KEY)
    with engine.connect() as connection:
        entry = connection.execute(select(AuditEntry.__table__)).one()
    assert (entry.action, entry.subject) == ("assistant_saved", "assistant")
    assert (entry.before["has_key"], entry.after["has_key"]) == (False, True)
    assert entry.after["model"] == "deepseek-chat"


def test_the_model_of_a_profile_has_its_parameters(profiles: Profiles, account_id: int) -> None:
    profiles.save(ACTOR, account_id, 0, replace(PROFILE, extra_parameters='{"enable_thinking": false}'), KEY)
    model = profiles.model(profiles.latest(account_id))
    assert (model.base_url, model.model, model.timeout) == (PROFILE.base_url, PROFILE.model, PROFILE.timeout)
    assert model.parameters == {"enable_thinking": False}


def test_a_key_can_be_removed(profiles: Profiles, account_id: int) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, KEY)
    profiles.save(ACTOR, account_id, 1, PROFILE, "")
    assert not profiles.latest(account_id).has_key
    assert profiles.model(profiles.latest(account_id)).key == ""


def test_a_key_stays_while_the_server_is_the_same(profiles: Profiles, account_id: int) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, KEY)
    profiles.save(ACTOR, account_id, 1, replace(PROFILE, base_url="https://api.deepseek.com/beta"), None)
    assert profiles.latest(account_id).has_key
    profiles.save(ACTOR, account_id, 2, replace(PROFILE, base_url="https://evil.example/v1"), None)
    assert not profiles.latest(account_id).has_key


def test_a_draft_for_another_server_does_not_get_the_key(profiles: Profiles, account_id: int) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, KEY)
    stored = profiles.latest(account_id)
    draft = replace(stored, profile=replace(PROFILE, base_url="http://api.deepseek.com/v1"))
    assert profiles.model(draft).key == ""
    assert profiles.model(replace(stored, profile=replace(PROFILE, model="deepseek-reasoner"))).key == KEY


def test_a_key_that_another_secret_key_sealed_is_none(
    profiles: Profiles, engine: Engine, account_id: int
) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, KEY)
    stored = Profiles(engine, Sealer("another secret")).latest(account_id)
    assert (stored.version, stored.has_key) == (1, False)


def test_a_profile_of_another_release_is_off(
    profiles: Profiles, engine: Engine, account_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, KEY)
    with engine.begin() as connection:
        connection.execute(text('UPDATE assistant_profiles SET definition = \'{"enabled": true, "new": 1}\''))
    with caplog.at_level(logging.ERROR):
        assert not profiles.latest(account_id).profile.enabled
    assert "new is not known" in caplog.text


def test_profiles_belong_to_their_account(profiles: Profiles, account_id: int) -> None:
    profiles.save(ACTOR, account_id, 0, PROFILE, KEY)
    assert profiles.latest(account_id + 1).version == 0
