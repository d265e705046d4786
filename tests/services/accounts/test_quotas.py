"""Quotas that are used up: cleared once, for all processes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, update

from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import Account
from wechat_bot.services.accounts.quotas import MAX_CLEARS
from wechat_bot.services.audit import Actor
from wechat_bot.testing import FakeAPI
from wechat_bot.wechat.errors import QuotaUsedUp
from wechat_bot.wiring import Services, services

USERS = "/cgi-bin/user/get"
CLEAR = "/cgi-bin/clear_quota"
SOMEBODY = Actor(None, "tests", "")


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI, any_database: str) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET, database_url=any_database)


@pytest.fixture
def bot(app: Flask) -> Services:
    return services(app)


def list_users(bot: Services) -> None:
    assert bot.client
    bot.client.users.list()


def test_what_another_process_has_cleared_is_called_again(
    make_app: MakeApp, api: FakeAPI, bot: Services, any_database: str
) -> None:
    other = services(make_app(api=api, wechat_app_secret=APP_SECRET, database_url=any_database))
    api.errcodes[USERS] = [45009]
    for _ in range(2):
        with pytest.raises(QuotaUsedUp):
            list_users(other)
    assert api.calls.count(USERS) == 1, "it is not called again before midnight"
    bot.quotas.clear(SOMEBODY)
    other.outbox.send(0)  # to nobody
    list_users(other)


def test_a_month_has_ten_clears(bot: Services, app: Flask) -> None:
    assert bot.quotas.clears_left() == MAX_CLEARS == 10
    for left in reversed(range(10)):
        bot.quotas.clear(SOMEBODY)
        assert bot.quotas.clears_left() == left
    with pytest.raises(QuotaUsedUp):
        bot.quotas.clear(SOMEBODY)
    with app.app_context():
        engine: Engine = db.engine
    with engine.begin() as connection:
        connection.execute(update(Account).values(quota_cleared_at=datetime.now(UTC) - timedelta(days=32)))
    assert bot.quotas.clears_left() == 10


def test_the_platform_knows_better_how_often_it_was_done(bot: Services, api: FakeAPI) -> None:
    api.errcodes[CLEAR] = [48006]
    with pytest.raises(QuotaUsedUp):
        bot.quotas.clear(SOMEBODY)
    assert bot.quotas.clears_left() == 0


def test_the_command_clears_them_or_says_why_not(app: Flask, make_app: MakeApp, api: FakeAPI) -> None:
    def run(app: Flask) -> tuple[int, str]:
        result = app.test_cli_runner().invoke(args=["wechat", "clear-quota"])
        return result.exit_code, result.output

    cleared = "The quotas are cleared, which is possible 9 more times this month.\n"
    assert run(app) == (0, cleared)
    api.errcodes[CLEAR] = [48006]
    status, said = run(app)
    assert status == 1
    assert said.endswith("(48006). It is reset next month.\n")
    assert run(make_app()) == (
        1,
        "Error: There is no API yet: set WECHAT_APP_ID and WECHAT_APP_SECRET in .env.\n",
    )
