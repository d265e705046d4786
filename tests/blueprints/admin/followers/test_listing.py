"""The list of followers: its orders, pages, counts and files, and what is done to many at once."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, func, insert, select, update

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.conftest import APP_ID, APP_SECRET, MakeApp, statements
from tests.operators import add_operator
from wechat_bot.blueprints.admin.followers import listing
from wechat_bot.database.transactions import transaction
from wechat_bot.extensions import db
from wechat_bot.models import Conversation, Follower, FollowerTag, Role, Tag
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.followers import profiles
from wechat_bot.testing import FakePlatform

NOW = datetime.now(UTC).replace(microsecond=123)


@pytest.fixture
def account_id(engine: Engine, app: Flask) -> int:
    return ensure_account(engine, APP_ID)


@pytest.fixture
def followers(engine: Engine, account_id: int) -> None:
    """A hundred and twenty followers: some wrote, some have aliases, many came at one time."""
    numbers = range(120)
    with transaction(engine) as connection:
        connection.execute(insert(Follower), [_follower(account_id, n) for n in numbers])
        ids = {row.openid: row.id for row in connection.execute(select(Follower.id, Follower.openid))}
        rows = [
            {"follower_id": ids[f"o{n:03}"], "last_id": n + 1, "messages_in": n % 3, "messages_out": 1}
            for n in numbers
        ]
        connection.execute(insert(Conversation), [{"account_id": account_id, **row} for row in rows])


def _follower(account_id: int, n: int) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "openid": f"o{n:03}",
        "alias": f"客户{n % 7}" if n % 4 == 0 else "",
        "subscribed": n % 10 != 0,
        "status_at": NOW - timedelta(hours=n % 5) if n % 2 else None,
        "source": "ADD_SCENE_SEARCH" if n < 30 else "",
        "first_seen_at": NOW - timedelta(days=90),
        "last_seen_at": NOW - timedelta(days=n // 10),
        "has_spoken": n % 3 > 0,
    }


def _openids(page: str) -> list[str]:
    return re.findall(r'<small class="openid" title="(\w+)"', page)


def _pages(browser: Browser, path: str, way: str = "next") -> Iterator[tuple[str, list[str]]]:
    while path:
        page = browser.get(path).text
        yield path, _openids(page)
        link = re.search(rf'href="([^"]+)" rel="{way}"', page)
        path = link[1].replace("&amp;", "&") if link else ""


ORDERED: dict[str, tuple[Any, Any]] = {
    "seen": (Follower.last_seen_at.desc(), Follower.id.desc()),
    "new": (Follower.status_at.desc(), Follower.id.desc()),
    "messages": (Conversation.messages_in.desc(), Follower.id.desc()),
    "name": (Follower.alias, Follower.id),
}


@pytest.mark.parametrize("sort", listing.ORDERS)
def test_every_order_lists_each_follower_once_over_pages_there_and_back(
    admin: Browser, engine: Engine, followers: None, sort: str
) -> None:
    wanted = select(Follower.openid).join(Conversation).order_by(*ORDERED[sort])
    with engine.connect() as connection:
        expected = list(connection.scalars(wanted.where(listing.ORDERS[sort].condition)))
    pages = list(_pages(admin, f"/admin/followers?sort={sort}"))
    assert [openid for _, openids in pages for openid in openids] == expected
    last = pages[-1][0]
    back = [openids for _, openids in _pages(admin, last, "prev")]
    assert [openid for openids in reversed(back) for openid in openids][-len(expected) :] == expected


def test_a_page_says_how_many_match_and_how_many_each_choice_would_have(
    admin: Browser, followers: None
) -> None:
    page = admin.get("/admin/followers").text
    assert "共 120 位" in page
    assert re.search(r"<span>已关注</span><span class=\"count\">108</span>", page)
    assert re.search(r"<span>已取消关注</span><span class=\"count\">12</span>", page)
    assert re.search(r"<span>从未说话</span><span class=\"count\">40</span>", page)
    assert re.search(r"<span>公众号搜索</span><span class=\"count\">30</span>", page)
    filtered = admin.get("/admin/followers?state=left&source=ADD_SCENE_SEARCH").text
    assert "符合条件的有 3 位" in filtered
    assert filtered.count('class="chip"') == 2


def test_more_followers_than_are_counted_are_told_as_a_lower_bound(
    admin: Browser, followers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_COUNT", 100)
    page = admin.get("/admin/followers").text
    assert "共 100+ 位" in page


def test_an_order_that_leaves_followers_out_says_so_and_can_be_taken_away(
    admin: Browser, followers: None
) -> None:
    page = admin.get("/admin/followers?sort=messages").text
    assert "符合条件的有 80 位" in page
    assert "说过话的" in page.split('class="chips"')[1]


@pytest.mark.parametrize(
    "query",
    [
        "sort=x",
        "before=x",
        "before=1:yesterday",
        "before=x:2026-11-01T00:00:00Z",
        "before=1:0001-01-01T00:00:00Z",
        "before=1:2026-11-01T00:00:00",
        "sort=messages&after=1:-1",
        "ids=1,x",
    ],
)
def test_a_place_or_order_that_is_none_is_refused_in_a_sentence(
    admin: Browser, followers: None, query: str
) -> None:
    answer = admin.get(f"/admin/followers?{query}")
    assert answer.status_code == 400
    assert re.search(r"<p[^>]*>[^<]+[。]</p>", answer.text)


def test_the_page_sends_no_statement_for_a_single_follower(
    admin: Browser, engine: Engine, followers: None
) -> None:
    admin.get("/admin/followers")
    with statements() as sent:
        admin.get("/admin/followers?q=")
    with statements() as of_few:
        admin.get("/admin/followers?scene=nothing")
    assert len(of_few) <= len(sent) <= 11, "\n".join(sent)


def test_followers_of_another_account_are_not_listed(admin: Browser, engine: Engine, followers: None) -> None:
    other = ensure_account(engine, "wx0000000000000000")
    with transaction(engine) as connection:
        connection.execute(update(Follower).where(Follower.openid == "o007").values(account_id=other))
    page = admin.get("/admin/followers").text
    assert "共 119 位" in page


def test_the_file_has_all_that_match_in_the_order_of_the_page(
    signed_in: SignIn, engine: Engine, followers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "BATCH_SIZE", 7)
    browser = signed_in(Role.OPERATOR, "wang")
    text = browser.get("/admin/followers.csv?state=left&sort=seen").text
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["openid"] for row in rows] == [
        f"o{n:03}" for n in (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110)
    ]
    assert audited(engine)[-1] == "exported"
    assert signed_in(Role.VIEWER, "zhao").get("/admin/followers.csv").status_code == 403


def test_a_page_for_programs_has_what_the_page_has(admin: Browser, engine: Engine, followers: None) -> None:
    found = admin.get("/admin/followers.json?sort=messages").get_json()
    assert len(found["followers"]) == 50
    assert found["followers"][0]["messages_in"] == 2
    rest = admin.get(found["older"]).get_json()
    assert len(rest["followers"]) == 30
    assert rest["older"] is None
    assert audited(engine)[-1] == "exported"


def test_selected_followers_get_and_lose_a_tag(admin: Browser, engine: Engine, followers: None) -> None:
    def tagged() -> int:
        with engine.connect() as connection:
            return connection.scalars(select(func.count()).select_from(FollowerTag)).one()

    place = "/admin/followers/bulk?state=left"
    with engine.connect() as connection:
        ids = connection.scalars(select(Follower.id).order_by(Follower.id).limit(3)).all()
    answer = admin.post(place, form_at="/admin/followers", id=ids, tag=" VIP ", action="tag")
    assert answer.location.endswith("/admin/followers?state=left")
    assert "给 3 位粉丝加上了标签“VIP”" in admin.get("/admin/followers").text
    assert tagged() == 3
    admin.post(place, form_at="/admin/followers", id=ids[:2], tag="VIP", action="untag")
    assert "从 2 位粉丝去掉了标签“VIP”" in admin.get("/admin/followers").text
    assert tagged() == 1
    admin.post(place, form_at="/admin/followers", tag="VIP")
    assert "先选中粉丝" in admin.get("/admin/followers").text


def test_all_that_match_get_a_tag_up_to_the_limit_that_the_page_tells(
    admin: Browser, engine: Engine, followers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "MAX_BULK", 5)
    assert "标签一次最多改 5 位" in admin.get("/admin/followers").text
    admin.post("/admin/followers/bulk?state=left", form_at="/admin/followers", all=1, tag="走了")
    assert "给 5 位粉丝加上了标签“走了”" in admin.get("/admin/followers").text
    left = select(func.count()).select_from(Follower).join(FollowerTag).join(Tag)
    with engine.connect() as connection:
        assert connection.scalars(left.where(Follower.subscribed.is_(False))).one() == 5


def test_selected_followers_are_taken_away_as_a_file(admin: Browser, engine: Engine, followers: None) -> None:
    with engine.connect() as connection:
        ids = connection.scalars(select(Follower.id).order_by(Follower.id).limit(2)).all()
    answer = admin.post("/admin/followers/bulk", form_at="/admin/followers", id=ids, tag="", action="export")
    assert answer.status_code == 303
    assert len(admin.get(answer.location).text.splitlines()) == 1 + 2


def test_a_viewer_sees_the_list_without_boxes(signed_in: SignIn, followers: None) -> None:
    page = signed_in(Role.VIEWER, "wang").get("/admin/followers").text
    assert "共 120 位" in page
    assert 'name="id"' not in page
    assert "followers.csv" not in page


def test_who_wrote_lately_can_be_answered_for_as_long_as_the_list_says(make_app: MakeApp) -> None:
    app = make_app(wechat_app_secret=APP_SECRET)
    with app.app_context():
        add_operator(db.engine, "li", Role.ADMIN)
    admin = Browser(app.test_client())
    admin.sign_in("li")
    FakePlatform.of(app).text("在吗")
    page = admin.get("/admin/followers").text
    assert re.search(r'class="window"><span class="badge [^"]+" title="可回复 47:5\d，剩 5/5 条"', page)
