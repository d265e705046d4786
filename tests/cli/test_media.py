"""``flask wechat media``, as an owner uses it."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import APP_SECRET, MakeApp
from tests.files import needs_ffmpeg
from wechat_bot.extensions import db
from wechat_bot.models import Media, MediaState
from wechat_bot.services.media.converter import Converter
from wechat_bot.simulator.sample_files import AMR
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wiring import services


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    """An application that has received three voices."""
    app = make_app(api=api, wechat_app_secret=APP_SECRET)
    for _ in range(3):
        FakePlatform.of(app).voice(api.give_media("voice", AMR, "a.amr", "audio/amr"))
    services(app).projector.catch_up()
    return app


def run(app: Flask, command: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["wechat", "media", command])
    return result.exit_code, result.output


def test_what_is_wanted_is_fetched(app: Flask) -> None:
    assert run(app, "fetch") == (0, "3 files were tried.\n")
    assert run(app, "fetch") == (0, "0 files were tried.\n")
    with app.app_context():
        assert {row.state for row in db.session.scalars(select(Media))} == {MediaState.STORED}


@needs_ffmpeg
def test_voices_are_converted_once_there_is_ffmpeg(app: Flask) -> None:
    archive = services(app).archive
    archive.converter = Converter(None)
    run(app, "fetch")
    status, output = run(app, "convert")
    assert (status, "apt install ffmpeg" in output) == (1, True)
    archive.converter = Converter.detect()
    assert run(app, "convert") == (0, "3 voices can be played now.\n")
