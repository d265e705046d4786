"""Tests of the doctor, which checks the set-up."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import httpx2
import pytest
from flask import Flask
from flask_babel import force_locale
from sqlalchemy import text, update

from tests.conftest import APP_ID, APP_SECRET, MakeApp
from tests.hostile import ACTIVE
from wechat_bot import create_app
from wechat_bot.database.transactions import write
from wechat_bot.extensions import db
from wechat_bot.models import AuditEntry, CallbackOutcome, Direction, MessageLog, MessageState, Worker
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.accounts.capabilities import Feature
from wechat_bot.services.audit import Actor, record_now
from wechat_bot.services.health import heartbeats
from wechat_bot.services.health.call_stats import PROGRAM_FAULT
from wechat_bot.services.health.checks import Check, Health
from wechat_bot.services.health.doctor import Diagnosis, RequestOrigin
from wechat_bot.services.health.status import BACKUP_SUBJECT, BACKUP_TAKEN
from wechat_bot.settings import Environment, Settings
from wechat_bot.simulator import sample_console
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.api import Call
from wechat_bot.wiring import services


def diagnose(app: Flask, *, online: bool = False, origin: RequestOrigin | None = None) -> Diagnosis:
    services(app).call_stats.flush()
    with app.app_context():
        diagnosis: Diagnosis = services(app).doctor.diagnose(online=online, origin=origin)
    for check in diagnosis.checks:
        assert "%(" not in words(app, check)
    return diagnosis


def words(app: Flask, check: Check) -> str:
    """Return the Chinese texts of `check`."""
    with app.app_context(), force_locale("zh"):
        return f"{check.said} {check.remedy}"


def codes(app: Flask, *, online: bool = False, origin: RequestOrigin | None = None) -> dict[str, str]:
    return {
        check.finding.step: check.finding.code for check in diagnose(app, online=online, origin=origin).checks
    }


def send(app: Flask, platform: FakePlatform, path: str = "/wechat") -> int:
    """Push a text that `platform` signs and encrypts to `app`. Return the status code of the response."""
    query, body, _ = platform.request(platform.message("text", Content="你好"))
    return app.test_client().post(f"{path}?{query}", data=body).status_code


# The callback


def test_before_the_platform_has_come_nothing_is_known_and_nothing_is_blamed(app: Flask) -> None:
    found = codes(app)
    assert found["url"] == "silent"
    assert {found[step] for step in ("path", "token", "clock", "mode", "message")} == {"unknown"}


def test_a_verified_url_and_then_a_push_are_told(app: Flask, platform: FakePlatform) -> None:
    assert platform.verify_url()
    found = codes(app)
    assert (found["url"], found["token"], found["message"]) == ("verified", "ok", "unknown")
    platform.text("你好")
    assert codes(app)["url"] == "pushing"


def wrong_token(make_app: MakeApp) -> tuple[Flask, FakePlatform]:
    return make_app(), FakePlatform.of(make_app(wechat_token="another"))


def wrong_clock(make_app: MakeApp) -> tuple[Flask, FakePlatform]:
    app = make_app()
    return app, FakePlatform.of(app, clock=lambda: time.time() - 4000)


def plain_comes(make_app: MakeApp) -> tuple[Flask, FakePlatform]:
    return make_app(wechat_message_mode="safe"), FakePlatform.of(make_app())


def encrypted_comes(make_app: MakeApp) -> tuple[Flask, FakePlatform]:
    return make_app(wechat_encoding_aes_key=""), FakePlatform.of(make_app(wechat_message_mode="safe"))


def wrong_key(make_app: MakeApp) -> tuple[Flask, FakePlatform]:
    other = make_app(wechat_message_mode="safe", wechat_encoding_aes_key="B" * 43)
    return make_app(wechat_message_mode="safe"), FakePlatform.of(other)


def wrong_app_id(make_app: MakeApp) -> tuple[Flask, FakePlatform]:
    other = make_app(wechat_message_mode="safe", wechat_app_id="wx" + "0" * 16)
    return make_app(wechat_message_mode="safe"), FakePlatform.of(other)


@pytest.mark.parametrize(
    ("wrong", "step", "code", "expected"),
    [
        (wrong_token, "token", "wrong", "签名不对"),
        (wrong_clock, "clock", "refused", "差 -400"),
        (plain_comes, "mode", "plain_in_safe_mode", "明文模式"),
        (encrypted_comes, "mode", "encrypted_without_key", "没有密钥"),
        (wrong_key, "key", "wrong", "密钥不对"),
        (wrong_app_id, "app_id", "wrong", "另一个 AppID"),
    ],
)
def test_a_refused_push_tells_what_is_wrong_until_a_good_one_comes(
    make_app: MakeApp,
    wrong: Callable[[MakeApp], tuple[Flask, FakePlatform]],
    step: str,
    code: str,
    expected: str,
) -> None:
    app, platform = wrong(make_app)
    assert send(app, platform) == 403
    found = diagnose(app)
    failed = {check.finding.step: check for check in found.checks}[step]
    assert (failed.finding.code, failed.state) == (code, Health.FAIL)
    assert expected in words(app, failed)
    assert send(app, FakePlatform.of(app)) == 200
    assert codes(app)[step] == "ok"


def test_a_push_to_another_path_names_the_path(app: Flask, platform: FakePlatform) -> None:
    assert send(app, platform, "/weixin/callback") == 404
    path = next(check for check in diagnose(app).checks if check.finding.step == "path")
    assert (path.finding.code, path.values["detail"]) == ("wrong", "/weixin/callback")


def test_a_signature_that_is_not_ours_at_another_path_means_nothing(app: Flask) -> None:
    app.test_client().get("/elsewhere?signature=1&timestamp=2&nonce=3")
    assert codes(app)["path"] == "unknown"


def test_strangers_do_not_make_a_set_up_look_broken(app: Flask, platform: FakePlatform) -> None:
    platform.text("你好")
    client = app.test_client()
    client.get("/wechat")
    client.get(f"/wechat?signature={'0' * 40}&timestamp={int(time.time())}&nonce=1&echostr=2")
    found = diagnose(app)
    states = {check.finding.step: (check.finding.code, check.state) for check in found.checks}
    assert states["token"] == ("doubted", Health.WARN)
    assert {state for step, (_, state) in states.items() if step != "worker"} <= {Health.OK, Health.WARN}


def test_a_genuine_push_that_is_no_message_is_told(app: Flask, platform: FakePlatform) -> None:
    query, _, _ = platform.request(platform.message("text", Content="x"))
    assert app.test_client().post(f"/wechat?{query}", data=b'{"MsgType": "text"}').status_code == 400
    assert codes(app)["message"] == "malformed"


def test_answers_that_were_late_are_counted(app: Flask, platform: FakePlatform) -> None:
    for number in range(3):
        platform.text(f"你好 {number}")
    assert codes(app)["answers"] == "in_time"
    with app.app_context():
        late = update(MessageLog).where(MessageLog.direction == Direction.IN, MessageLog.text == "你好 1")
        db.session.execute(late.values(latency_ms=5600))
        db.session.commit()
    answers = next(check for check in diagnose(app).checks if check.finding.step == "answers")
    assert dict(answers.values) == {"count": 3, "late": 1}


def record_fault(app: Flask, age: timedelta) -> Check:
    """Record a fault of the program that happened `age` ago. Return the check of the program."""
    services(app).call_stats.record_request(PROGRAM_FAULT, "KeyError in greetings.py:12")
    services(app).call_stats.flush()
    with app.app_context():
        db.session.execute(update(CallbackOutcome).values(last_at=datetime.now(UTC) - age))
        db.session.commit()
    return next(check for check in diagnose(app).checks if check.finding.step == "program")


def test_without_a_fault_the_program_is_fine(app: Flask) -> None:
    assert codes(app)["program"] == "ok"


@pytest.mark.parametrize(
    ("days", "code", "state"), [(0, "fault", Health.FAIL), (2, "fault", Health.WARN), (8, "ok", Health.OK)]
)
def test_a_fault_of_the_program_fails_for_a_day_and_warns_for_a_week(
    app: Flask, days: int, code: str, state: Health
) -> None:
    check = record_fault(app, timedelta(days=days))
    assert (check.finding.code, check.state) == (code, state)


def test_a_fault_of_the_program_is_described(app: Flask, platform: FakePlatform) -> None:
    record_fault(app, timedelta(hours=1))
    check = record_fault(app, timedelta(hours=1))
    platform.text("你好")
    assert check.values["times"] == 2
    assert "共 2 次" in words(app, check)
    assert "KeyError in greetings.py:12" in words(app, check)
    assert "Traceback" in words(app, check)
    assert codes(app)["program"] == "fault", "a push that is handled proves nothing about another one"


# The API


@pytest.fixture
def connected(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


def test_without_a_secret_it_is_said_what_is_not_possible(app: Flask) -> None:
    assert codes(app, online=True)["secret"] == "missing"


def test_offline_the_platform_is_not_asked(connected: Flask, api: FakeAPI) -> None:
    assert codes(connected)["secret"] == "untried"
    assert api.calls == []


def test_online_a_token_is_fetched_and_the_platform_looks_at_us(connected: Flask, api: FakeAPI) -> None:
    found = diagnose(connected, online=True)
    by_step = {check.finding.step: check for check in found.checks}
    assert by_step["secret"].finding.code == "works"
    assert by_step["reach"].values["addresses"] == ["203.0.113.9"]
    assert api.token_fetches == 1
    assert codes(connected)["secret"] == "works", "the result of the online check is stored"


def test_what_was_set_in_the_platforms_console_is_to_be_imported_before_the_server_is_switched_on(
    connected: Flask, api: FakeAPI
) -> None:
    assert "import" not in codes(connected, online=True)
    sample_console.set_up(api)
    [found] = [each for each in diagnose(connected, online=True).checks if each.finding.step == "import"]
    assert (found.state, found.finding.code) == (Health.WARN, "waits")
    assert found.values == {"replies": 22, "buttons": 4}
    bot = services(connected)
    somebody = Actor(None, "li", "")
    bot.importer.store(somebody, bot.account_id, bot.importer.report(somebody, bot.account_id))
    assert "import" not in codes(connected, online=True)


@pytest.mark.parametrize("online", [True, False])
def test_an_address_that_is_not_on_the_white_list_is_named(
    connected: Flask, api: FakeAPI, online: bool
) -> None:
    if online:
        with api.store.opened() as state:
            state.account.allowed_ips = ["198.51.100.1"]
    else:
        message = "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist"
        services(connected).call_stats.record_call(Call("/cgi-bin/stable_token", 40164, message, 0.1))
    secret = next(c for c in diagnose(connected, online=online).checks if c.finding.step == "secret")
    assert (secret.finding.code, secret.values["errcode"]) == ("refused", 40164)
    assert ("127.0.0.1" if online else "203.0.113.9") in words(connected, secret)


def test_a_wrong_secret_is_told(make_app: MakeApp, api: FakeAPI) -> None:
    app = make_app(api=api, wechat_app_secret="f" * 32)
    secret = next(c for c in diagnose(app, online=True).checks if c.finding.step == "secret")
    assert (secret.finding.code, secret.state) == ("refused", Health.FAIL)


class Unreachable(httpx2.BaseTransport):
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route to host")


class ClockAhead(httpx2.BaseTransport):
    """The platform with a clock that is `seconds` ahead."""

    def __init__(self, api: FakeAPI, seconds: float) -> None:
        self.api = api
        self.seconds = seconds

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self.api.transport.handle_request(request)
        response.headers["Date"] = format_datetime(datetime.now(UTC) + timedelta(seconds=self.seconds), True)
        return response


def with_transport(make_app: MakeApp, transport: httpx2.BaseTransport) -> Flask:
    return make_app(api=SimpleNamespace(transport=transport), wechat_app_secret=APP_SECRET)


def test_an_api_that_cannot_be_reached_is_told(make_app: MakeApp) -> None:
    app = with_transport(make_app, Unreachable())
    assert codes(app, online=True)["secret"] == "unreachable"
    assert codes(app)["secret"] == "unreachable", "the failure is stored"


@pytest.mark.parametrize(
    ("seconds", "code", "state"), [(2, "ok", Health.OK), (-90, "off", Health.WARN), (900, "off", Health.FAIL)]
)
def test_our_clock_is_compared_with_the_platforms(
    make_app: MakeApp, api: FakeAPI, seconds: int, code: str, state: Health
) -> None:
    app = with_transport(make_app, ClockAhead(api, seconds))
    clock = next(c for c in diagnose(app, online=True).checks if c.finding.step == "clock")
    assert (clock.finding.code, clock.state) == (code, state)


def test_a_platform_that_has_no_url_of_ours_is_told(connected: Flask, api: FakeAPI) -> None:
    with api.store.opened() as state:
        state.account.callback_url = ""
    reach = next(c for c in diagnose(connected, online=True).checks if c.finding.step == "reach")
    assert (reach.finding.code, reach.values["errcode"]) == ("refused", 40201)


def test_what_the_platform_refused_is_told_by_name(connected: Flask) -> None:
    with connected.app_context():
        account_id = ensure_account(db.engine, APP_ID)
        services(connected).capabilities.record_response(account_id, Feature.MENU, allowed=False)
    found = next(c for c in diagnose(connected).checks if c.finding.step == "capabilities")
    assert "自定义菜单" in words(connected, found)


# The deployment


def test_an_old_database_is_told(settings: Settings, tmp_path: Path) -> None:
    app = create_app(settings)
    found = diagnose(app)
    assert found.headline.finding.code == "not_migrated"
    assert found.snapshot is None


def test_a_database_that_a_later_release_has_upgraded_is_told_and_can_be_used(app: Flask) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    check = next(check for check in diagnose(app).checks if check.finding.step == "database")
    assert (check.finding.code, check.state) == ("newer", Health.WARN)


def test_a_database_that_is_away_is_told_and_nothing_fails(settings: Settings, tmp_path: Path) -> None:
    app = create_app(replace(settings, database_url=f"sqlite:///{tmp_path}/no/folder/bot.db"))
    assert diagnose(app).headline.finding.code == "trouble"


@pytest.mark.parametrize("server_database", ["mariadb"], indirect=True)
def test_a_database_without_emoji_is_told(make_app: MakeApp, server_database: str) -> None:
    app = make_app(database_url=server_database)
    assert codes(app)["database"] == "ok"
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("ALTER DATABASE CHARACTER SET latin1"))
    assert codes(app)["database"] == "charset"


@pytest.mark.parametrize(("setting", "code"), [("on", "ok"), ("off", "autovacuum")])
def test_a_database_that_never_vacuums_is_told(
    make_app: MakeApp, postgresql_database: str, setting: str, code: str
) -> None:
    app = make_app(database_url=postgresql_database)
    engine = services(app).engine
    function = f"CREATE FUNCTION current_setting(text) RETURNS text LANGUAGE sql RETURN '{setting}'"
    with engine.begin() as connection:  # it is found before the function of the server
        connection.execute(text(function))
        connection.execute(text(f"ALTER DATABASE {engine.url.database} SET search_path = public, pg_catalog"))
    engine.dispose()
    assert codes(app)["database"] == code


def test_redis_that_is_away_is_told(make_app: MakeApp) -> None:
    assert codes(make_app(redis_url="redis://127.0.0.1:1"))["redis"] == "unreachable"


def test_a_worker_that_has_died_is_missed(app: Flask) -> None:
    with app.app_context():
        heartbeats.heartbeat(db.engine, "host:1")
        assert codes(app)["worker"] == "alive"
        db.session.execute(update(Worker).values(seen_at=datetime.now(UTC) - timedelta(minutes=2)))
        db.session.commit()
    assert codes(app)["worker"] == "away"


def test_a_disk_that_is_nearly_full_is_told(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=500 << 20))
    assert codes(app)["disk"] == "low"


def test_messages_that_failed_are_counted(app: Flask, platform: FakePlatform) -> None:
    platform.text("帮助")
    with app.app_context():
        out = update(MessageLog).where(MessageLog.direction == Direction.OUT)
        db.session.execute(out.values(state=MessageState.UNKNOWN))
        db.session.commit()
    queue = next(check for check in diagnose(app).checks if check.finding.step == "queue")
    assert dict(queue.values) == {"failed": 0, "unknown": 1}


PRODUCTION = {"app_env": Environment.PRODUCTION, "secret_key": "0123456789abcdef" * 4}


@pytest.mark.parametrize("token", ["abc", "wechat", "12345678901", "aaaaaaaaaaaaaaaaaaaa"])
def test_a_token_that_can_be_guessed_is_told_in_production(make_app: MakeApp, token: str) -> None:
    found = diagnose(make_app(**PRODUCTION, wechat_token=token)).checks[0]
    assert (found.finding.code, found.state) == ("weak_token", Health.WARN)
    assert "WECHAT_TOKEN_PREVIOUS" in words(make_app(), found)
    assert codes(make_app(**PRODUCTION))["settings"] == "ok"


def test_the_plain_mode_is_told_in_production(make_app: MakeApp) -> None:
    app = make_app(**PRODUCTION)
    assert codes(app)["mode"] == "plain"
    FakePlatform.of(app).text("帮助")
    assert codes(app)["mode"] == "plain"
    assert codes(make_app(**PRODUCTION, wechat_message_mode="safe"))["mode"] != "plain"
    assert codes(make_app())["mode"] != "plain"


def test_a_backup_that_was_never_taken_or_is_old_is_told_in_production(make_app: MakeApp) -> None:
    app = make_app(**PRODUCTION)
    assert codes(app)["backup"] == "never"
    engine = services(app).engine
    record_now(engine, Actor(None, "command line", ""), BACKUP_TAKEN, BACKUP_SUBJECT, detail="backup.tar")
    assert codes(app)["backup"] == "taken"
    write(engine, update(AuditEntry).values(at=datetime.now(UTC) - timedelta(days=2)))
    assert codes(app)["backup"] == "old"
    assert "backup" not in codes(make_app())


def test_a_mode_that_has_failed_is_told_before_the_plain_one(make_app: MakeApp) -> None:
    app = make_app(**PRODUCTION, wechat_encoding_aes_key="")
    assert send(app, FakePlatform.of(make_app(wechat_message_mode="safe"))) == 403
    assert codes(app)["mode"] == "encrypted_without_key"


@pytest.mark.parametrize(
    ("origin", "proxies", "code"),
    [
        (RequestOrigin(secure=False, local=True, forwarded=False), 0, None),
        (RequestOrigin(secure=False, local=False, forwarded=False), 0, "plain"),
        (RequestOrigin(secure=False, local=True, forwarded=True), 0, "untrusted_proxy"),
        (RequestOrigin(secure=True, local=False, forwarded=True), 1, "ok"),
    ],
)
def test_how_the_page_was_reached_is_judged(
    make_app: MakeApp, origin: RequestOrigin, proxies: int, code: str | None
) -> None:
    assert codes(make_app(trusted_proxies=proxies), origin=origin).get("https") == code


def test_problems_are_counted_once_a_minute(app: Flask, platform: FakePlatform) -> None:
    doctor = services(app).doctor
    with app.app_context():
        before = doctor.problems()
        assert before == 1, "there is no worker"
        heartbeats.heartbeat(db.engine, "host:1")
        assert doctor.problems() == before


# flask wechat doctor


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_what_others_sent_does_nothing_to_the_terminal(
    app: Flask, platform: FakePlatform, options: list[str]
) -> None:
    assert send(app, platform, f"/{quote(ACTIVE)}") == 404
    services(app).call_stats.flush()
    shown = app.test_cli_runner().invoke(args=["wechat", "doctor", "--offline", *options]).output
    assert "evil" in shown
    assert not set(ACTIVE) & set(shown) - set("evil\n0;[]2J31m")
    assert not any(line.startswith("evil") for line in shown.splitlines())


def test_the_command_fails_while_a_step_has_failed(app: Flask) -> None:
    runner = app.test_cli_runner()
    failed = runner.invoke(args=["wechat", "doctor", "--offline", "--language", "zh"])
    assert failed.exit_code == 1
    assert "✗ 后台进程" in failed.output
    assert "→ 运行 flask wechat worker" in failed.output
    with app.app_context():
        heartbeats.heartbeat(db.engine, "host:1")
    assert runner.invoke(args=["wechat", "doctor", "--offline"]).exit_code == 0


def test_the_command_speaks_the_language_of_the_terminal(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    for language, word in (("zh_CN.UTF-8", "数据库"), ("en_GB.UTF-8", "Database"), ("C", "Database")):
        monkeypatch.setenv("LANG", language)
        assert word in app.test_cli_runner().invoke(args=["wechat", "doctor", "--offline"]).output


def test_the_command_has_a_form_for_programs(connected: Flask) -> None:
    result = connected.test_cli_runner().invoke(args=["wechat", "doctor", "--json"])
    checks = {check["step"]: check for check in json.loads(result.output)}
    assert checks["secret"]["code"] == "works"
    assert checks["secret"]["state"] == "ok"
    assert datetime.fromisoformat(checks["secret"]["values"]["at"])
