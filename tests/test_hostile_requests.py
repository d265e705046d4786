"""Every view of browsers is asked for with values that no page sends, and answers in words."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from itertools import chain

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.blueprints.admin.conftest import PAGE, Browser
from tests.conftest import APP_SECRET, MakeApp
from tests.operators import PASSWORD, add_operator
from wechat_bot.extensions import db
from wechat_bot.models import Role
from wechat_bot.settings import Switch
from wechat_bot.testing import OPENID, FakeAPI, FakePlatform
from wechat_bot.wiring import services

HOME = "http://localhost:1"
"""The server of the requests. The simulator pushes to its port, where no program listens."""
FOR_BROWSERS = {"admin", "simulator", "demos", "follower_pages", "site"}
ENDING = {"admin.sign_in.sign_out", "admin.profile.sign_out_everywhere", "admin.profile.revoke_session"}
"""What ends the session of the test."""

NUMBERS = (str(2**63 - 1), "9" * 5000)
STORED = (str(2**63 - 2), "a\x00b", "退" * 5000)
"""What reaches the database."""
TEXTS = (*STORED, *NUMBERS, "-" + "9" * 400, "http://[x")
JSON = ("[" * 100_000, '{"MsgType": "text", "Content": "\\ud800"}', '{"MsgType": "text", "Scale": [1, {}]}')
HEADERS = (
    {
        "Referer": "http://[x",
        "Range": "bytes=9999999999999999999999-",
        "If-Range": "\xff",
        "Accept-Language": "\xff;q=nan",
        "X-Seen": "\xff",
    },
    {
        "Referer": "/conversations?tab=%00&list_before=9" + "9" * 20,
        "Range": "bytes=-0",
        "If-Range": "=" * 999,
        "Accept-Language": "-" * 999,
    },
    {"Range": "\xff"},
    {"Origin": "http://[x"},
    {"Origin": "null"},
    {"Host": "[x"},
    {"Host": "localhost:99999999"},
    {"Host": "\xff"},
    {"Cookie": "session=\xff; language=[; demo_session=."},
    {"Cookie": "=" * 999},
)
"""What is sent together. After a wrong origin, host or cookie a request ends before others are read."""
VALID = {
    "follower": OPENID,
    "status": "done",
    "assignee": "",
    "starred": "1",
    "text": "好",
    "tag": "vip",
    "alias": "小明",
    "shortcut": "hi",
    "title": "问候",
    "allowed": "auto",
    "name": "wang",
    "role": "viewer",
    "password": PASSWORD,
    "fault": "delay",
    "kind": "text",
    "mode": "",
    "course": "",
    "followers": "0",
    "per_second": "5",
    "id": "1",
}
"""What the other fields hold while one of them is tried."""
ACTIONS = ("status:done", "assign:", "star", "tag")
LIST = ("tab", "sort", "q", "tag", "assignee", "status", "subscribed")
ELSEWHERE = {
    "simulator.push": ("kind", "xml", "fields", "f/Content", "f/Content/x", "at.x"),
    "admin.conversations.index": (*LIST, "list_before"),
    "admin.conversations.rows": (*LIST, "row"),
    "admin.conversations.count": LIST,
}
"""Fields that other modules read for a view."""
FILTER = ("q", "kind", "event", "state", "origin", "tag", "follower", "from", "to", "before", "after")


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI, any_database: str) -> Flask:
    secret = {"wechat_app_secret": APP_SECRET}
    app = make_app(api=api, database_url=any_database, demos_enabled=Switch.YES, **secret)
    FakePlatform.of(app).text("帮助")
    with app.app_context():
        for name in ("zhao", "li"):  # the first is changed by the requests, the second sends them
            add_operator(db.engine, name, Role.ADMIN)
    services(app).projector.catch_up()
    return app


@pytest.fixture
def browser(app: Flask) -> Browser:
    browser = Browser(app.test_client())
    assert browser.sign_in("li").status_code == 303
    return browser


def views(app: Flask) -> Iterator[tuple[Rule, str]]:
    """The rules of all views for browsers, with their methods."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] in FOR_BROWSERS and rule.endpoint not in ENDING:
            yield from ((rule, method) for method in sorted((rule.methods or set()) & {"GET", "POST"}))


def address(rule: Rule, value: str = "1") -> str:
    """The address of a view, with `value` for each of its variables."""
    return re.sub(r"<[^>]+>", value, rule.rule)


def fields(app: Flask, rule: Rule) -> set[str]:
    """The names of the fields that a view reads, itself or in functions of its module that it calls."""
    view = inspect.unwrap(app.view_functions[rule.endpoint])
    source = inspect.getsource(view)
    for name, value in vars(sys.modules[view.__module__]).items():
        if inspect.isfunction(value) and value.__module__ == view.__module__ and f"{name}(" in source:
            source += inspect.getsource(value)
    more: tuple[str, ...] = FILTER if re.search(r"chosen_filter\(|cursor\(", source) else ()
    more += ELSEWHERE.get(rule.endpoint, ())
    return set(more) | set(re.findall(r"""(?:args|form|values)(?:\.get|\.getlist)?[\[(]"([^"]+)\"""", source))


def ask(browser: Browser, method: str, path: str, values: dict[str, str], **headers: str) -> TestResponse:
    """Send a request with `values`, of which the answer is no fault of the program."""
    query, form = (values, None) if method == "GET" else (None, values)
    answer = browser.client.open(
        path, base_url=HOME, method=method, headers=PAGE | headers, query_string=query, data=form
    )
    assert answer.status_code < 500, (method, path[:99], values, headers)
    answer.close()
    return answer


def test_numbers_that_no_column_holds_are_404(app: Flask, browser: Browser) -> None:
    token = browser.token("/admin/profile")
    tried = 0
    for rule, method in views(app):
        for number in NUMBERS if "int:" in rule.rule else ():
            answer = ask(browser, method, address(rule, number), {"csrf_token": token})
            # Where GET has a page at such addresses, Werkzeug finds the other method before the number.
            assert answer.status_code in {404, 405}, rule
            tried += 1
    assert tried > 50


def test_what_concerns_no_follower_is_404_in_a_sentence(app: Flask, browser: Browser) -> None:
    token = browser.token("/admin/profile")
    for form in ({"text": "好"}, {"file": (BytesIO(b"GIF89a"), "x.gif", "image/gif")}):
        path = "/admin/conversations/4711/answers"
        answer = browser.client.post(path, data=form | {"csrf_token": token}, headers=PAGE)
        assert answer.status_code == 404
        assert "没有这个粉丝" in answer.text


def test_addresses_of_any_text_are_no_faults(app: Flask, browser: Browser) -> None:
    token = browser.token("/admin/profile")
    for rule, method in views(app):
        for text in ("%00", "%ff", "..%2f..", "x" * 5000) if "<" in rule.rule else ():
            ask(browser, method, address(rule, text), {"csrf_token": token})


@pytest.mark.parametrize(
    ("any_database", "texts"), [("sqlite", TEXTS), ("postgresql", STORED)], indirect=["any_database"]
)
def test_fields_of_any_text_are_no_faults(app: Flask, browser: Browser, texts: tuple[str, ...]) -> None:
    token = browser.token("/admin/profile")
    for rule, method in views(app):
        names = fields(app, rule)
        for name in names:
            for text in chain(texts, JSON if name == "fields" else ()):
                for action in ACTIONS if "action" in names else ACTIONS[:1]:
                    values = VALID | {"action": action, name: text, "csrf_token": token}
                    ask(browser, method, address(rule), values)
    assert browser.is_signed_in()


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_headers_of_any_text_are_no_faults(app: Flask, browser: Browser) -> None:
    token = browser.token("/admin/profile")
    for rule, method in views(app):
        for headers in HEADERS:
            ask(browser, method, address(rule), VALID | {"csrf_token": token}, **headers)
