"""Access to the simulator."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select, update

from tests.blueprints.simulator.conftest import MakeSimulator, Simulator
from tests.conftest import APP_ID, APP_SECRET, MakeApp
from tests.operators import PASSWORD, add_operator
from wechat_bot.blueprints.simulator.actions import MAX_FAULTS
from wechat_bot.database.transactions import write
from wechat_bot.extensions import db
from wechat_bot.models import AuditEntry, Follower, Operator, Role
from wechat_bot.settings import Environment, Switch
from wechat_bot.simulator import store
from wechat_bot.simulator.journal import MAX_FOLLOWERS
from wechat_bot.simulator.openids import PREFIX
from wechat_bot.simulator.state import SimulatedEvent
from wechat_bot.testing import OPENID, FakePlatform

PRODUCTION = {
    "app_env": Environment.PRODUCTION,
    "secret_key": "0123456789abcdef" * 4,
    "wechat_token": "blueheron2026",
}


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
    expected = {Role.ADMIN: 200, Role.OPERATOR: 403 if "app_env" in changes else 200, Role.VIEWER: 403}
    for role, status in expected.items():
        assert sign_in(simulator, role).get("/simulator/").status_code == status


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


def test_a_temporary_password_is_changed_before_anything_else(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator(host="0.0.0.0")
    client = sign_in(simulator, Role.OPERATOR)
    with simulator.app.app_context():
        write(db.engine, update(Operator).values(password_temporary=True))
    answer = client.get("/simulator/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/profile?next=/simulator/")


def test_the_token_is_shown_to_this_machine_alone(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator()
    simulator.says("帮助")
    assert "blueheron2026" in simulator.page()
    simulator = make_simulator(host="0.0.0.0")
    assert "blueheron2026" not in sign_in(simulator, Role.ADMIN).get("/simulator/").text


@pytest.fixture
def production(make_simulator: MakeSimulator) -> Simulator:
    return make_simulator(**PRODUCTION, simulator_enabled=Switch.YES)


def senders(simulator: Simulator) -> list[str]:
    """Return the openids of the bot's followers."""
    with simulator.app.app_context():
        return list(db.session.scalars(select(Follower.openid).order_by(Follower.id)))


def audited(simulator: Simulator) -> list[str]:
    with simulator.app.app_context():
        found = select(AuditEntry.detail).where(
            AuditEntry.action == "simulated", AuditEntry.operator == "admin"
        )
        return list(db.session.scalars(found.order_by(AuditEntry.id)))


def test_in_production_admins_speak_for_made_up_followers_and_all_is_audited(production: Simulator) -> None:
    admin = sign_in(production, Role.ADMIN)
    [own] = re.findall(r'name="follower" value="([^"]+)"', admin.get("/simulator/").text)[:1]
    forged = '{"MsgType": "text", "Content": "好", "FromUserName": "oSomebody"}'
    for fields in ({"f/Content": "帮助"}, {"fields": forged}):
        assert admin.post("/simulator/push", data={"follower": own, **fields}).status_code == 303
        production.finished(own)
    assert senders(production) == [own]
    assert own.startswith(PREFIX)
    assert audited(production) == [f"/simulator/push {own}"] * 2
    assert "模拟</span>" in admin.get("/admin/messages").text


def test_in_production_nobody_speaks_for_a_person(production: Simulator) -> None:
    FakePlatform.of(production.app, openid="oSomebody").text("你好")
    production.journal.add_follower("oSomebody")
    admin = sign_in(production, Role.ADMIN)
    answer = admin.post("/simulator/push", data={"follower": "oSomebody", "f/Content": "退款"})
    assert answer.status_code == 403
    assert "只能扮演它自己编出来的粉丝" in answer.text
    answer = admin.post("/simulator/messages/1/repeat")
    own = answer.headers["Location"].partition("follower=")[2]
    production.finished(own)
    assert senders(production) == ["oSomebody", own]


def test_in_production_due_events_of_persons_hold_up_no_others(production: Simulator) -> None:
    own = production.journal.add_follower().openid
    production.journal.add_follower("oSomebody")
    with production.api.store.opened() as state:
        state.events = [
            SimulatedEvent("TEMPLATESENDJOBFINISH", openid, {"Status": "success"}, due=0)
            for openid in ("oSomebody", own)
        ]
    admin = sign_in(production, Role.ADMIN)
    assert admin.post("/simulator/events", data={"follower": "oSomebody"}).status_code == 403
    assert admin.post("/simulator/events", data={"follower": own}).status_code == 303
    assert production.finished(own).fields["Status"] == "success"
    assert production.journal.exchanges("oSomebody", 1) == []


def test_strangers_change_nothing_of_the_api(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator(host="0.0.0.0")
    token = simulator.token()
    before = (Path(simulator.app.instance_path) / "simulator" / "state.json").read_text()
    stranger = simulator.app.test_client()

    def call(path: str, **query: str) -> int:
        answer = stranger.post(
            f"/simulator/api{path}",
            query_string=query,
            json={"tag": {"name": "evil"}},
            environ_overrides={"REMOTE_ADDR": "203.0.113.7"},
        )
        return int(json.loads(answer.text).get("errcode", 0))

    for path in ("/cgi-bin/tags/create", "/cgi-bin/stable_token", "/unknown" * 100):
        assert call(path) == call(path, access_token="x" * 64) == call(path, secret="") == 41001
    assert (Path(simulator.app.instance_path) / "simulator" / "state.json").read_text() == before
    assert call("/cgi-bin/tags/create", **token) == 0


def test_a_clock_and_faults_have_bounds(simulator: Simulator) -> None:
    simulator.page()
    for seconds in ("9" * 400, "-1", str(400 * 86400)):
        answer = simulator.client.post("/simulator/clock", data={"follower": OPENID, "seconds": seconds})
        assert answer.status_code == 400
    simulator.post("fault", fault="45009", times="9" * 40)
    with simulator.api.store.opened() as state:
        assert state.clock_offset == 0
        assert state.faults["*"].times == MAX_FAULTS


def test_the_oldest_followers_make_room(simulator: Simulator) -> None:
    made = [simulator.journal.add_follower().openid for _ in range(MAX_FOLLOWERS + 2)]
    assert [each.openid for each in simulator.journal.followers()] == made[2:]


def test_a_full_simulator_says_so(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.page()
    monkeypatch.setattr(store, "MAX_STATE", 10)
    answer = simulator.client.post("/simulator/clock", data={"follower": OPENID, "seconds": "60"})
    assert answer.status_code == 503
    assert "全部清空" in answer.text
    secret = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}
    answer = simulator.client.post("/simulator/api/cgi-bin/stable_token", json=secret)
    assert "the simulator is full" in answer.json()["errmsg"]


def test_media_are_kept_by_no_browser(simulator: Simulator) -> None:
    media_id = simulator.api.give_media("image", b"GIF89a", "x.gif", "image/gif")
    answer = simulator.client.get(f"/simulator/media/{media_id}")
    assert (answer.content, answer.headers["Cache-Control"]) == (b"GIF89a", "no-store")


def sign_in(simulator: Simulator, role: Role) -> httpx2.Client:
    """Return a browser in which an operator with that role is signed in."""
    with simulator.app.app_context():
        add_operator(db.engine, role, role)
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
