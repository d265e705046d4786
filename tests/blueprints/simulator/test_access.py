"""Access to the simulator."""

from __future__ import annotations

import httpx2
import pytest

from tests.blueprints.simulator.conftest import MakeSimulator, Simulator
from tests.conftest import MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.operators import management
from wechat_bot.settings import Environment, Switch

PRODUCTION = {
    "app_env": Environment.PRODUCTION,
    "secret_key": "0123456789abcdef" * 4,
    "wechat_token": "blueheron2026",
}
PASSWORD = "correct horse battery"


def test_production_has_no_simulator(make_app: MakeApp) -> None:
    client = make_app(**PRODUCTION).test_client()
    for path in ("/simulator/", "/simulator/api/cgi-bin/token", "/simulator/static/simulator.js"):
        assert client.get(path).status_code == 404
    assert client.post("/simulator/push").status_code == 404


def test_development_has_none_when_it_is_switched_off(make_app: MakeApp) -> None:
    app = make_app(simulator_enabled=Switch.NO)
    assert app.test_client().get("/simulator/").status_code == 404


def test_there_is_no_simulator_where_nobody_can_sign_in(make_app: MakeApp) -> None:
    app = make_app(**PRODUCTION, simulator_enabled=Switch.YES, console_enabled=Switch.NO)
    assert app.test_client().get("/simulator/").status_code == 404


@pytest.mark.parametrize("changes", [PRODUCTION | {"simulator_enabled": Switch.YES}, {"host": "0.0.0.0"}])
def test_where_others_can_reach_it_operators_sign_in(
    make_simulator: MakeSimulator, changes: dict[str, object]
) -> None:
    simulator = make_simulator(**changes)
    answer = simulator.client.get("/simulator/")
    assert answer.status_code == 303
    assert "/admin/sign-in" in answer.headers["Location"]
    assert simulator.client.post("/simulator/push", data={}).status_code == 303
    assert sign_in(simulator, Role.OPERATOR).get("/simulator/").status_code == 200
    assert sign_in(simulator, Role.VIEWER).get("/simulator/").status_code == 403


@pytest.mark.parametrize("headers", [{"Host": "bot.example.com"}, {"X-Forwarded-For": "203.0.113.7"}])
def test_requests_through_a_tunnel_require_a_sign_in(
    make_simulator: MakeSimulator, headers: dict[str, str]
) -> None:
    simulator = make_simulator()
    answer = simulator.client.get("/simulator/", headers=headers)
    assert answer.status_code == 303
    assert "/admin/sign-in" in answer.headers["Location"]
    simulator = make_simulator(console_enabled=Switch.NO)
    assert simulator.client.get("/simulator/").status_code == 200
    assert simulator.client.get("/simulator/", headers=headers).status_code == 404


def test_the_token_is_shown_to_this_machine_alone(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator()
    simulator.says("帮助")
    assert "blueheron2026" in simulator.page()
    simulator = make_simulator(host="0.0.0.0")
    assert "blueheron2026" not in sign_in(simulator, Role.ADMIN).get("/simulator/").text


def sign_in(simulator: Simulator, role: Role) -> httpx2.Client:
    """Return a browser in which an operator with that role is signed in."""
    with simulator.app.app_context():
        management.create(db.engine, Actor(None, "test", ""), role, role, PASSWORD)
    client = httpx2.Client(base_url=simulator.client.base_url, headers=simulator.client.headers)
    page = client.get("/admin/sign-in").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    client.post("/admin/sign-in", data={"name": role, "password": PASSWORD, "csrf_token": token})
    return client


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_other_sites_cannot_push(simulator: Simulator, headers: dict[str, str]) -> None:
    simulator.page()
    answer = simulator.client.post("/simulator/push", headers=headers, data={"f/Content": "x"})
    assert answer.status_code == 403
