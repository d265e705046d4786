"""The page of alerts: who may see it, what it shows, and that it shows no secrets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale
from sqlalchemy import Engine, select, update

from tests.blueprints.admin.conftest import Browser, audited
from tests.conftest import MakeApp
from tests.services.alerts.conftest import robot as robot
from tests.services.alerts.played import Robot
from wechat_bot.models import AlertChannel, AuditEntry
from wechat_bot.settings import Switch
from wechat_bot.wiring import services

FORM = {"name": "客服群", "occasions": "waiting", "minutes": "5", "language": "zh", "enabled": "on"}
URL = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a-very-secret-key"


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(alerts_private_addresses=Switch.YES)


def channel(engine: Engine) -> Any:
    with engine.connect() as connection:
        return connection.execute(select(AlertChannel.__table__)).one()


def test_a_channel_is_made_shown_changed_and_deleted(engine: Engine, admin: Browser) -> None:
    assert "还没有提醒渠道" in admin.get("/admin/alerts").text
    assert admin.get("/admin/alerts/new/wecom").status_code == 200
    assert admin.post("/admin/alerts/new/wecom", **FORM, url=URL).location == "/admin/alerts"
    page = admin.get("/admin/alerts").text
    assert "客服群" in page
    assert "qyapi.weixin.qq.com/…-key" in page
    assert "还没有发过" in page
    changed: dict[str, Any] = {
        **FORM,
        "name": "夜班群",
        "quiet.hours": "22：00 至 8:00",
        "quiet.weekdays": ["6", "7"],
    }
    assert admin.post("/admin/alerts/1", **changed, version="1").status_code == 303
    assert channel(engine).definition["quiet"] == {"hours": ["22:00-08:00"], "weekdays": [6, 7]}
    form = admin.get("/admin/alerts/1").text
    assert 'value="22:00-08:00"' in form
    assert 'value="6" checked' in form
    assert admin.post("/admin/alerts/1/remove").status_code == 303
    assert admin.get("/admin/alerts/1").status_code == 404
    assert admin.post("/admin/alerts/1", **changed, version="1").status_code == 404
    assert audited(engine)[-3:] == ["alert_channel_created", "alert_channel_saved", "alert_channel_deleted"]


def test_no_page_and_no_entry_shows_a_secret(engine: Engine, admin: Browser) -> None:
    form = {**FORM, "url": URL, "secret": "SECret"}
    assert admin.post("/admin/alerts/new/feishu", **form).status_code == 303
    refused = admin.post("/admin/alerts/new/feishu", **{**form, "minutes": "many"})
    conflict = admin.post("/admin/alerts/1", **form, version="9")
    assert (refused.status_code, conflict.status_code) == (422, 409)
    pages = [admin.get(path).text for path in ("/admin/alerts", "/admin/alerts/1", "/admin/audit")]
    for page in (*pages, refused.text, conflict.text):
        assert "a-very-secret" not in page
        assert "SECret" not in page
    assert "••••••••" in pages[1]


def test_a_wrong_form_names_every_problem_and_stores_nothing(engine: Engine, admin: Browser) -> None:
    page = admin.post("/admin/alerts/new/mail", **{**FORM, "name": " ", "minutes": "0"}, recipients="nobody")
    assert page.status_code == 422
    assert "不能是空的。" in page.text
    assert "超出范围：1 到 1440。" in page.text
    assert "写法不对，要像这样：name@example.com。" in page.text
    assert 'aria-describedby="problem-recipients"' in page.text
    with engine.connect() as connection:
        assert connection.execute(select(AlertChannel.id)).all() == []


@pytest.mark.parametrize("medium", ["nothing", "Wecom"])
def test_there_are_no_other_media(admin: Browser, medium: str) -> None:
    assert admin.get(f"/admin/alerts/new/{medium}").status_code == 404
    assert admin.post(f"/admin/alerts/new/{medium}", **FORM).status_code == 404


def test_what_somebody_else_saved_is_shown_and_can_be_overwritten(engine: Engine, admin: Browser) -> None:
    admin.post("/admin/alerts/new/wecom", **FORM, url=URL)
    admin.post("/admin/alerts/1", **{**FORM, "name": "theirs"}, version="1")
    conflict = admin.post("/admin/alerts/1", **{**FORM, "name": "mine"}, version="1")
    assert conflict.status_code == 409
    assert 'name="version" value="2"' in conflict.text
    assert 'value="mine"' in conflict.text
    assert channel(engine).definition["name"] == "theirs"


def test_the_test_button_shows_what_the_robot_says(engine: Engine, admin: Browser, robot: Robot) -> None:
    admin.post("/admin/alerts/new/wecom", **FORM, url=robot.url)
    robot.answer = {"errcode": 93000, "errmsg": "<b>invalid webhook url</b>"}
    admin.post("/admin/alerts/1/test")
    page = admin.get("/admin/alerts").text
    meaning = "对方拒绝了（93000）。 Webhook 地址不对，或者机器人已经被移出群。"
    assert page.count(f"{meaning} 原话：&lt;b&gt;invalid webhook url&lt;/b&gt;") == 2
    robot.answer = {"errcode": 0, "errmsg": "ok"}
    admin.post("/admin/alerts/1/test")
    page = admin.get("/admin/alerts").text
    assert "“客服群”收下了测试消息。" in page
    assert "送到了" in page
    with engine.connect() as connection:
        tested = select(AuditEntry.subject, AuditEntry.detail).where(AuditEntry.action == "alert_tested")
        assert connection.execute(tested).all() == [("alert_channel:1", "refused"), ("alert_channel:1", "ok")]


def test_the_doctor_calls_operators_to_a_channel_that_fails_for_an_hour(
    app: Flask, engine: Engine, admin: Browser
) -> None:
    admin.post("/admin/alerts/new/wecom", **FORM, url=URL)

    def checked(minutes: int) -> str:
        since = datetime.now(UTC) - timedelta(minutes=minutes)
        with engine.begin() as connection:
            connection.execute(update(AlertChannel).values(failing_since=since))
        with app.app_context(), force_locale("zh"):
            diagnosis = services(app).doctor.diagnose()
            [check] = [each for each in diagnosis.checks if each.finding.step == "alerts"]
            assert (check in diagnosis.problems) == (check.finding.code == "failed")
            return check.said

    assert checked(59) == "正常。"
    assert checked(61) == "这些提醒渠道一个小时以来没有送到过：客服群。"
    off = {name: value for name, value in FORM.items() if name != "enabled"}
    assert admin.post("/admin/alerts/1", **off, version="1").status_code == 303
    assert checked(61) == "正常。"
