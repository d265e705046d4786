"""Sessions of the demos: signed, counted, and apart from those of the rest of the site."""

from __future__ import annotations

import pytest
from flask import Flask, session
from flask.testing import FlaskClient


def test_signs_in_counts_and_signs_out(client: FlaskClient) -> None:
    assert "还没有登录" in client.get("/demo/session").text
    answer = client.post("/demo/session", data={"username": "<b>zhang"})
    assert (answer.status_code, answer.location) == (303, "/demo/session")
    assert "你好，&lt;b&gt;zhang" in client.get("/demo/session").text
    assert "登录后第 2 次来。" in client.get("/demo/session").text
    assert client.post("/demo/session/end").status_code == 303
    assert "还没有登录" in client.get("/demo/session").text
    assert client.get_cookie("demo_session", path="/demo") is None


def test_its_cookie_has_its_own_name_path_and_attributes(client: FlaskClient) -> None:
    plain = client.post("/demo/session", data={"username": "zhang"}).headers["Set-Cookie"]
    assert plain.startswith("demo_session=")
    assert {"HttpOnly", "Path=/demo", "SameSite=Lax"} == set(plain.split("; ")[1:])
    secure = client.post("/demo/session", data={"username": "zhang"}, base_url="https://localhost")
    assert "Secure" in secure.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "change", [lambda value: value[:-1], lambda value: "x" + value, lambda _: "nonsense"]
)
def test_a_cookie_that_was_changed_is_refused_and_shown_so(client: FlaskClient, change: object) -> None:
    client.post("/demo/session", data={"username": "zhang"})
    cookie = client.get_cookie("demo_session", path="/demo")
    assert cookie
    assert callable(change)
    client.set_cookie("demo_session", change(cookie.value), path="/demo")
    page = client.get("/demo/session").text
    assert "还没有登录" in page
    assert "签名不对" in page


def test_what_a_visitor_put_into_it_is_worth_nothing_elsewhere(app: Flask, client: FlaskClient) -> None:
    @app.get("/elsewhere")
    def elsewhere() -> str:
        seen = session.get("username", "nobody")
        session["username"] = "operator"
        return str(seen)

    client.post("/demo/session", data={"username": "zhang"})
    cookie = client.get_cookie("demo_session", path="/demo")
    assert cookie
    client.set_cookie("session", cookie.value)
    assert client.get("/elsewhere").text == "nobody"
    assert client.get("/elsewhere").text == "operator"
    assert "你好，zhang" in client.get("/demo/session").text
    theirs = client.get_cookie("session")
    assert theirs
    client.set_cookie("demo_session", theirs.value, path="/demo")
    assert "签名不对" in client.get("/demo/session").text


def test_a_path_that_only_begins_alike_is_elsewhere(app: Flask, client: FlaskClient) -> None:
    @app.get("/demonstration")
    def elsewhere() -> str:
        session["a"] = "b"
        return ""

    assert client.get("/demonstration").headers["Set-Cookie"].startswith("session=")


@pytest.mark.parametrize(
    "path", ["/demo/session", "/demo/session/end", "/demo/upload", "/demo/lessons/uploads"]
)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_other_sites_cannot_make_a_browser_change_anything(
    client: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    answer = client.post(path, data={"username": "zhang"}, headers=headers)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}, {}])
def test_its_own_pages_and_programs_can(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/demo/session", data={"username": "zhang"}, headers=headers).status_code == 303
