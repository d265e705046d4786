"""What the console of an account shows while another account is in the database."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine, insert, select

from tests.blueprints.admin.conftest import Browser, newest
from tests.conftest import MakeApp
from tests.services.messages.journal import NOON
from wechat_bot.models import (
    Conversation,
    ConversationStatus,
    Direction,
    Follower,
    Media,
    MediaState,
    MessageLog,
    MessageState,
    Tag,
)
from wechat_bot.models.rows import new_row
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

OURS, THEIRS = "oOurs", "oTheirs"


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    """The bot of our account. Another bot recorded a follower of another account in its database."""
    other = make_app(database_url=any_database, wechat_app_id="wx0000000000000001")
    FakePlatform.of(other).follower(THEIRS).text("退款，还没有人回我")
    services(other).projector.catch_up()
    app = make_app(database_url=any_database)
    FakePlatform.of(app).follower(OURS).text("退款，我等着")
    services(app).projector.catch_up()
    return app


@pytest.fixture
def their_follower(app: Flask, engine: Engine) -> int:
    """Their follower, and with it a tag, and an answer that was not sent with a picture that is missing."""
    follower_id = newest(engine, Follower.id, Follower.openid == THEIRS)
    account_id = newest(engine, Follower.account_id, Follower.openid == THEIRS)
    fields = {
        "account_id": account_id,
        "follower_id": follower_id,
        "direction": Direction.OUT,
        "kind": "image",
    }
    times = {"created_at": NOON, "received_at": NOON}
    row = new_row(MessageLog, **fields, **times, text="没有发出去", payload={}, state=MessageState.FAILED)
    with engine.begin() as connection:
        [message_id] = connection.execute(insert(MessageLog).values(row)).inserted_primary_key or (0,)
        media = new_row(Media, message_id=message_id, kind="image", created_at=NOON, state=MediaState.FAILED)
        connection.execute(insert(Media).values(media))
        connection.execute(insert(Tag).values(account_id=account_id, name="他们的标签", colour="blue"))
    return follower_id


@pytest.mark.parametrize(
    "path",
    [
        "conversations?tab=all",
        "conversations?q=退款",
        "messages",
        "messages?q=退款",
        "messages.json",
        "messages.csv",
        "messages/choices?whose=标签",
        "followers",
        "followers?sort=messages",
        "followers.csv",
        "health",
        "waiting",
    ],
)
def test_no_page_has_what_belongs_to_the_other_account(
    admin: Browser, their_follower: int, path: str
) -> None:
    page = admin.get(f"/admin/{path}").text
    for theirs in (THEIRS, pseudonym(THEIRS), "没有人回我", "没有发出去", "他们的标签"):
        assert theirs not in page


def test_the_lists_have_what_belongs_to_the_account(admin: Browser) -> None:
    for path in ("conversations", "messages?q=退款", "followers"):
        assert pseudonym(OURS) in admin.get(f"/admin/{path}").text


def test_numbers_are_those_of_the_account(admin: Browser, their_follower: int) -> None:
    assert admin.get("/admin/live").get_json()["open"] == 1
    assert "的消息，1 条" in admin.get("/admin/messages?q=退款").text
    assert admin.get("/admin/conversations/count?tab=all").get_json() == {"count": 1}


def test_the_pages_of_the_other_account_do_not_exist(
    admin: Browser, engine: Engine, their_follower: int
) -> None:
    message_id = newest(engine, MessageLog.id, MessageLog.follower_id == their_follower)
    for path in (
        f"conversations/{their_follower}",
        f"conversations/{their_follower}/messages",
        f"conversations/{their_follower}/presence",
        f"conversations/{their_follower}/composer",
        f"followers/{their_follower}",
        f"messages/{message_id}",
        f"messages/{message_id}/raw",
        f"media/{newest(engine, Media.id)}/shown",
    ):
        assert admin.get(f"/admin/{path}").status_code == 404, path


def test_conversations_of_the_other_account_cannot_be_changed(
    admin: Browser, engine: Engine, their_follower: int
) -> None:
    for action in ("status:done", "star:", "assign:1"):
        admin.post("/admin/conversations/bulk", id=str(their_follower), action=action)
    assert admin.post(f"/admin/conversations/{their_follower}/notes", text="看见了").status_code == 404
    message_id = newest(engine, MessageLog.id, MessageLog.follower_id == their_follower)
    assert admin.post(f"/admin/answers/{message_id}/retry").status_code == 409
    found = select(Conversation.status, Conversation.starred, Conversation.assignee_id)
    with engine.connect() as connection:
        row = connection.execute(found.where(Conversation.follower_id == their_follower)).one()
        assert tuple(row) == (ConversationStatus.OPEN, False, None)
