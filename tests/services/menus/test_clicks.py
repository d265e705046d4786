"""Taps on buttons, counted from the message log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.conftest import MakeApp
from tests.services.menus.test_buttons import HELP, MORE, SHOP
from tests.services.messages.journal import NOON, Journal
from wechat_bot.extensions import db
from wechat_bot.models import Direction
from wechat_bot.services.menus.clicks import clicks_of, counted_since
from wechat_bot.wechat.api.menu import Button
from wechat_bot.wiring import services


def test_taps_are_counted_once_for_7_and_30_days(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        journal, projector = Journal(db.engine), services(app).projector
        account_id = journal.account_id

        def tap(event: str, key: str, days: int = 0, **columns: Any) -> None:
            at = NOON - timedelta(days=days)
            fields = {"EventKey": key}
            journal.add(key, kind="event", event=event, payload=fields, created_at=at, **columns)

        for days in (40, 20, 8, 6, 0, 0):
            tap("click", HELP.key, days)
        projector.catch_up()
        tap("click", HELP.key)
        tap("view", SHOP.url)
        tap("view", "https://elsewhere.example/")
        tap("view", HELP.key)
        tap("click", HELP.key, direction=Direction.OUT)
        journal.add("MENU_HELP")
        projector.catch_up()
        projector.catch_up()

        scan = Button("扫码", "scancode_push", key="scan")
        silent = Button("文章", "article_id", article_id="a1")
        with db.engine.connect() as connection:
            found = clicks_of(connection, account_id, [HELP, SHOP, scan, silent, MORE], NOON)
            others = clicks_of(connection, account_id + 1, [HELP], NOON)
            first = counted_since(connection, account_id)
        assert found == {HELP: (4, 6), SHOP: (1, 1), scan: (0, 0)}
        assert others == {HELP: (0, 0)}
        assert first == int((NOON - timedelta(days=40)).timestamp()) // 3600
        db.session.remove()
        db.engine.dispose()
