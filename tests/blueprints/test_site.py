"""`/` and the pages for errors."""

from __future__ import annotations

import pytest
from flask import Flask, abort
from sqlalchemy import insert, text

from tests.conftest import MakeApp
from wechat_bot.database import engine as options
from wechat_bot.extensions import db
from wechat_bot.models import Operator
from wechat_bot.settings import Switch
from wechat_bot.wiring import services

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "en"}


@pytest.mark.parametrize(
    ("simulator", "console", "target"),
    [
        (Switch.AUTO, Switch.YES, "/simulator/"),
        (Switch.NO, Switch.YES, "/admin/"),
        (Switch.NO, Switch.NO, "/demo/"),
    ],
)
def test_home_leads_to_the_first_that_is_on(
    make_app: MakeApp, simulator: Switch, console: Switch, target: str
) -> None:
    answer = make_app(simulator_enabled=simulator, console_enabled=console).test_client().get("/")
    assert (answer.status_code, answer.location) == (302, target)


def test_home_is_a_plain_page_where_all_are_off(make_app: MakeApp) -> None:
    off = {"simulator_enabled": Switch.NO, "console_enabled": Switch.NO, "demos_enabled": Switch.NO}
    answer = make_app(**off).test_client().get("/")
    assert answer.status_code == 200
    assert "这里是一个微信公众号的后台" in answer.text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Bad request"),
        (401, "Sign in first"),
        (403, "Not allowed"),
        (404, "No such page"),
        (405, "Method not allowed"),
        (413, "Too large"),
        (500, "Something went wrong"),
        (418, "I&#39;m a teapot"),
    ],
)
def test_browsers_get_a_page_and_programs_a_line(app: Flask, status: int, words: str) -> None:
    app.add_url_rule("/fail", view_func=lambda: abort(status))
    client = app.test_client()
    page = client.get("/fail", headers=BROWSER)
    assert (page.status_code, page.mimetype) == (status, "text/html")
    assert f"<h1>{words}</h1>" in page.text
    line = client.get("/fail", headers={"Accept": "*/*"})
    assert (line.status_code, line.mimetype) == (status, "text/plain")
    assert line.text.startswith(f"{status} ")
    assert line.text.count("\n") == 1


def test_an_unexpected_error_is_a_page_without_details(app: Flask) -> None:
    app.add_url_rule("/fail", view_func=lambda: str(1 / 0))
    page = app.test_client().get("/fail", headers=BROWSER)
    assert page.status_code == 500
    assert "Something went wrong" in page.text
    assert "division" not in page.text


@pytest.mark.parametrize(
    ("path", "referrer", "target"),
    [
        ("/demo/nowhere", "", "/demo/"),
        ("/demo/nowhere", "http://localhost/demo/lessons/errors", "http://localhost/demo/lessons/errors"),
        ("/demo/nowhere", "http://localhost/demo/nowhere", "/demo/"),
        ("/demo/nowhere", "http://localhost.example/", "/demo/"),
        ("/demo/nowhere", "javascript://localhost/%0aalert(1)", "/demo/"),
        ("/demo/nowhere", "http://[", "/demo/"),
        ("/simulator/nowhere", "", "/simulator/"),
        ("/nowhere", "", "/"),
    ],
)
def test_an_error_leads_back_to_where_one_was(app: Flask, path: str, referrer: str, target: str) -> None:
    page = app.test_client().get(path, headers={**BROWSER, "Referer": referrer})
    assert page.status_code == 404
    assert f'<a class="button" href="{target}">' in page.text


def test_a_browser_gets_the_icon_that_it_asks_for(app: Flask) -> None:
    with app.test_client().get("/favicon.ico") as icon:
        assert (icon.status_code, icon.mimetype) == (200, "image/svg+xml")


def test_stylesheets_travel_compressed_but_pages_do_not(app: Flask) -> None:
    client, accept = app.test_client(), {**BROWSER, "Accept-Encoding": "br, gzip"}
    with client.get("/static/vendor/tabler.min.css", headers=accept) as style:
        assert style.content_encoding == "br"
        assert len(style.data) < 100_000
    with client.get("/static/vendor/tabler.min.css", headers={"Accept-Encoding": "identity"}) as plain:
        assert "Content-Encoding" not in plain.headers
        assert len(plain.data) > 500_000
    page = client.get("/admin/sign-in", headers=accept)
    assert page.status_code == 200
    assert "Content-Encoding" not in page.headers


def test_the_headers_of_an_error_are_kept(app: Flask) -> None:
    page = app.test_client().delete("/demo/testzz", headers=BROWSER)
    assert page.status_code == 405
    assert "POST" in page.headers["Allow"]
    assert "<code>POST</code>" in page.text


@pytest.mark.parametrize(
    ("path", "data", "status", "text"),
    [
        ("/wechat", None, 403, "forbidden"),
        ("/wechat", b"<xml>", 403, "forbidden"),
        ("/wechat", b"x" * (2 << 20), 403, "forbidden"),
        ("/healthz", None, 200, "ok"),
    ],
)
def test_the_platform_and_supervisors_keep_their_plain_answers(
    app: Flask, path: str, data: bytes | None, status: int, text: str
) -> None:
    answer = app.test_client().open(path, method="POST" if data else "GET", data=data, headers=BROWSER)
    assert (answer.status_code, answer.mimetype, answer.text) == (status, "text/plain", text)


def read(statement: str = "SELECT 1") -> str:
    return str(db.session.scalar(text(statement)))


def test_a_page_that_gets_no_connection_may_be_asked_for_again(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "PAGE_TIMEOUT", 0.05)
    app = make_app()
    app.add_url_rule("/read", view_func=read)
    with services(app).page_engine.connect():
        answer = app.test_client().get("/read", headers=BROWSER)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "The database cannot be reached" in answer.text
    assert app.test_client().get("/read").text == "1"


def test_a_wrong_statement_is_a_fault_of_the_program(app: Flask) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/read", view_func=lambda: str(db.session.execute(insert(Operator).values(id=1))))
    page = app.test_client().get("/read", headers=BROWSER)
    assert page.status_code == 500
    assert "Something went wrong" in page.text
