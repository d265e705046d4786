"""What operators do with followers and conversations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, func, insert, select

from tests.conftest import MakeApp, statements
from tests.services.messages.journal import Journal
from wechat_bot.extensions import db
from wechat_bot.models import (
    AuditEntry,
    Conversation,
    ConversationStatus,
    Follower,
    FollowerTag,
    Mention,
    Note,
    Operator,
    Presence,
    Tag,
)
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import actions
from wechat_bot.services.followers import profiles
from wechat_bot.services.search.index import FOLLOWERS
from wechat_bot.services.search.tokens import Query
from wechat_bot.testing import OPENID, FakePlatform
from wechat_bot.wiring import services


class Office:
    """A conversation, and an operator who works on it."""

    def __init__(self, app: Flask) -> None:
        FakePlatform.of(app).text("你好")
        services(app).projector.catch_up()
        with app.app_context():
            self.engine: Engine = db.engine
        with self.engine.begin() as connection:
            row = {"name": "小王", "role": "operator", "password_hash": "-", "created_at": datetime.now(UTC)}
            more = {"last_sign_in_address": "", "totp_secret": "", "totp_step": 0, "recovery_hashes": []}
            likes = {"language": "", "time_zone": "", "theme": "auto", "columns": []}
            connection.execute(
                insert(Operator),
                {**row, **more, **likes, "disabled": False, "shortcuts": True, "dense": False},
            )
        self.operator_id = self.value(select(Operator.id))
        self.follower_id = self.value(select(Follower.id))
        self.account_id = services(app).account_id
        self.actor = Actor(self.operator_id, "小王", "127.0.0.1")
        self.ours = self.engine, services(app).capabilities, self.actor, self.account_id

    def value(self, query: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(query).scalar()

    def found(self, words: str) -> bool:
        query = FOLLOWERS.matching_ids(Query.parse(words), self.engine.dialect.name)
        return bool(self.value(select(Follower.id).where(Follower.id.in_(query))) == self.follower_id)

    def audited(self) -> list[tuple[str, Any, Any]]:
        entries = select(AuditEntry.action, AuditEntry.before, AuditEntry.after).order_by(AuditEntry.id)
        with self.engine.connect() as connection:
            return [(row.action, row.before, row.after) for row in connection.execute(entries)]


@pytest.fixture
def office(make_app: MakeApp, any_database: str) -> Office:
    return Office(make_app(database_url=any_database))


def test_a_follower_is_called_and_found_by_an_alias(office: Office) -> None:
    profiles.rename(*office.ours, office.follower_id, "  王姐  (团长) ")
    profiles.rename(*office.ours, office.follower_id, "王姐 (团长)")
    assert office.value(select(Follower.alias)) == "王姐 (团长)"
    assert office.found("王姐")
    profiles.rename(*office.ours, office.follower_id, "李雷")
    assert office.found("李雷")
    assert not office.found("王姐")
    assert office.audited() == [
        ("alias_changed", "", "王姐 (团长)"),
        ("alias_changed", "王姐 (团长)", "李雷"),
    ]


def test_an_alias_takes_the_place_of_the_pseudonym_and_gives_it_back(office: Office) -> None:
    assert office.found(pseudonym(OPENID))
    profiles.rename(*office.ours, office.follower_id, "李雷")
    assert not office.found(pseudonym(OPENID))
    profiles.rename(*office.ours, office.follower_id, "")
    assert office.found(pseudonym(OPENID))


def test_a_tag_for_many_followers_takes_no_more_statements_than_for_one(office: Office) -> None:
    journal = Journal(office.engine)
    ids = [journal.follower(f"oMany{number}") for number in range(20)]
    profiles.tag(*office.ours, [office.follower_id], "VIP")
    with statements() as for_one:
        profiles.tag(*office.ours, ids[:1], "VIP")
    with statements() as for_many:
        assert profiles.tag(*office.ours, [office.follower_id, *ids], "VIP") == 19
    assert len(for_many) == len(for_one)
    tag_id = office.value(select(Tag.id))
    with statements() as for_many:
        assert profiles.untag(*office.ours, ids, tag_id) == 20
    assert len(for_many) <= len(for_one)
    assert office.audited().count(("tag_removed", "VIP", None)) == 20


def test_a_tag_is_made_once_and_put_on_once(office: Office) -> None:
    for _ in range(2):
        profiles.tag(*office.ours, [office.follower_id, 999], "VIP")
    assert office.value(select(func.count()).select_from(Tag)) == 1
    assert office.value(select(func.count()).select_from(FollowerTag)) == 1
    assert office.found("vip")
    tag_id = office.value(select(Tag.id))
    profiles.untag(*office.ours, [office.follower_id], tag_id)
    assert not office.found("vip")
    assert office.audited() == [("tag_added", None, "VIP"), ("tag_removed", "VIP", None)]


def test_what_an_operator_decides_is_kept_and_told(office: Office) -> None:
    assert office.value(select(Conversation.status)) == ConversationStatus.OPEN, (
        "nobody understood the message"
    )
    ids = [office.follower_id]
    actions.set_status(office.engine, office.actor, office.account_id, ids, ConversationStatus.DONE)
    actions.set_status(office.engine, office.actor, office.account_id, ids, ConversationStatus.DONE)
    assert office.value(select(Conversation.waiting_since)) is None
    actions.assign(office.engine, office.actor, office.account_id, ids, office.operator_id)
    actions.star(office.engine, office.actor, office.account_id, ids, True)
    assert office.audited() == [
        ("status_changed", "open", "done"),
        ("assigned", None, "小王"),
        ("starred", False, True),
    ]
    with pytest.raises(LookupError):
        actions.assign(office.engine, office.actor, office.account_id, ids, 999)


def test_a_note_tells_those_whom_it_names_until_they_have_read_it(office: Office) -> None:
    actions.add_note(
        office.engine, office.actor, office.account_id, office.follower_id, "@小王，退款已经答应 @nobody"
    )
    assert office.value(select(Note.text)) == "@小王，退款已经答应 @nobody"
    assert office.found("退款")
    assert office.value(select(Mention.seen_at).where(Mention.operator_id == office.operator_id)) is None
    actions.mark_read(office.engine, office.operator_id, office.follower_id, 2)
    assert office.value(select(Mention.seen_at)) is not None
    assert office.value(select(Conversation.read_id)) == 2
    actions.mark_read(office.engine, office.operator_id, office.follower_id, 1)
    assert office.value(select(Conversation.read_id)) == 2, "it does not become unread again"


def test_a_note_that_is_repeated_at_once_is_one_note(office: Office) -> None:
    first = actions.add_note(office.engine, office.actor, office.account_id, office.follower_id, "已退款")
    assert (
        actions.add_note(office.engine, office.actor, office.account_id, office.follower_id, " 已退款")
        == first
    )
    assert (
        actions.add_note(office.engine, office.actor, office.account_id, office.follower_id, "又问") > first
    )
    assert (
        actions.add_note(office.engine, office.actor, office.account_id, office.follower_id, "已退款") > first
    )
    assert [text for _action, _before, text in office.audited()] == ["已退款", "又问", "已退款"]


@pytest.mark.parametrize("text", ["", " \x00 ", "长" * (actions.MAX_NOTE + 1)])
def test_a_note_that_says_nothing_or_too_much_is_refused(office: Office, text: str) -> None:
    with pytest.raises(ValueError, match="1 to"):
        actions.add_note(office.engine, office.actor, office.account_id, office.follower_id, text)
    with pytest.raises(LookupError):
        actions.add_note(office.engine, office.actor, office.account_id, 999, "x")
    assert office.audited() == []


def test_presence_is_one_row_with_the_last_time(office: Office) -> None:
    first, last = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    for now in (first, last):
        actions.touch_presence(office.engine, office.operator_id, office.follower_id, now)
    assert office.value(select(Presence.seen_at)) == last
    assert office.value(select(func.count()).select_from(Presence)) == 1
