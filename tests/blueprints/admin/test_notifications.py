"""What a notification of the desktop says of the conversation that began to wait last."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import Engine, update

from tests.blueprints.admin.conftest import Browser, operator_of
from tests.blueprints.admin.test_profile import PREFERENCES
from wechat_bot.models import Conversation
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

WAITING = "/admin/live/waiting"


def told(browser: Browser) -> dict[str, str]:
    return dict(browser.get(WAITING).json or {})


def write(app: Flask, openid: str, text: str) -> None:
    FakePlatform.of(app).follower(openid).text(text)
    services(app).projector.catch_up()


def test_it_names_the_follower_and_tells_no_text(app: Flask, admin: Browser) -> None:
    assert admin.get(WAITING).status_code == 204
    write(app, "oFirst", "我要退款")
    write(app, "oSecond", "发票呢")
    assert told(admin) == {
        "title": pseudonym("oSecond"),
        "text": "有新的待处理对话",
        "url": "/admin/conversations/2",
    }
    assert admin.get("/admin/conversations/2").status_code == 200


def test_it_tells_the_text_to_who_wants_it(app: Flask, engine: Engine, admin: Browser) -> None:
    form = {**PREFERENCES, "notifications": "on", "notification_text": "on"}
    assert "data-notify" not in admin.get("/admin/profile").text
    assert admin.post("/admin/profile/preferences", **form).status_code == 303
    assert operator_of(engine, "li").notifications
    assert f'data-notify="{WAITING}"' in admin.get("/admin/profile").text
    write(app, "oFirst", "退款" * 200)
    assert told(admin)["text"] == "退款" * 100
    platform = FakePlatform.of(app).follower("oSecond")
    platform.push(platform.message("voice", MediaId="m", Format="amr"))
    services(app).projector.catch_up()
    assert (told(admin)["title"], told(admin)["text"]) == (pseudonym("oSecond"), "[语音]")


def test_it_names_a_follower_who_asks_for_a_person(app: Flask, admin: Browser) -> None:
    write(app, "oFirst", "帮助")
    assert admin.get(WAITING).status_code == 204
    write(app, "oFirst", "人工")
    assert told(admin)["title"] == pseudonym("oFirst")
    assert (admin.get("/admin/live").json or {})["open"] == 1


def test_nobody_waits_whose_message_was_answered(app: Flask, engine: Engine, admin: Browser) -> None:
    write(app, "oFirst", "我要退款")
    write(app, "oSecond", "发票呢")
    with engine.begin() as connection:  # as after an answer that was sent: open, and nobody waits
        connection.execute(update(Conversation).values(waiting_since=None, waiting_id=None))
    assert admin.get(WAITING).status_code == 204
