"""Tests of the archive on every database."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.models import Media, MediaState
from wechat_bot.services.media.archive import Archive
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wiring import services


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI, any_database: str) -> Flask:
    return make_app(api=api, database_url=any_database, wechat_app_secret=APP_SECRET)


def test_each_file_is_fetched_once(app: Flask, api: FakeAPI, engine: Engine) -> None:
    platform = FakePlatform.of(app)
    for media_id in (api.give_media("image", PNG, "a.png", "image/png"), "gone"):
        platform.image(media_id, "")
    services(app).projector.catch_up()
    archive: Archive = services(app).archive
    assert archive.download_due() == 2
    with engine.connect() as connection:
        rows = connection.execute(select(Media.state, Media.attempts).order_by(Media.id)).all()
    assert rows == [(MediaState.STORED, 1), (MediaState.EXPIRED, 1)]
    assert archive.download_due() == 0
    assert api.calls.count("/cgi-bin/media/get") == 2
    services(app).call_stats.flush()  # before the database is dropped
