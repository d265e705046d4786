"""The health screen, as operators see it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import Engine, insert, select, update

from tests.blueprints.admin.conftest import Browser, SignIn, audited, newest
from tests.conftest import APP_SECRET, MakeApp, statements
from wechat_bot.models import (
    AuditEntry,
    Capability,
    Direction,
    Media,
    MediaState,
    MessageLog,
    MessageState,
    Role,
)
from wechat_bot.services.health import heartbeats
from wechat_bot.services.inbox import queue
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.api import Call
from wechat_bot.wechat.errors import QuotaUsedUp
from wechat_bot.wiring import services

SEND = "/cgi-bin/message/custom/send"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    """An application whose account has an API."""
    return make_app(api=api, wechat_app_secret=APP_SECRET)


@pytest.fixture(autouse=True)
def worker(engine: Engine) -> None:
    heartbeats.heartbeat(engine, "host:1")


def change(engine: Engine, direction: Direction, **values: object) -> int:
    """Change all messages of a direction; the id of the newest."""
    with engine.begin() as connection:
        changed = update(MessageLog).where(MessageLog.direction == direction)
        connection.execute(changed.values(values))
        newest = select(MessageLog.id).where(MessageLog.direction == direction).order_by(MessageLog.id.desc())
        return connection.scalars(newest.limit(1)).one()


def headline(page: str) -> str:
    found = re.search(r'class="health-said">([^<]*)<', page)
    assert found
    return found[1]


def test_it_says_that_the_platform_pushes_and_when_it_last_did(
    admin: Browser, platform: FakePlatform
) -> None:
    platform.text("你好")
    assert re.fullmatch(r"微信正在正常推送，上次 \d+秒钟前。", headline(admin.get("/admin/health").text))
    english = headline(admin.get("/admin/health?lang=en").text)
    assert re.fullmatch(r"WeChat is pushing normally, last \d+ seconds? ago\.", english)


def test_the_first_thing_that_is_wrong_is_the_headline(
    admin: Browser, app: Flask, platform: FakePlatform
) -> None:
    platform.text("你好")
    message = "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist"
    services(app).call_stats.record_call(Call("/cgi-bin/stable_token", 40164, message, 0.1))
    services(app).call_stats.flush()
    page = admin.get("/admin/health").text
    assert "40164" in headline(page)
    assert "203.0.113.9" in page


def test_pushes_are_drawn_and_listed_with_the_late_ones_marked(
    admin: Browser, engine: Engine, platform: FakePlatform
) -> None:
    for number in range(3):
        platform.follower(f"oLate{number}").text("你好")
    change(engine, Direction.IN, latency_ms=5200)
    platform.text("帮助")
    page = admin.get("/admin/health").text
    assert page.count('<circle class="late"') == 3
    assert page.count('<circle class="intime"') == 1
    table = page.partition("<caption>最近的推送</caption>")[2].partition("</table>")[0]
    assert table.count("5200 ms") == 3
    assert table.count("迟到") == 3


def test_requests_and_calls_are_told_in_words(admin: Browser, app: Flask) -> None:
    app.test_client().get("/wechat")
    seen = services(app).call_stats
    for call in (Call(SEND, 0, "", 0.1), Call(SEND, 45015, "", 0.1), Call(SEND, 0, "no answer", 9.0)):
        seen.record_call(call)
    seen.flush()
    page = admin.get("/admin/health").text
    for words in ("没有签名（陌生人或扫描器）", "距用户上次发消息已超过 48 小时", "没有收到回答", "成功"):
        assert words in page
    english = admin.get("/admin/health?lang=en").text
    assert "No answer came" in english
    assert "Not signed" in english


def test_pushes_that_were_understood_in_part_are_counted(
    admin: Browser, app: Flask, platform: FakePlatform
) -> None:
    assert platform.push_once(platform.message("link", Title="t")).status == 200
    services(app).call_stats.flush()
    page = admin.get("/admin/health").text
    assert "收下了，只看懂一部分" in page
    assert "LinkMessage: Url" in page


def test_hostile_details_are_only_words(admin: Browser, app: Flask, platform: FakePlatform) -> None:
    query, _, _ = platform.request(platform.message("text", Content="x"))
    app.test_client().get(f"/<script>alert(1)</script>?{query}")
    services(app).call_stats.flush()
    page = admin.get("/admin/health").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_messages_and_files_that_failed_can_be_tried_again_by_operators(
    signed_in: SignIn, engine: Engine, platform: FakePlatform
) -> None:
    platform.text("帮助")
    answered = {"origin": "operator:1", "operator_id": 1, "error": "45015 out of time"}
    sent = change(engine, Direction.OUT, state=MessageState.FAILED, **answered)
    received = change(engine, Direction.IN, state=MessageState.ANSWERED)
    with engine.begin() as connection:
        connection.execute(
            insert(Media).values(
                message_id=received,
                kind="image",
                state=MediaState.FAILED,
                error="404",
                created_at=datetime.now(UTC),
            )
        )
    buttons = (f"/admin/answers/{sent}/retry", f"/admin/media/{newest(engine, Media.id)}/retry")
    page = signed_in(Role.OPERATOR, "wang").get("/admin/health").text
    assert all(button in page for button in buttons)
    told = "距用户上次发消息已超过 48 小时（45015）。等用户再次发来消息。"
    assert told in page
    page = signed_in(Role.VIEWER, "chen").get("/admin/health").text
    assert told in page
    assert not any(button in page for button in buttons)


def test_what_a_handler_said_in_vain_is_told_in_words_and_can_be_sent_again(
    admin: Browser, engine: Engine, platform: FakePlatform
) -> None:
    platform.text("帮助")
    sent = change(engine, Direction.OUT, state=MessageState.UNKNOWN, error="interrupted")
    page = admin.get("/admin/health").text
    assert "不知道有没有送到。问一问对方，没有收到再按“再发一次”。" in page
    assert "interrupted" not in page
    assert f"/admin/answers/{sent}/retry" in page


def test_admins_clear_a_quota_that_is_used_up(
    signed_in: SignIn, app: Flask, api: FakeAPI, engine: Engine
) -> None:
    admin, operator = signed_in(Role.ADMIN), signed_in(Role.OPERATOR, "wang")
    clear = "/admin/health/quotas"
    assert clear not in admin.get("/admin/health").text
    api.errcodes["/cgi-bin/user/get"] = [45009]
    client = services(app).client
    assert client
    for _ in range(2):
        with pytest.raises(QuotaUsedUp):
            client.users.list()
    services(app).call_stats.flush()
    assert "本月还剩 10 次" in admin.get("/admin/health").text
    page = operator.get("/admin/health").text
    assert "本月还剩 10 次" in page
    assert clear not in page
    assert operator.post(clear).status_code == 403
    assert admin.post(clear).status_code == 303
    assert "本月还剩 9 次" in admin.get("/admin/health").text
    client.users.list()
    with engine.connect() as connection:
        assert "quota_cleared" in connection.scalars(select(AuditEntry.action)).all()


def test_why_a_quota_cannot_be_cleared_is_told(admin: Browser, api: FakeAPI) -> None:
    api.errcodes["/cgi-bin/clear_quota"] = [48006]
    admin.post("/admin/health/quotas")
    page = admin.get("/admin/health").text
    assert "清零次数已用完，每月 10 次（48006）。" in page


def test_the_platform_is_asked_when_an_operator_wants_it_and_only_then(
    signed_in: SignIn, api: FakeAPI
) -> None:
    operator, viewer = signed_in(Role.OPERATOR, "wang"), signed_in(Role.VIEWER, "chen")
    operator.get("/admin/health")
    assert api.calls == []
    assert viewer.post("/admin/health").status_code == 403
    page = operator.post("/admin/health").text
    assert "微信能解析域名并连通：203.0.113.9" in page
    assert "/cgi-bin/callback/check" in api.calls


def test_admins_decide_what_the_account_may_do(admin: Browser, engine: Engine) -> None:
    def decided() -> list[tuple[bool, bool]]:
        with engine.connect() as connection:
            chosen = select(Capability.allowed, Capability.by_operator).where(Capability.feature == "menu")
            return [(row.allowed, row.by_operator) for row in connection.execute(chosen)]

    answer = admin.post("/admin/health/capabilities/menu", allowed="no")
    assert answer.status_code == 303
    assert decided() == [(False, True)]
    assert "管理员决定" in admin.get("/admin/health").text
    admin.post("/admin/health/capabilities/menu", allowed="auto")
    assert decided() == []
    assert audited(engine)[-2:] == ["capability_changed"] * 2
    assert "更改接口权限" in admin.get("/admin/audit").text


@pytest.mark.parametrize(("feature", "allowed"), [("flying", "yes"), ("menu", "perhaps")])
def test_nonsense_is_no_capability(admin: Browser, feature: str, allowed: str) -> None:
    assert admin.post(f"/admin/health/capabilities/{feature}", allowed=allowed).status_code == 400


def test_operators_do_not_decide_what_the_account_may_do(signed_in: SignIn) -> None:
    operator = signed_in(Role.OPERATOR, "wang")
    assert "capabilities/menu" not in operator.get("/admin/health").text
    assert operator.post("/admin/health/capabilities/menu", allowed="no").status_code == 403


def test_programs_get_the_same_without_what_followers_wrote(
    admin: Browser, engine: Engine, platform: FakePlatform
) -> None:
    platform.text("我的号码是 13800000000")
    change(engine, Direction.OUT, state=MessageState.FAILED, origin="operator:1", operator_id=1)
    answer = admin.get("/admin/health.json")
    report = json.loads(answer.text)
    assert report["headline"]["code"] == "pushing"
    assert {check["step"] for check in report["checks"]} >= {"url", "token", "database", "worker", "secret"}
    assert report["pushes"][0]["latency_ms"] is not None
    assert report["messages"]["outgoing"] == {"failed": 1}
    assert report["database"]["revision"] == report["database"]["wanted_revision"]
    assert report["versions"]["sqlite"]
    assert "13800000000" not in answer.text


def test_the_navigation_shows_no_number_while_all_is_well(admin: Browser) -> None:
    assert 'data-count="problems" hidden' in admin.get("/admin/profile").text
    assert admin.get("/admin/live").json["problems"] == 0  # type: ignore[index]


def test_the_navigation_tells_a_missing_worker(admin: Browser, engine: Engine) -> None:
    heartbeats.sign_off(engine, "host:1")
    assert admin.get("/admin/live").json["problems"] == 1  # type: ignore[index]


def add_process(engine: Engine, **figures: int) -> None:
    """Add a process that runs slow handlers."""
    queue.send_heartbeat(engine, "host:2", **{"max_running": 10, "max_waiting": 20, **figures})


def slow_handlers(page: str) -> str:
    return page.partition('id="slow-handlers"')[2].partition("</section>")[0]


def test_before_a_slow_handler_has_run_the_page_says_so(admin: Browser, engine: Engine) -> None:
    add_process(engine)
    section = slow_handlers(admin.get("/admin/health").text)
    assert "还没有运行过" in section
    assert "<meter" not in section


def test_the_figures_of_slow_handlers_are_drawn_and_listed(
    admin: Browser, engine: Engine, platform: FakePlatform
) -> None:
    platform.text("你好")
    change(engine, Direction.IN, state=MessageState.RECEIVED)
    add_process(engine, running=3, waiting=4, p95_ms=8200)
    section = slow_handlers(admin.get("/admin/health").text)
    drawn = re.findall(r'<meter aria-label="([^"]+)" max="([^"]+)" value="([^"]+)">', section)
    assert [label for label, _, _ in drawn] == [
        "正在运行",
        "推送在等回答",
        "排队的消息",
        "排队最久",
        "最早还没回答",
        "运行用时 p95",
    ]
    assert [(value, end) for _, end, value in drawn[:3]] == [("3", "10"), ("4", "20"), ("1", "10")]
    assert drawn[-1][1:] == ("15", "8.2")
    table = section.partition("<caption>运行慢处理函数的进程</caption>")[2]
    assert all(words in table for words in ("host:2", "3 / 10", "4 / 20", "8200 ms"))
    english = slow_handlers(admin.get("/admin/health?lang=en").text)
    assert "Longest queued" in english


def test_too_few_places_for_slow_handlers_are_an_alarm(admin: Browser, engine: Engine) -> None:
    add_process(engine, running=7, waiting=14)
    page = admin.get("/admin/health").text
    assert headline(page) == "有 7 个在运行，最多 10 个；再多就要排队。"
    assert "WECHAT_SLOW_HANDLERS" in page
    assert slow_handlers(page).count('<meter class="alarm"') == 2
    assert admin.get("/admin/live").json["problems"] == 1  # type: ignore[index]


def test_programs_get_the_figures_of_slow_handlers(admin: Browser, engine: Engine) -> None:
    add_process(engine, running=3, waiting=4, p95_ms=8200)
    found = json.loads(admin.get("/admin/health.json").text)["slow_handlers"]
    (process,) = found.pop("processes")
    assert found == {
        "running": 3,
        "max_running": 10,
        "waiting": 4,
        "max_waiting": 20,
        "queued": 0,
        "oldest": 0,
        "oldest_queued": 0,
        "p95_ms": 8200,
    }
    assert (process["name"], process["running"]) == ("host:2", 3)


def test_strangers_are_asked_to_sign_in(browser: Browser) -> None:
    assert browser.get("/admin/health").status_code == 303
    assert browser.get("/admin/health.json", Accept="application/json").status_code == 401


def test_the_page_sends_few_statements(admin: Browser, engine: Engine, platform: FakePlatform) -> None:
    for number in range(60):
        platform.text(f"你好 {number}")
    admin.get("/admin/health")
    with statements() as sent:
        admin.get("/admin/health")
    assert len(sent) <= 25, "\n".join(sent)


def test_pushes_to_another_account_do_not_count(admin: Browser, make_app: MakeApp) -> None:
    FakePlatform.of(make_app(wechat_app_id="wx" + "0" * 16)).text("你好")
    assert headline(admin.get("/admin/health").text) == "微信还没有来过。"
