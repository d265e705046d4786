"""What an empty console tells a newcomer to do."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.conftest import APP_SECRET, TOKEN, MakeApp
from tests.operators import add_operator
from wechat_bot.extensions import db
from wechat_bot.models import Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.health.heartbeats import heartbeat
from wechat_bot.services.rules import editing
from wechat_bot.settings import Environment
from wechat_bot.simulator.openids import new_openid
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

COMMAND = "flask wechat seed"
BUTTON = 'action="/admin/first-steps/sample-data"'


def admin_of(app: Flask) -> Browser:
    """A browser in which an admin is signed in."""
    with app.app_context():
        add_operator(db.engine, "li", Role.ADMIN)
    browser = Browser(app.test_client())
    assert browser.sign_in("li").status_code == 303
    return browser


RULE = {"name": "欢迎", "trigger": {"type": "followed"}, "answers": [{"kind": "text", "text": "您好"}]}


def steps(browser: Browser) -> str:
    """Return a digit for each step, 1 if it is done."""
    found = re.search(r"first-steps\?done=([01]+)", browser.get("/admin/first-steps").text)
    assert found
    return found[1]


@pytest.mark.parametrize("path", ["/admin/messages", "/admin/followers"])
def test_an_empty_list_shows_an_admin_what_to_enter_at_the_platform(admin: Browser, path: str) -> None:
    page = admin.get(path).text
    assert "开始使用" in page
    assert "<code>http://localhost/wechat</code>" in page
    assert f'data-copy="{TOKEN}"' in page
    assert 'href="/admin/operators/new"' in page
    assert 'href="/simulator/"' in page


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_secrets_are_for_admins(signed_in: SignIn, role: Role) -> None:
    page = signed_in(role).get("/admin/messages").text
    assert "开始使用" in page
    assert TOKEN not in page
    assert "由管理员查看" in page


def test_steps_tick_from_what_has_happened(app: Flask, engine: Engine, admin: Browser) -> None:
    assert steps(admin) == "0000"
    assert admin.get("/admin/first-steps?done=0000").status_code == 204
    FakePlatform.of(app).follower(new_openid()).text("你好")
    assert steps(admin) == "1000", "a follower of the simulator shows no connection"
    assert FakePlatform.of(app).verify_url()
    services(app).call_stats.flush()
    assert steps(admin) == "1100"
    editing.create(engine, Actor(None, "tests", ""), services(app).account_id, RULE)
    assert steps(admin) == "1110"
    add_operator(engine, "xiao", Role.OPERATOR)
    assert steps(admin) == "1111"
    assert "都准备好了" in admin.get("/admin/first-steps").text
    assert "first-steps" not in admin.get("/admin/messages").text


def test_a_message_of_a_person_shows_that_the_account_is_connected(app: Flask, admin: Browser) -> None:
    FakePlatform.of(app).text("你好")
    assert steps(admin) == "1100"


def test_a_made_up_account_is_not_connected(make_app: MakeApp) -> None:
    app = make_app(wechat_api_base_url="simulator", wechat_app_secret=APP_SECRET)
    FakePlatform.of(app).text("你好")
    assert steps(admin_of(app)) == "1000"


def test_who_puts_the_steps_away_does_not_see_them_again(admin: Browser, signed_in: SignIn) -> None:
    colleague = signed_in(Role.OPERATOR, "xiao")
    answer = admin.post("/admin/first-steps/dismiss", form_at="/admin/messages", next="/admin/messages")
    assert answer.location == "/admin/messages"
    page = admin.get("/admin/messages").text
    assert "还没有消息" in page
    assert "开始使用" not in page
    assert "开始使用" in colleague.get("/admin/messages").text


def load(browser: Browser) -> int:
    return browser.post("/admin/first-steps/sample-data", form_at="/admin/messages").status_code


def test_a_button_loads_sample_data_where_a_worker_runs(app: Flask, engine: Engine, admin: Browser) -> None:
    assert COMMAND in admin.get("/admin/messages").text
    assert load(admin) == 409, "no worker would do it"
    heartbeat(engine, "a worker")
    assert BUTTON in admin.get("/admin/messages").text
    assert load(admin) == 303
    assert load(admin) == 303, "pressed twice, they are loaded once"
    services(app).jobs.run_all()
    assert "消息，2,000 条" in admin.get("/admin/messages").text
    assert 'class="thumbnail"' in admin.get("/admin/messages?kind=image").text
    assert audited(engine).count("sample_data_loaded") == 2
    assert load(admin) == 409, "there are messages"
    assert BUTTON not in admin.get("/admin/first-steps").text


def test_sample_data_never_join_what_followers_wrote_meanwhile(
    app: Flask, engine: Engine, admin: Browser
) -> None:
    heartbeat(engine, "a worker")
    assert load(admin) == 303
    FakePlatform.of(app).text("你好")
    services(app).jobs.run_all()
    assert "消息，2 条" in admin.get("/admin/messages").text


def test_only_admins_load_sample_data(engine: Engine, signed_in: SignIn) -> None:
    heartbeat(engine, "a worker")
    assert BUTTON not in signed_in(Role.OPERATOR).get("/admin/messages").text


def test_there_are_no_sample_data_in_production(make_app: MakeApp) -> None:
    app = make_app(app_env=Environment.PRODUCTION, secret_key="0123456789abcdef" * 4)
    admin = admin_of(app)
    with app.app_context():
        heartbeat(db.engine, "a worker")
    page = admin.get("/admin/messages").text
    assert "开始使用" in page
    assert COMMAND not in page
    assert BUTTON not in page
    assert "/simulator/" not in page
    assert load(admin) == 409
