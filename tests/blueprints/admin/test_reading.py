"""Messages, conversations and followers, as requests of an operator's browser."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import Engine, select, update

from tests.blueprints.admin.conftest import Browser, SignIn, audited, newest
from tests.conftest import APP_SECRET, MakeApp, statements
from tests.hostile import HOSTILE
from tests.operators import add_operator
from wechat_bot.database.transactions import transaction
from wechat_bot.extensions import db
from wechat_bot.models import AuditEntry, Conversation, Direction, Follower, MessageLog, Operator, Role, Tag
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.routing.handover_policy import HandoverPolicy
from wechat_bot.services.assistant import profiles
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import handover
from wechat_bot.testing import OPENID, FakePlatform
from wechat_bot.wiring import services

HTMX = {"HX-Request": "true"}


@pytest.fixture
def follower_id(app: Flask, engine: Engine) -> int:
    """Who wrote two hundred messages, and gets no person for it; another follower wrote some, too."""
    account_id, policy = services(app).account_id, HandoverPolicy(misses=0)
    handover.save_policy(engine, Actor(None, "tests", ""), account_id, 0, policy)
    platform = FakePlatform.of(app)
    for number in range(100):
        platform.text(f"我要退款 {number}")
    platform.follower("oSomebodyElse").text("发票什么时候到")
    services(app).projector.catch_up()  # a page would leave so many to the worker
    return int(one(engine, select(Follower.id).order_by(Follower.id).limit(1)))


def _names(page: str) -> list[str]:
    return re.findall(r'<bdi class="who.*?>([^<]+)', page)


def one(engine: Engine, query: Any) -> Any:
    with engine.connect() as connection:
        return connection.execute(query).scalar()


@pytest.mark.parametrize(
    "path",
    [
        "/admin/messages",
        "/admin/messages?before=90",
        "/admin/messages?after=20",
        "/admin/messages?q=退款",
        "/admin/messages?q=退款&kind=text&direction=in",
        "/admin/messages?follower={}&q=退款",
        "/admin/conversations/{}",
        "/admin/conversations/{}/messages?before=150",
    ],
)
def test_a_view_sends_at_most_five_statements(
    admin: Browser, engine: Engine, follower_id: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "KEPT", 3600)  # it is read every two seconds
    path = path.format(follower_id)
    fragment = HTMX if "conversations" in path else {}
    admin.get("/admin/conversations")
    admin.get(path, **fragment)  # what arrived meanwhile is indexed, and what is shown is marked as read
    with statements() as sent:
        assert admin.get(path, **fragment).status_code == 200
    assert len(sent) <= 5, "\n".join(sent)


def test_a_search_shows_what_matches_and_says_what_is_shown(admin: Browser, follower_id: int) -> None:
    page = admin.get("/admin/messages?q=退款 42&direction=in").text
    assert re.search(r"<mark>退款</mark> <mark>42</mark>", page)
    assert page.count("data-row>") == 1
    assert "收到的包含“退款 42”的消息，1 条" in page


def test_pages_of_the_list_join_without_a_gap(admin: Browser, engine: Engine, follower_id: int) -> None:
    seen: list[int] = []
    path = "/admin/messages.json"
    while path:
        answer = json.loads(admin.get(path).text)
        seen += [message["id"] for message in answer["messages"]]
        path = answer["older"]
    with engine.connect() as connection:
        assert seen == list(connection.scalars(select(MessageLog.id).order_by(MessageLog.id.desc())))


def test_pages_for_programs_are_exports(
    admin: Browser, signed_in: SignIn, engine: Engine, follower_id: int
) -> None:
    assert signed_in(Role.VIEWER, "wang").get("/admin/messages.json").status_code == 403
    assert "exported" not in audited(engine)
    assert signed_in(Role.OPERATOR, "zhao").get("/admin/messages.json?q=退款").status_code == 200
    entry = one(engine, select(AuditEntry.detail).where(AuditEntry.action == "exported"))
    assert entry == "json: q=退款"


def test_what_has_arrived_is_counted_for_viewers_too_and_is_no_export(
    signed_in: SignIn, engine: Engine, follower_id: int
) -> None:
    viewer = signed_in(Role.VIEWER, "wang")
    with engine.connect() as connection:
        newest, *_older = connection.scalars(select(MessageLog.id).order_by(MessageLog.id.desc()))
    assert json.loads(viewer.get(f"/admin/messages/arrived?after={newest}").text) == {"count": ""}
    assert json.loads(viewer.get(f"/admin/messages/arrived?after={newest - 2}").text) == {"count": "2"}
    assert "exported" not in audited(engine)


NONSENSE = (
    "/admin/messages?before=x",
    "/admin/messages?after=-1",
    "/admin/messages?before=99999999999999999999",
    "/admin/messages?from=yesterday",
    "/admin/messages?from=2026-11-02&to=2026-11-01",
    "/admin/messages?state=broken",
    "/admin/messages?direction=up",
    "/admin/messages?follower=me",
    "/admin/messages?q=" + "x" * 201,
    "/admin/messages/choices?whose=" + "x" * 201,
    "/admin/conversations?q=" + "x" * 201,
    "/admin/conversations/{}?find=" + "x" * 201,
    "/admin/followers?q=" + "x" * 201,
    "/admin/messages.csv?from=2026-13-01",
    "/admin/conversations?tab=none",
    "/admin/conversations?list_before=1e3",
    "/admin/conversations?list_before=1:yesterday",
    "/admin/conversations?sort=newest&list_before=1:",
    "/admin/conversations?sort=none",
    "/admin/conversations?tag=x",
    "/admin/conversations?assignee=-1",
    "/admin/conversations?status=x",
    "/admin/conversations?subscribed=x",
    "/admin/conversations/rows?row=x.1",
    "/admin/conversations/count?tab=none",
    "/admin/conversations/{}?before=1e3",
    "/admin/conversations/{}?date=31.12.2026",
    "/admin/followers?tag=x",
    "/admin/followers?state=x",
    "/admin/followers?spoken=x",
    "/admin/followers?after=x",
)


@pytest.mark.parametrize("page", ["messages", "followers", "conversations", "conversations/{}", "audit"])
@pytest.mark.parametrize("name", ["_scheme", "_external", "_anchor", "_method", "endpoint", "follower_id"])
def test_no_parameter_changes_where_links_lead(
    admin: Browser, follower_id: int, page: str, name: str
) -> None:
    answer = admin.get(f"/admin/{page.format(follower_id)}?q=a&{name}=javascript")
    assert answer.status_code == 200
    assert not re.search(r'(href|action|hx-get)="(javascript|http://localhost|[^"]*#javascript)', answer.text)


def test_what_makes_no_sense_is_refused_in_a_sentence(admin: Browser, follower_id: int) -> None:
    for path in NONSENSE:
        answer = admin.get(path.format(follower_id))
        assert answer.status_code == 400, path
        assert re.search(r"<p[^>]*>[^<]+[。]</p>", answer.text), path


@pytest.mark.parametrize(
    "path",
    ["/admin/messages/999999", "/admin/conversations/999999", "/admin/followers/999999", "/admin/nowhere"],
)
def test_what_is_not_there_is_not_found(admin: Browser, path: str) -> None:
    assert admin.get(path).status_code == 404


def test_stored_fields_are_for_admins_and_looking_is_audited(
    admin: Browser, signed_in: SignIn, engine: Engine, follower_id: int
) -> None:
    path = f"/admin/messages/{newest(engine, MessageLog.id, MessageLog.direction == Direction.IN)}/raw"
    page = admin.get(path)
    assert "FromUserName" in page.text
    assert audited(engine)[-1] == "raw_viewed"
    assert signed_in(Role.OPERATOR, "wang").get(path).status_code == 403


def test_a_message_is_shown_between_its_neighbours_with_its_answer(
    admin: Browser, signed_in: SignIn, engine: Engine, follower_id: int
) -> None:
    pushed = MessageLog.text == "我要退款 50"
    message_id = newest(engine, MessageLog.id, pushed, MessageLog.direction == Direction.IN)
    page = admin.get(f"/admin/messages/{message_id}").text
    thread = page.partition('class="thread"')[2].partition("</section>")[0]
    assert thread.count("<article") == 7
    assert "我要退款 50" in thread.partition('aria-current="true"')[2].partition("</article>")[0]
    assert thread.count("这条消息的回应") == 1
    assert f"at={message_id}#m{message_id}" in page
    answer = admin.get(f"/admin/messages/{message_id + 1}").text
    assert answer.count("回应的就是它") == 1
    drawer = admin.get(f"/admin/messages/{message_id}", **HTMX).text
    assert "data-close" in drawer
    assert "data-close" not in page
    assert f"/admin/messages/{message_id}/raw" in page
    assert "/raw" not in signed_in(Role.OPERATOR, "wang").get(f"/admin/messages/{message_id}").text


def test_an_export_has_what_the_page_has_and_is_audited(
    signed_in: SignIn, engine: Engine, follower_id: int
) -> None:
    operator = signed_in(Role.OPERATOR, "wang")
    lines = operator.get("/admin/messages.csv?q=退款&direction=in").text.splitlines()
    assert len(lines) == 1 + 100
    assert json.loads(operator.get("/admin/messages.jsonl?q=发票").text.splitlines()[0])["text"]
    assert audited(engine)[-2:] == ["exported", "exported"]
    assert signed_in(Role.VIEWER, "kan").get("/admin/messages.csv").status_code == 403


def test_a_conversation_opens_at_its_end_and_goes_back_to_its_beginning(
    admin: Browser, follower_id: int
) -> None:
    path: str | None = f"/admin/conversations/{follower_id}"
    texts: list[str] = []
    while path:
        page = admin.get(path, **HTMX).text
        texts = re.findall(r"我要退款 (\d+)(?=</p>)", page) + texts
        older = re.search(r'data-older="(\d+)"', page)
        path = f"/admin/conversations/{follower_id}/messages?before={older[1]}" if older else None
    assert [int(text) for text in texts] == list(range(100))


def test_opening_a_conversation_makes_it_read_but_not_for_a_viewer(
    signed_in: SignIn, engine: Engine, follower_id: int
) -> None:
    signed_in(Role.VIEWER, "kan").get(f"/admin/conversations/{follower_id}")
    signed_in(Role.VIEWER, "kan").get("/admin/conversations")
    assert one(engine, select(Conversation.read_id).where(Conversation.follower_id == follower_id)) == 0
    signed_in(Role.OPERATOR, "wang").get(f"/admin/conversations/{follower_id}")
    assert one(engine, select(Conversation.read_id).where(Conversation.follower_id == follower_id)) == 200


def test_the_list_shows_who_has_waited_longest_and_the_next_page_goes_on(app: Flask, admin: Browser) -> None:
    for number in range(45):
        FakePlatform.of(app).follower(f"oWaiting{number:02}").text("有人吗")
    first = admin.get("/admin/conversations").text
    names = _names(first)[:40]
    following = re.search(r'href="([^"]+before=\d+[^"]*)"', first)
    assert following
    names += _names(admin.get(following[1].replace("&amp;", "&")).text)
    assert names == [pseudonym(f"oWaiting{number:02}") for number in range(45)]


def test_many_conversations_are_changed_at_once(
    admin: Browser, engine: Engine, app: Flask, follower_id: int
) -> None:
    ids = [follower_id, one(engine, select(Follower.id).order_by(Follower.id.desc()))]
    admin.get("/admin/conversations")
    me = one(engine, select(Operator.id))
    for form in ({"action": f"assign:{me}"}, {"action": "tag", "tag": "退款"}, {"action": "star"}):
        assert admin.post("/admin/conversations/bulk", id=ids, **form).status_code == 303
    assert admin.post("/admin/conversations/bulk", id=ids, action="status:done").status_code == 303
    with engine.connect() as connection:
        found = connection.execute(
            select(Conversation.assignee_id, Conversation.starred, Conversation.status)
        ).all()
    assert found == [(me, True, "done"), (me, True, "done")]
    assert _names(admin.get("/admin/conversations?tab=mine&q=退款").text) == [], "they are done"
    for wrong in (
        {"action": "x"},
        {"action": "status:x"},
        {"action": "assign:x"},
        {"all": "1", "query": "tab=x"},
    ):
        assert admin.post("/admin/conversations/bulk", id=ids, **wrong).status_code == 400


def test_followers_are_filtered_by_what_operators_know(
    admin: Browser, engine: Engine, follower_id: int
) -> None:
    admin.post(f"/admin/followers/{follower_id}/alias", alias="王姐")
    admin.post(f"/admin/followers/{follower_id}/tags", tag="VIP")
    tag_id = one(engine, select(Tag.id))
    for path in ("?q=王姐", "?q=vip", f"?tag={tag_id}", "?state=following&spoken=day&q=王"):
        page = admin.get(f"/admin/followers{path}").text
        assert _names(page) == ["王姐"], path
    assert "没有符合条件的粉丝" in admin.get("/admin/followers?spoken=never").text
    story = admin.get(f"/admin/followers/{follower_id}").text
    assert "更改备注名" in story
    assert "王姐" in story


@pytest.mark.parametrize(
    "path",
    [
        "/admin/followers?q=柚子",
        "/admin/conversations?tab=all&q=柚子·海马",
        "/admin/messages/choices?whose=柚子海马",
    ],
)
def test_a_follower_whom_nobody_named_is_found_by_a_name_that_says_it_is_made_up(
    admin: Browser, follower_id: int, path: str
) -> None:
    admin.get("/admin/followers")  # which catches up
    page = admin.get(path).text
    assert _names(page) == ["柚子·海马"]
    assert 'title="代称：由 OpenID 算出，不是昵称">柚子·海马</bdi>' in page
    assert '<span class="visually-hidden">（代称，不是昵称）</span>' in page


def test_the_page_of_a_follower_explains_the_made_up_name_until_there_is_an_alias(
    admin: Browser, follower_id: int
) -> None:
    path = f"/admin/followers/{follower_id}"
    assert f"“{pseudonym(OPENID)}”是由 OpenID 算出的代称" in admin.get(path).text
    admin.post(f"{path}/alias", alias="王姐")
    page = admin.get(path).text
    assert '<bdi class="who">王姐</bdi>' in page
    assert "代称" not in page


def test_conversations_that_close_soonest_come_first_and_show_what_is_left(make_app: MakeApp) -> None:
    app = make_app(wechat_app_secret=APP_SECRET)
    admin = Browser(app.test_client())
    with app.app_context():
        add_operator(db.engine, "li", Role.ADMIN)
        engine = db.engine
    admin.sign_in("li")
    for number in range(42):
        FakePlatform.of(app).follower(f"oClosing{number:02}").text("有人吗")
    FakePlatform.of(app).follower("oClosing00").text("还在吗")
    page = admin.get("/admin/conversations?sort=closing").text
    names = _names(page)
    following = re.search(r'href="([^"]+before=\d+[^"]*)"', page)
    assert following
    names += _names(admin.get(following[1].replace("&amp;", "&")).text)
    assert names == [pseudonym(f"oClosing{number:02}") for number in [*range(1, 42), 0]]
    assert page.count("剩 47:59") == page.count('aria-label="可回复 47:59，剩 5/5 条"') == 40
    with transaction(engine) as connection:
        connection.execute(update(MessageLog).values(created_at=datetime.now(UTC) - timedelta(hours=48)))
    assert "没有快到期的对话" in admin.get("/admin/conversations?sort=closing").text
    assert 'class="ring' not in admin.get("/admin/conversations").text


def test_the_list_stays_as_it_is_while_conversations_are_read_and_worked_on(
    app: Flask, admin: Browser
) -> None:
    for number in range(42):
        FakePlatform.of(app).follower(f"oListed{number:02}").text("有人吗")
    page = admin.get("/admin/conversations?sort=newest&q=oListed").text
    following = re.search(r'href="([^"]+list_before=\d+[^"]*)"', page)
    assert following
    page = admin.get(following[1].replace("&amp;", "&")).text
    rows = re.findall(r'<a href="(/admin/conversations/\d+\?[^"]+)"[^>]*data-row', page)
    assert len(rows) == 2
    opened = rows[0].replace("&amp;", "&")
    page = admin.get(opened).text
    listed = _names(page[: page.index('id="reading"')])
    assert listed == [pseudonym("oListed01"), pseudonym("oListed00")]
    assert "有人吗" in page
    done = admin.post(f"{urlsplit(opened).path}/star", referrer=opened, starred="1")
    assert parse_qs(urlsplit(done.location).query) == parse_qs(urlsplit(opened).query)


def test_no_window_is_shown_where_the_account_cannot_answer(admin: Browser, follower_id: int) -> None:
    page = admin.get("/admin/conversations").text
    assert page.count("data-row>") == 2
    assert 'class="ring' not in page


def test_messages_of_a_follower_or_tag_are_one_choice_away(admin: Browser, follower_id: int) -> None:
    admin.post(f"/admin/followers/{follower_id}/alias", alias="王姐")
    admin.post(f"/admin/followers/{follower_id}/tags", tag="王府井店")
    choices = admin.get("/admin/messages/choices?whose=王&q=退款&before=9").text
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)"', choices)]
    assert len(links) == 2
    for link in links:
        assert parse_qs(urlsplit(link).query).keys() == {"q", link.partition("tag=")[1][:-1] or "follower"}
        assert admin.get(link).text.count("data-row>") == 50
    assert "没有这样的粉丝或标签" in admin.get("/admin/messages/choices?whose=李").text
    everything = admin.get("/admin/messages/choices").text
    assert "王府井店" in everything
    assert "王姐" not in everything
    assert 'class="choices-found"' in admin.get("/admin/messages?whose=王姐").text


def test_days_that_are_often_asked_for_are_those_of_the_operator(admin: Browser, follower_id: int) -> None:
    page = admin.get("/admin/messages").text
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    week = f"/admin/messages?from={today - timedelta(days=6)}&amp;to={today}"
    assert f'href="{week}">近 7 天' in page
    assert "101 条" in admin.get(week.replace("&amp;", "&") + "&direction=in").text
    assert f'href="{week}" aria-current="true"' in admin.get(week.replace("&amp;", "&")).text


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/admin/messages", "q"),
        ("/admin/messages/choices", "whose"),
        ("/admin/followers", "q"),
        ("/admin/conversations", "q"),
    ],
)
def test_any_text_may_be_looked_for(admin: Browser, path: str, field: str) -> None:
    for name, text in HOSTILE.items():
        answer = admin.client.get(path, query_string={field: text.encode(errors="replace")[:190]})
        assert answer.status_code in {200, 400}, name
        assert "<script>window" not in answer.text, name


def test_half_a_megabyte_of_text_is_shown_on_demand(admin: Browser, app: Flask, engine: Engine) -> None:
    platform = FakePlatform.of(app)
    platform.text("长" * 170_000 + "末")
    platform.push(platform.message("strange", Content="长" * 170_000))
    received = MessageLog.direction == Direction.IN
    text_id, strange_id = (
        newest(engine, MessageLog.id, received, MessageLog.kind == kind) for kind in ("text", "strange")
    )
    for path in (f"/admin/messages/{text_id}", "/admin/conversations/1", f"/admin/messages/{strange_id}"):
        page = admin.get(path).text
        assert "长" * 300 in page
        assert len(page) < 60_000
    assert f"/admin/messages/{text_id}?all=1" in admin.get("/admin/conversations/1").text
    assert "长" * 170_000 + "末" in admin.get(f"/admin/messages/{text_id}?all=1").text


def test_all_of_a_long_link_is_shown_on_demand(admin: Browser, app: Flask, engine: Engine) -> None:
    platform = FakePlatform.of(app)
    platform.push(platform.message("link", Title="看", Description="长" * 6000 + "末", Url="https://e.com/a"))
    link = f"/admin/messages/{newest(engine, MessageLog.id, MessageLog.kind == 'link')}"
    assert f'href="{link}?all=1"' in admin.get(link).text
    assert "长末" not in admin.get(link).text
    assert "长末" in admin.get(f"{link}?all=1").text


def test_a_link_is_one_only_if_it_is_of_the_web(admin: Browser, app: Flask, engine: Engine) -> None:
    platform = FakePlatform.of(app)
    for url in ("javascript:window.hacked=1", " javascript:1", "data:text/html,x", "https://e.com/a"):
        platform.push(platform.message("link", Title="看", Description="", Url=url))
    page = admin.get("/admin/conversations/1").text
    assert 'href="https://e.com/a"' in page
    assert "javascript:window.hacked=1" in page, "as text"
    assert not re.search(r'href="\s*(javascript|data):', page)


def test_a_note_that_says_nothing_is_refused(admin: Browser, follower_id: int) -> None:
    path = f"/admin/conversations/{follower_id}/notes"
    assert admin.post(path, text="  ").status_code == 400
    assert admin.post("/admin/conversations/999999/notes", text="x").status_code == 404


def test_the_list_tells_who_wrote_a_message(admin: Browser, app: Flask, engine: Engine) -> None:
    FakePlatform.of(app).text("帮助")
    page = admin.get("/admin/messages?direction=out").text
    assert re.search(r'aria-label="机器人".*?</svg>commands.show_help', page)
    with transaction(engine) as connection:
        li = connection.scalar(select(Operator.id))
        sent = update(MessageLog).where(MessageLog.direction == Direction.OUT)
        connection.execute(sent.values(operator_id=li, origin="operator"))
    for path in ("/admin/messages?direction=out", "/admin/messages?direction=out&q=帮助"):
        assert re.search(
            r'by-operator"><svg class="icon" role="img" aria-label="操作员">.*?</svg>li<',
            admin.get(path).text,
        )


@pytest.mark.parametrize(
    ("kind", "fields", "shown", "hidden"),
    [
        ("miniprogrampage", {"Title": "订单 4711", "PagePath": "pages/a"}, "订单 4711", "未知类型"),
        ("link", {"Title": "秋茶", "Description": "", "Url": ""}, "秋茶", ">None<"),
        ("file", {"Title": "报价单.pdf", "Description": ""}, "报价单.pdf", ">None<"),
        ("location", {"Location_X": "31.2", "Location_Y": "121.4"}, "coord%3A31.2%2C121.4", "未知类型"),
        ("location", {"Location_X": "nan", "Location_Y": "<b>"}, "&lt;b&gt;", "map.qq.com"),
        ("strange", {"Foo": "bar"}, "未知类型 strange", ">ToUserName<"),
    ],
)  # fmt: skip
def test_every_kind_of_message_has_a_bubble_that_can_be_read(
    admin: Browser, app: Flask, kind: str, fields: dict[str, str], shown: str, hidden: str
) -> None:
    platform = FakePlatform.of(app)
    platform.push(platform.message(kind, **fields))
    page = admin.get("/admin/conversations/1").text
    assert shown in page
    assert hidden not in page
