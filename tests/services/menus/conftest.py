"""An account whose API the simulator plays, on every database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.extensions import db
from wechat_bot.testing import FakeAPI
from wechat_bot.wiring import Services, services


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI, any_database: str) -> Iterator[Flask]:
    app = make_app(api=api, wechat_app_secret=APP_SECRET, database_url=any_database)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def bot(app: Flask) -> Services:
    return services(app)
