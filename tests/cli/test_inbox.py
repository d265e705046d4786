"""``flask wechat sweep``, as an owner uses it."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import update

from wechat_bot.extensions import db
from wechat_bot.models import MessageLog, MessageState
from wechat_bot.testing import FakePlatform


def test_a_sweep_reports_how_many_messages_it_ended(app: Flask) -> None:
    FakePlatform.of(app).text("帮助")
    with app.app_context():
        long_ago = db.func.datetime("2026-01-01")
        db.session.execute(update(MessageLog).values(state=MessageState.RECEIVED, received_at=long_ago))
        db.session.commit()
    shown = app.test_cli_runner().invoke(args=["wechat", "sweep"])
    assert shown.output == "2 messages were brought to an end.\n"
