"""Signing in and out with a browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browse, Browser
from tests.conftest import MakeApp
from tests.operators import PASSWORD, add_operator
from wechat_bot.extensions import db
from wechat_bot.models import Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.operators import management, two_factor
from wechat_bot.services.operators.sealing import Sealer
from wechat_bot.settings import Switch
from wechat_bot.wiring import services

ACTOR = Actor(None, "tests", "")


@pytest.fixture(autouse=True)
def li(engine: Engine) -> int:
    return add_operator(engine, "li", Role.VIEWER)


def test_name_and_password_lead_to_the_page_that_was_asked_for(browser: Browser) -> None:
    asked = browser.get("/admin/profile?tab=1")
    assert asked.status_code == 303
    assert asked.location == "/admin/sign-in?next=/admin/profile?tab%3D1"
    assert 'name="next" value="/admin/profile?tab=1"' in browser.get(asked.location).text
    answer = browser.sign_in("li", next="/admin/profile?tab=1")
    assert (answer.status_code, answer.location) == (303, "/admin/profile?tab=1")
    assert browser.is_signed_in()


def test_the_sign_in_before_is_told_once(browse: Browse) -> None:
    first, second = browse(), browse()
    first.sign_in("li")
    assert "上次登录" not in first.get("/admin/profile").text.partition('id="main"')[2].partition("<h1>")[0]
    second.sign_in("li")
    assert "，来自 127.0.0.1" in second.get("/admin/profile").text
    assert "，来自 127.0.0.1" not in second.get("/admin/profile").text


def test_every_failure_reads_the_same(browser: Browser) -> None:
    pages = {browser.sign_in(name, password).text for name, password in [("li", "wrong"), ("li", "")]}
    answers = [browser.sign_in("li", "wrong") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1].headers["Retry-After"]) in range(1, 62)
    pages |= {answer.text for answer in answers}
    assert len({page.partition('role="alert">')[2].partition("</div>")[0] for page in pages}) == 1
    assert browser.sign_in("li").status_code == 429
    assert not browser.is_signed_in()


def test_a_name_that_does_not_exist_gets_the_page_of_a_wrong_password(browse: Browse) -> None:
    wrong, unknown = browse().sign_in("li", "wrong"), browse().sign_in("nobody", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.count("没有登录成功") == unknown.text.count("没有登录成功") == 1


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "evil.example",
        " //evil.example",
        "/a b",
        "",
    ],
)
def test_nobody_is_led_to_another_site(browser: Browser, target: str) -> None:
    assert browser.sign_in("li", next=target).location == "/admin/"
    assert browser.client.get("/admin/sign-in", query_string={"next": target}).location == "/admin/"


def test_the_cookie_is_for_the_server_alone_and_ends_with_the_browser(browser: Browser) -> None:
    device, session = browser.sign_in("li").headers.getlist("Set-Cookie")
    for cookie in (device, session):
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
    assert "Expires" not in session


def test_the_cookie_of_who_stays_signed_in_lasts_fourteen_days(browser: Browser) -> None:
    browser.sign_in("li", keep="on")
    cookie = browser.client.get_cookie("session")
    assert cookie
    assert cookie.expires
    assert timedelta(days=13) < cookie.expires - datetime.now(UTC) < timedelta(days=15)


def test_the_cookie_is_secure_where_the_site_is(app: Flask) -> None:
    cookies = {
        url: app.test_client().get("/admin/sign-in", base_url=url).headers["Set-Cookie"]
        for url in ("https://bot.example", "http://bot.example")
    }
    assert ["Secure" in cookie for cookie in cookies.values()] == [True, False]


def test_a_cookie_from_before_the_sign_in_is_worth_nothing_after_it(browse: Browse) -> None:
    browser, thief = browse(), browse()
    browser.get("/admin/sign-in")
    planted = browser.client.get_cookie("session")
    assert planted
    browser.sign_in("li")
    thief.client.set_cookie("session", planted.value)
    assert not thief.is_signed_in()


def test_signing_out_ends_the_session_on_the_server(browse: Browse) -> None:
    browser, thief = browse(), browse()
    browser.sign_in("li")
    stolen = browser.client.get_cookie("session")
    assert stolen
    assert browser.post("/admin/sign-out").location == "/admin/sign-in"
    assert not browser.is_signed_in()
    thief.client.set_cookie("session", stolen.value)
    assert not thief.is_signed_in()


def test_strangers_keep_nobody_out_of_a_browser_that_was_used_before(browse: Browse) -> None:
    known, stranger, new = browse(), browse(), browse()
    known.sign_in("li")
    known.post("/admin/sign-out")
    for _ in range(5):
        stranger.sign_in("li", "wrong")
    assert new.sign_in("li").status_code == 429
    assert known.sign_in("li").status_code == 303


def test_a_device_cookie_is_signed_and_for_one_operator(engine: Engine, browse: Browse) -> None:
    add_operator(engine, "wang", Role.VIEWER)
    known, forger, stranger = browse(), browse(), browse()
    known.sign_in("wang")
    device = known.client.get_cookie("device", path="/admin/")
    assert device
    forger.client.set_cookie("device", f"x{device.value}", path="/admin/")
    for _ in range(5):
        stranger.sign_in("li", "wrong")
    known.post("/admin/sign-out")
    assert known.sign_in("li").status_code == 429
    for _ in range(5):
        stranger.sign_in("wang", "wrong")
    assert forger.sign_in("wang").status_code == 429
    assert known.sign_in("wang").status_code == 303


def test_signing_out_takes_a_form(browser: Browser) -> None:
    browser.sign_in("li")
    assert browser.get("/admin/sign-out").status_code == 405
    assert browser.is_signed_in()


@pytest.fixture
def secret(app: Flask, engine: Engine, li: int) -> str:
    """Of the second factor of li, with no code of now used."""
    secret, past = two_factor.make_secret(), datetime.now(UTC) - timedelta(minutes=5)
    two_factor.turn_on(engine, services(app).sealer, ACTOR, li, secret, pyotp.TOTP(secret).at(past), past)
    return secret


def test_a_second_factor_is_asked_for_after_the_password(browser: Browser, secret: str) -> None:
    answer = browser.sign_in("li", next="/admin/profile")
    assert "SECRET_KEY" not in browser.get(answer.location).text
    assert answer.location == "/admin/sign-in/code?next=/admin/profile"
    assert not browser.is_signed_in()
    assert browser.enter_code("000000").status_code == 401
    code = pyotp.TOTP(secret).now()
    sent = browser.post(
        "/admin/sign-in/code", form_at="/admin/sign-in/code", code=code, next="/admin/profile"
    )
    assert sent.location == "/admin/profile"
    assert browser.is_signed_in()


def test_another_secret_key_leaves_the_recovery_codes(engine: Engine, li: int, browser: Browser) -> None:
    secret, now = two_factor.make_secret(), datetime.now(UTC)
    lost = Sealer("another key")
    codes = two_factor.turn_on(engine, lost, ACTOR, li, secret, pyotp.TOTP(secret).at(now), now)
    assert browser.sign_in("li").location == "/admin/sign-in/code?next=/admin/"
    assert "SECRET_KEY" in browser.get("/admin/sign-in/code").text
    assert browser.enter_code(pyotp.TOTP(secret).at(now + timedelta(seconds=30))).status_code == 401
    assert browser.enter_code(codes[0]).status_code == 303


def test_no_code_is_asked_for_without_a_password(browser: Browser, secret: str) -> None:
    assert browser.get("/admin/sign-in/code").location == "/admin/sign-in?next=/admin/"
    form = {"csrf_token": browser.token("/admin/sign-in"), "code": pyotp.TOTP(secret).now()}
    answer = browser.client.post("/admin/sign-in/code", data=form)
    assert answer.location == "/admin/sign-in?next=/admin/"
    assert not browser.is_signed_in()


def test_an_instance_without_operators_tells_the_command(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(database_url=f"sqlite:///{tmp_path}/empty.db")
    page = app.test_client().get("/admin/sign-in").text
    assert "flask operator create" in page
    assert "password" not in page


def test_without_the_console_there_is_no_page(make_app: MakeApp) -> None:
    client = make_app(console_enabled=Switch.NO).test_client()
    assert client.get("/admin/sign-in").status_code == 404
    assert client.post("/demo/session", data={"username": "li"}).status_code == 303


def test_who_is_signed_in_needs_no_form(admin: Browser) -> None:
    assert admin.get("/admin/sign-in?next=/admin/profile").location == "/admin/profile"


FIRST = "first-password-of-wang"
NEW = {"current": FIRST, "password": PASSWORD, "again": PASSWORD}


@pytest.fixture
def newcomer(engine: Engine, browser: Browser) -> Browser:
    """The browser of wang, whose password an admin knows, too."""
    management.create(engine, ACTOR, "wang", Role.OPERATOR, FIRST)
    assert browser.sign_in("wang", FIRST, next="/admin/messages").location == "/admin/messages"
    return browser


def test_the_first_sign_in_asks_for_another_password_and_leads_on(newcomer: Browser) -> None:
    asked = newcomer.get("/admin/messages")
    assert (asked.status_code, asked.location) == (303, "/admin/profile?next=/admin/messages")
    page = newcomer.get(asked.location).text
    assert "换成自己的密码" in page
    assert "时区" not in page
    changed = newcomer.post("/admin/profile/password", **NEW, next="/admin/messages")
    assert changed.location == "/admin/messages"
    assert newcomer.get("/admin/messages").status_code == 200


def test_nothing_else_is_open_before_the_password_is_changed(newcomer: Browser) -> None:
    assert newcomer.get("/admin/live", Accept="application/json").status_code == 403
    assert newcomer.get("/admin/messages.csv").status_code == 303
    saved = newcomer.post("/admin/profile/preferences", language="en", time_zone="UTC", theme="dark")
    assert saved.location == "/admin/profile"
    assert newcomer.get("/admin/profile/second-factor").status_code == 303
    assert newcomer.post("/admin/sign-out").location == "/admin/sign-in"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"current": "wrong"}, "现在的密码不对"),
        ({"password": FIRST, "again": FIRST}, "这就是现在的密码"),
        ({"password": "1234567890", "again": "1234567890"}, "太容易猜到"),
    ],
)
def test_what_is_wrong_with_the_new_password_is_told(
    newcomer: Browser, wrong: dict[str, str], told: str
) -> None:
    answer = newcomer.post("/admin/profile/password", **NEW | wrong)
    assert answer.status_code == 422
    assert told in answer.text
    assert newcomer.get("/admin/messages").status_code == 303


def test_a_second_factor_is_demanded_of_admins(make_app: MakeApp) -> None:
    app = make_app(admin_second_factor=Switch.YES)
    with app.app_context():
        add_operator(db.engine, "chief", Role.ADMIN)
        add_operator(db.engine, "wang", Role.OPERATOR)
    chief, wang = Browser(app.test_client()), Browser(app.test_client())
    wang.sign_in("wang")
    assert wang.get("/admin/conversations").status_code == 200
    chief.sign_in("chief")
    asked = chief.get("/admin/conversations")
    assert asked.location == "/admin/profile/second-factor?next=/admin/conversations"
    page = chief.get(asked.location).text
    assert "管理员要打开两步验证" in page
    secret = re.search(r"<code[^>]*>([A-Z2-7]{32})</code>", page)
    assert secret
    form = {"current": PASSWORD, "code": pyotp.TOTP(secret[1]).now(), "form_at": asked.location}
    assert "恢复码" in chief.post("/admin/profile/second-factor", **form).text
    assert chief.get("/admin/conversations").status_code == 200
