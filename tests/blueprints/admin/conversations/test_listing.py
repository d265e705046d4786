"""The list of conversations: what a row says, which rows there are, and what has changed since."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select, update

from tests.blueprints.admin.conftest import Browser, SignIn, audited, newest
from tests.conftest import APP_SECRET, MakeApp, statements
from tests.operators import add_operator
from wechat_bot.blueprints.admin.conversations.listing import count_arrived
from wechat_bot.extensions import db
from wechat_bot.models import Conversation, Follower, Operator, Role, SavedView
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.services.conversations.saved_views import MAX_VIEWS
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

LIST = "/admin/conversations"
HTMX = {"HX-Request": "true"}


def rows(page: str) -> dict[str, str]:
    """The snippets of the rows, by the names of the followers."""
    items = re.findall(r'<li class="[^"]*" data-follower.*?</li>', page, re.DOTALL)
    return {
        re.findall(r'<bdi class="who.*?>([^<]+)', item)[0]: re.sub(
            r"<[^>]+>", "", re.findall(r'class="snippet">(.*?)</p>', item)[0]
        )
        for item in items
    }


def shown(page: str) -> list[str]:
    """The parameters ``row`` that a browser with this page sends."""
    found = re.findall(r'data-follower="(\d+)" data-version="(\w+)"', page)
    return [f"{follower}.{version}" for follower, version in found]


def changed(browser: Browser, page: str, query: str = "") -> str:
    return browser.get(f"{LIST}/rows?{query}&" + "&".join(f"row={row}" for row in shown(page))).text


def says(app: Flask, openid: str, *texts: str) -> str:
    """The name of a follower who writes texts."""
    for text in texts:
        FakePlatform.of(app).follower(openid).text(text)
    return pseudonym(openid)


def follower_of(engine: Engine, openid: str) -> int:
    return newest(engine, Follower.id, Follower.openid == openid)


def value(engine: Engine, query: Any) -> Any:
    with engine.connect() as connection:
        return connection.execute(query).scalar()


def test_a_row_says_what_the_follower_waits_for_and_never_what_the_bot_said(
    app: Flask, admin: Browser
) -> None:
    name = says(app, "oAsks", "帮助", "发票还没收到", "在吗", "帮助")
    assert rows(admin.get(LIST).text) == {name: "发票还没收到"}


def test_a_row_of_a_conversation_in_which_nobody_waits_says_the_last_words(
    app: Flask, admin: Browser, engine: Engine
) -> None:
    name = says(app, "oAsks", "发票还没收到", "算了")
    platform = FakePlatform.of(app).follower("oAsks")
    platform.push(platform.event("VIEW", EventKey="https://e.com/"))
    admin.get(LIST)
    admin.post(f"{LIST}/bulk", id=follower_of(engine, "oAsks"), action="status:done")
    assert rows(admin.get(f"{LIST}?tab=done").text) == {name: "算了"}


def test_the_tabs_have_what_is_nobodys_and_what_is_ones_own(
    app: Flask, signed_in: SignIn, engine: Engine
) -> None:
    name, other = says(app, "oMine", "在吗"), says(app, "oNobodys", "在吗")
    wang = signed_in(Role.OPERATOR, "wang")
    wang.get(LIST)
    me = value(engine, select(Operator.id).where(Operator.name == "wang"))
    wang.post(f"{LIST}/bulk", id=follower_of(engine, "oMine"), action=f"assign:{me}")
    assert list(rows(wang.get(f"{LIST}?tab=mine").text)) == [name]
    page = wang.get(f"{LIST}?tab=unassigned").text
    assert list(rows(page)) == [other]
    counts = re.findall(r'data-tab-count="(\w+)">(\d*)<', page)
    assert counts == [("open", "2"), ("unassigned", "1"), ("mine", "1")]
    assert list(rows(wang.get(f"{LIST}?assignee={me}").text)) == [name]


def test_who_waits_comes_before_who_has_been_answered(app: Flask, admin: Browser, engine: Engine) -> None:
    names = [says(app, f"oOrdered{number}", "在吗") for number in range(3)]
    admin.get(LIST)
    first = Conversation.follower_id == follower_of(engine, "oOrdered0")
    with engine.begin() as connection:
        connection.execute(update(Conversation).where(first).values(waiting_since=None))
    assert list(rows(admin.get(LIST).text)) == [names[1], names[2], names[0]]


def test_filters_are_chips_that_can_be_taken_away(app: Flask, admin: Browser, engine: Engine) -> None:
    name = says(app, "oTagged", "在吗")
    says(app, "oOther", "在吗")
    admin.get(LIST)
    follower_id = follower_of(engine, "oTagged")
    admin.post(f"/admin/followers/{follower_id}/tags", tag="退款")
    page = admin.get(f"{LIST}?tag=1&subscribed=yes").text
    assert list(rows(page)) == [name]
    chips = re.findall(r'<a class="chip" href="([^"]+)"[^>]*><span>([^<]+)', page)
    assert chips == [(f"{LIST}?subscribed=yes", "退款"), (f"{LIST}?tag=1", "已关注")]
    empty = admin.get(f"{LIST}?tag=1&subscribed=no").text
    assert rows(empty) == {}
    assert "没有符合条件的对话" in empty


def test_the_list_takes_few_statements_however_many_rows_it_has(
    app: Flask, admin: Browser, engine: Engine
) -> None:
    for number in range(42):
        says(app, f"oMany{number}", "在吗")
    page = admin.get(LIST).text
    with statements() as sent:
        admin.get(LIST)
    assert len(sent) <= 7, "\n".join(sent)
    with statements() as sent:
        assert shown(changed(admin, page)) == [], "nothing has changed"
    assert len(sent) <= 7, "\n".join(sent)


def test_only_rows_that_look_different_are_sent_again(app: Flask, admin: Browser, engine: Engine) -> None:
    names = [says(app, f"oRow{number}", "在吗") for number in range(3)]
    page = admin.get(f"{LIST}?tab=all").text
    says(app, "oRow2", "还在吗")
    follower_id = follower_of(engine, "oRow0")
    admin.post(f"/admin/followers/{follower_id}/tags", tag="退款")
    again = changed(admin, page, "tab=all")
    assert list(rows(again)) == [names[2], names[0]]
    assert 'id="inbox-news" href="/admin/conversations?tab=all" hidden>' in again, "the order is the same"


def test_the_bar_counts_what_comes_in_or_moves(app: Flask, admin: Browser) -> None:
    for number in range(3):
        says(app, f"oMoves{number}", "在吗")
    page, waiting = admin.get(f"{LIST}?tab=all").text, admin.get(LIST).text
    says(app, "oMoves0", "还在吗")
    says(app, "oNew", "你好呀")
    assert "2 个对话有新消息，刷新列表" in changed(admin, page, "tab=all")
    assert "1 个对话有新消息，刷新列表" in changed(admin, waiting), "who waits longest stays first"


@pytest.mark.parametrize(
    ("shown_now", "current", "full", "arrived"),
    [
        ([1, 2, 3], [1, 2, 3], False, 0),
        ([1, 2, 3], [3, 1, 2], False, 1),
        ([1, 2, 3], [1, 2, 3, 4], False, 1),
        ([1, 2, 3], [2, 3, 4], True, 0),
        ([1, 2, 3], [4, 1, 2], True, 1),
        ([1, 2, 3], [3, 2, 1], True, 2),
        ([], [4, 5], False, 2),
    ],
)
def test_what_moved_up_is_nothing_new(
    shown_now: list[int], current: list[int], full: bool, arrived: int
) -> None:
    assert count_arrived(shown_now, current, full=full) == arrived


def test_a_row_that_left_the_tab_says_why(app: Flask, admin: Browser, engine: Engine) -> None:
    says(app, "oLeaves", "在吗")
    page = admin.get(LIST).text
    admin.post(f"{LIST}/bulk", id=follower_of(engine, "oLeaves"), action="status:done")
    again = changed(admin, page)
    assert re.search(r'class="[^"]* gone" .*</svg>已处理</span>', again, re.DOTALL)


def test_htmx_gets_the_rows_alone(app: Flask, admin: Browser) -> None:
    name = says(app, "oAlone", "在吗")
    page = admin.get(LIST, **HTMX).text
    assert list(rows(page)) == [name]
    assert "<html" not in page


def test_all_that_match_are_changed_and_what_was_skipped_is_told(
    app: Flask, admin: Browser, engine: Engine
) -> None:
    for number in range(42):
        says(app, f"oBulk{number}", "在吗")
    says(app, "oElse", "在吗")
    services(app).projector.catch_up(60)
    admin.post(f"{LIST}/bulk", id=follower_of(engine, "oBulk7"), action="star")
    assert admin.get(f"{LIST}/count?q=oBulk").text.strip() == '{"count":42}'
    done = admin.post(f"{LIST}/bulk", all="1", query="q=oBulk", action="star")
    assert "41 个对话已处理，跳过 1 个（没有变化）" in admin.get(done.location).text
    starred = select(Conversation.follower_id).where(Conversation.starred)
    with engine.connect() as connection:
        assert len(connection.scalars(starred).all()) == 42
    done = admin.post(f"{LIST}/bulk", action="star")
    assert "没有选中对话" in admin.get(done.location).text


def test_a_view_is_saved_used_renamed_and_removed(app: Flask, signed_in: SignIn, engine: Engine) -> None:
    name = says(app, "oViewed", "在吗")
    wang, zhao = signed_in(Role.OPERATOR, "wang"), signed_in(Role.OPERATOR, "zhao")
    saved = wang.post(f"{LIST}/views", name=" 找 人 ", query="q=oViewed&x=1&tab=all", shared="on")
    assert saved.location == f"{LIST}?tab=all&q=oViewed"
    wang.post(f"{LIST}/views", name="自己的", query="tab=starred")
    assert value(engine, select(SavedView.query).where(SavedView.name == "找 人")) == "tab=all&q=oViewed"
    page = zhao.get(saved.location).text
    assert list(rows(page)) == [name]
    assert re.search(r'href="/admin/conversations\?tab=all&amp;q=oViewed" aria-current="page">找 人<', page)
    assert "自己的" not in page
    view_id = value(engine, select(SavedView.id).where(SavedView.name == "自己的"))
    zhao.post(f"{LIST}/views/{view_id}/remove")
    zhao.post(f"{LIST}/views/{view_id}/name", name="别人的")
    assert value(engine, select(SavedView.name).where(SavedView.id == view_id)) == "自己的"
    zhao.post(f"{LIST}/views/{view_id - 1}/name", name="找人")
    assert "找人" in wang.get(f"{LIST}/views").text
    wang.post(f"{LIST}/views/{view_id}/remove")
    assert "自己的" not in wang.get(f"{LIST}/views").text
    views = [action for action in audited(engine) if action.startswith("view_")]
    assert views == ["view_saved", "view_saved", "view_renamed", "view_removed"]


@pytest.mark.parametrize(
    ("name", "query"), [("", "tab=all"), ("有了", "tab=all"), ("新的", "tab=nothing"), ("新的", "tag=x")]
)
def test_a_view_that_selects_nothing_there_is_or_has_no_name_of_its_own_is_not_saved(
    signed_in: SignIn, engine: Engine, name: str, query: str
) -> None:
    wang = signed_in(Role.OPERATOR, "wang")
    wang.post(f"{LIST}/views", name="有了", query="tab=all")
    done = wang.post(f"{LIST}/views", name=name, query=query)
    assert "没有保存：视图要有名称" in wang.get(done.location).text
    assert audited(engine).count("view_saved") == 1


def test_there_is_a_limit_to_views_which_is_told(signed_in: SignIn, engine: Engine) -> None:
    wang = signed_in(Role.OPERATOR, "wang")
    for number in range(MAX_VIEWS):
        wang.post(f"{LIST}/views", name=f"视图 {number}", query="tab=all", shared="on")
    done = wang.post(f"{LIST}/views", name="又一个", query="tab=all")
    assert "已经有 50 个视图" in wang.get(done.location).text
    assert audited(engine).count("view_saved") == MAX_VIEWS


def test_the_next_page_goes_on_where_a_page_ended_also_when_that_conversation_is_done(
    app: Flask, admin: Browser
) -> None:
    names = [says(app, f"oWaits{number:02}", "在吗") for number in range(42)]
    services(app).projector.catch_up(60)
    page = admin.get(LIST).text
    assert list(rows(page)) == names[:40]
    following = re.search(r'href="([^"]+list_before=[^"]+)"', page)
    assert following
    admin.post(f"{LIST}/bulk", id=list(range(1, 41)), action="status:done")
    assert list(rows(admin.get(following[1]).text)) == names[40:]


def test_a_console_without_conversations_says_so(admin: Browser) -> None:
    assert "还没有对话" in admin.get(LIST).text


def test_a_push_is_caught_up_by_who_asks_for_the_rows(app: Flask, admin: Browser) -> None:
    page = admin.get(LIST).text
    says(app, "oFirst", "在吗")
    assert services(app).projector.backlog() > 0
    assert "1 个对话有新消息" in changed(admin, page)


def test_every_tab_order_and_filter_works_on_every_database(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database, wechat_app_secret=APP_SECRET)
    with app.app_context():
        add_operator(db.engine, "li", Role.ADMIN)
    admin = Browser(app.test_client())
    admin.sign_in("li")
    names = [says(app, f"oEach{number}", "在吗") for number in range(3)]
    services(app).projector.catch_up(60)
    for number, action in enumerate(("star", "assign:1", "status:waiting")):
        admin.post(f"{LIST}/bulk", id=number + 1, action=action)
    admin.post(f"{LIST}/bulk", id=1, action="tag", tag="退款")
    admin.post(f"{LIST}/views", name="看看", query="tab=all")
    for query, found in {
        "": names[:2],
        "list_before=1:1970-01-01T00:00:00Z": names[:2],
        "list_before=1:9000-01-01T00:00:00Z": [],
        "list_before=1:": [],
        "sort=closing": names[:2],
        "sort=newest": [names[1], names[0]],
        "tab=unassigned": [names[0]],
        "tab=mine": [names[1]],
        "tab=starred": [names[0]],
        "tab=mentions": [],
        "tab=all&tag=1&subscribed=yes": [names[0]],
        "tab=all&assignee=1&status=open": [names[1]],
        "tab=all&q=oEach2": [names[2]],
    }.items():
        page = admin.get(f"{LIST}?{query}").text
        assert list(rows(page)) == found, query
        assert rows(changed(admin, page, query)) == {}, query
