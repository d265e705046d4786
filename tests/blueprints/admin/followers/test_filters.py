"""Whom each filter of the list of followers shows, on every database."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, insert, select

from tests.blueprints.admin.conftest import Browser
from tests.conftest import MakeApp
from tests.services.messages.journal import NOON, Journal
from wechat_bot.database.transactions import transaction
from wechat_bot.models import Follower, FollowerTag, Tag
from wechat_bot.models.rows import new_row
from wechat_bot.services.search.tagged import FEW
from wechat_bot.testing import FakePlatform

LATER = NOON + timedelta(hours=1)


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    return make_app(database_url=any_database)


def shown(browser: Browser, query: str) -> list[str]:
    page = browser.get(f"/admin/followers?{query}").text
    return re.findall(r'<small class="openid" title="(\w+)"', page)


def test_each_filter_shows_whom_it_says(admin: Browser, app: Flask) -> None:
    platform = FakePlatform.of(app)
    platform.follower("oSpeaks").follow(scene="shop")
    platform.follower("oSpeaks").text("你好")
    platform.follower("oFollows").follow()
    platform.follower("oLeft").follow()
    platform.follower("oLeft").unfollow()
    assert shown(admin, "spoken=never") == ["oLeft", "oFollows"]
    assert shown(admin, "spoken=day&state=following") == ["oFollows", "oSpeaks"]
    assert shown(admin, "scene=shop") == ["oSpeaks"]
    assert shown(admin, "q=oFoll") == ["oFollows"]
    assert shown(admin, "q=oLeft") == ["oLeft"]
    assert shown(admin, "q=oNobody") == []


@pytest.mark.parametrize("others", [1, FEW])
def test_a_tag_shows_its_followers_and_what_they_wrote_however_many_have_it(
    admin: Browser, engine: Engine, others: int
) -> None:
    journal = Journal(engine)
    tagged, other = journal.follower("oTagged", last_seen_at=LATER), journal.follower("oOther")
    written = [journal.add(follower_id=follower_id) for follower_id in (tagged, other, tagged)]
    columns = {"account_id": journal.account_id, "first_seen_at": NOON, "last_seen_at": NOON}
    with transaction(engine) as connection:
        new = [new_row(Follower, openid=f"o{n}", **columns) for n in range(others)]
        connection.execute(insert(Follower), new)
        having = connection.scalars(select(Follower.id).where(Follower.id != other)).all()
        connection.execute(
            insert(Tag).values(id=7, account_id=journal.account_id, name="会员", colour="blue")
        )
        connection.execute(insert(FollowerTag), [{"follower_id": row_id, "tag_id": 7} for row_id in having])
    listed = shown(admin, "tag=7")
    assert listed[0] == "oTagged"
    assert "oOther" not in listed
    messages = admin.get("/admin/messages.json?tag=7").json
    assert messages
    assert [row["id"] for row in messages["messages"]] == [written[2], written[0]]
    assert shown(admin, "tag=8") == []
