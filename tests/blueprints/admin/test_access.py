"""The guard, shown at every route of the console."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import Engine, update
from werkzeug.routing import Rule

from tests.blueprints.admin.conftest import PAGE, Browser, SignIn, operator_of
from wechat_bot.models import Operator, OperatorSession, Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.operators import management

OPEN = {
    "admin.static",
    "admin.sign_in.show",
    "admin.sign_in.submit",
    "admin.sign_in.show_second_factor",
    "admin.sign_in.submit_second_factor",
}
"""What anybody may see."""


def routes(app: Flask) -> list[tuple[str, str, str]]:
    """Endpoint, method and an address of everything below /admin that is guarded."""
    found = [
        (rule.endpoint, method, address_of(app, rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/admin") and rule.endpoint not in OPEN
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    assert len(found) > 20
    return found


def address_of(app: Flask, rule: Rule) -> str:
    values = {name: "thumbnail" if name == "form" else 1 for name in rule.arguments}
    with app.test_request_context():
        return str(app.url_map.bind("localhost").build(rule.endpoint, values, method=min(rule.methods or [])))


def needed_role(app: Flask, endpoint: str, method: str) -> Role:
    default = Role.VIEWER if method == "GET" else Role.OPERATOR
    return Role(getattr(app.view_functions[endpoint], "role", default))


def test_without_a_session_everything_leads_to_the_sign_in_page(
    app: Flask, admin: Browser, browser: Browser
) -> None:
    token = browser.token("/admin/sign-in")
    for endpoint, method, address in routes(app):
        form = {"csrf_token": token} if method == "POST" else None
        answer = browser.client.open(f"{address}?q=1", method=method, headers=PAGE, data=form)
        target = urlsplit(answer.location or "")
        assert (answer.status_code, target.path) == (303, "/admin/sign-in"), endpoint
        assert parse_qs(target.query).get("next") == ([f"{address}?q=1"] if method == "GET" else None)


@pytest.mark.parametrize("headers", [{"Accept": "application/json"}, {**PAGE, "HX-Request": "true"}])
def test_without_a_session_programs_get_401(app: Flask, headers: dict[str, str]) -> None:
    for endpoint, method, address in routes(app):
        if method == "GET":
            assert app.test_client().get(address, headers=headers).status_code == 401, endpoint


def test_without_the_role_everything_is_403_with_the_reason(app: Flask, signed_in: SignIn) -> None:
    browsers = {role: signed_in(role, role.value) for role in (Role.VIEWER, Role.OPERATOR)}
    tokens = {role: browser.token("/admin/profile") for role, browser in browsers.items()}
    refused = 0
    for endpoint, method, address in routes(app):
        for role, browser in browsers.items():
            needed = needed_role(app, endpoint, method)
            if role.includes(needed):
                continue
            data = {"csrf_token": tokens[role]} if method == "POST" else None
            answer = browser.client.open(address, method=method, headers=PAGE, data=data)
            assert answer.status_code == 403, (endpoint, role)
            assert "你的角色是" in answer.text
            refused += 1
    assert refused > 20


def test_what_changes_something_needs_the_token_of_the_page(app: Flask, admin: Browser) -> None:
    for endpoint, method, address in routes(app):
        if method == "GET":
            continue
        for data in ({}, {"csrf_token": "forged"}):
            answer = admin.client.open(address, method=method, headers=PAGE, data=data)
            assert answer.status_code == 400, endpoint
            assert "这个页面过期了" in answer.text
    assert admin.is_signed_in()


@pytest.mark.parametrize("path", ["/admin/nowhere", "/admin/messages/999", "/admin/followers/999"])
def test_an_error_is_shown_within_the_console_and_leads_back(admin: Browser, path: str) -> None:
    page = admin.get(path, Referer="http://localhost/admin/messages?q=1")
    assert page.status_code == 404
    assert 'class="rail"' in page.text
    assert 'href="http://localhost/admin/messages?q=1">返回</a>' in page.text
    assert 'class="btn btn-primary" href="/admin/">返回</a>' in admin.get(path).text


def test_programs_get_an_error_of_the_console_in_one_line(admin: Browser) -> None:
    answer = admin.get("/admin/nowhere", Accept="*/*")
    assert (answer.status_code, answer.mimetype) == (404, "text/plain")


def test_signing_in_needs_the_token_of_the_page_too(app: Flask, signed_in: SignIn) -> None:
    signed_in()
    for address in ("/admin/sign-in", "/admin/sign-in/code"):
        assert app.test_client().post(address, data={"name": "li"}).status_code == 400


def test_nothing_but_static_files_is_kept_in_caches(app: Flask, admin: Browser) -> None:
    for path in ("/admin/profile", "/admin/operators/999", "/admin/sign-in", "/admin/live"):
        for client in (admin.client, app.test_client()):
            assert client.get(path).headers["Cache-Control"] == "no-store", path
    with admin.get("/admin/static/admin.css") as style:
        assert "no-store" not in style.headers["Cache-Control"]


def test_a_session_that_ends_leads_to_the_sign_in_page(engine: Engine, admin: Browser) -> None:
    with engine.begin() as connection:
        connection.execute(update(OperatorSession).values(expires_at=OperatorSession.created_at))
    assert admin.get("/admin/profile").location == "/admin/sign-in?next=/admin/profile"


def test_who_is_disabled_gets_no_further(engine: Engine, admin: Browser, signed_in: SignIn) -> None:
    wang = signed_in(Role.ADMIN, "wang")
    management.disable(engine, Actor(None, "tests", ""), operator_of(engine, "wang").id)
    assert not wang.is_signed_in()
    assert admin.is_signed_in()


def test_a_database_that_is_away_is_told_and_signs_nobody_out(
    engine: Engine, admin: Browser, tmp_path: Path
) -> None:
    engine.dispose()
    away = (tmp_path / "bot.db").rename(tmp_path / "away.db")
    answer = admin.get("/admin/profile")
    assert answer.status_code == 503
    assert "数据库暂时连接不上" in answer.text
    engine.dispose()
    away.rename(tmp_path / "bot.db")
    assert admin.is_signed_in()


def test_the_language_of_the_operator_wins_over_the_browser(engine: Engine, admin: Browser) -> None:
    with engine.begin() as connection:
        connection.execute(update(Operator).values(language="en"))
    assert '<html lang="en"' in admin.get("/admin/profile").text
    assert '<html lang="zh"' in admin.get("/admin/profile?lang=zh").text
    assert '<html lang="zh"' in admin.get("/admin/profile", **{"Accept-Language": "en"}).text
    assert operator_of(engine, "li").language == "zh", "what was chosen is remembered"
    admin.get("/admin/profile?lang=xx")
    assert operator_of(engine, "li").language == "zh"


def test_times_are_those_of_the_operator(engine: Engine, admin: Browser) -> None:
    zones = {}
    for zone in ("Asia/Shanghai", "America/New_York"):
        with engine.begin() as connection:
            connection.execute(update(Operator).values(time_zone=zone))
        zones[zone] = admin.get("/admin/profile").text
    assert "CST · " in zones["Asia/Shanghai"] or "+0800 · " in zones["Asia/Shanghai"]
    assert "EST · " in zones["America/New_York"] or "-0500 · " in zones["America/New_York"]
