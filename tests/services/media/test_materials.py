"""Tests of the import of the platform's permanent material into the library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.models import ImportState, LibraryFile, Material, MaterialImport
from wechat_bot.services.accounts.capabilities import Feature
from wechat_bot.services.audit import Actor
from wechat_bot.services.import_runs import RUN_TIMEOUT
from wechat_bot.services.media.library import Usage
from wechat_bot.services.media.materials import MAX_LOST, Materials
from wechat_bot.simulator import sample_console
from wechat_bot.simulator.sample_files import GIF, PNG, WAV
from wechat_bot.testing import FakeAPI
from wechat_bot.wiring import Services, services

SOMEBODY = Actor(None, "li", "")
GET = "/cgi-bin/material/get_material"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


@pytest.fixture
def bot(app: Flask) -> Services:
    return services(app)


def run(bot: Services) -> Any:
    """Press the button, let the worker work, and return the run."""
    bot.materials.runs.start(SOMEBODY, bot.account_id)
    bot.jobs.run_all()
    return rows(bot.engine, MaterialImport)[-1]


def rows(engine: Engine, model: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(model.__table__).order_by(model.id)).all())


def give(api: FakeAPI, content: bytes, name: str, kind: str = "image") -> str:
    return api.give_media(kind, content, name, "", permanent=True)


def test_the_material_of_a_shop_is_in_the_library(bot: Services, api: FakeAPI) -> None:
    sample_console.set_up(api)
    done = run(bot)
    assert (done.state, done.total, done.done, done.added) == (ImportState.DONE, 6, 6, 4)
    names = [(row.kind, row.name) for row in rows(bot.engine, LibraryFile)]
    assert ("image", "海报.gif") in names
    assert ("voice", "老板的话.mp3") in names
    assert ("video", "开店.mp4") in names
    found = {row.name: row for row in rows(bot.engine, Material)}
    assert found["录音.wav"].reason == "format"
    assert found["会员日"].url.startswith("http://mp.weixin.qq.com/")


def test_the_second_run_takes_only_what_is_new(bot: Services, api: FakeAPI) -> None:
    give(api, PNG, "old.png")
    give(api, WAV, "old.wav", "voice")
    run(bot)
    give(api, GIF, "new.gif")
    fetched = api.calls.count(GET)
    assert run(bot).added == 1
    assert api.calls.count(GET) == fetched + 1
    assert run(bot).added == 0


def test_the_same_picture_twice_is_one_file(bot: Services, api: FakeAPI) -> None:
    give(api, PNG, "a.png")
    give(api, PNG, "b.png")
    run(bot)
    assert len(rows(bot.engine, LibraryFile)) == 1
    assert run(bot).added == 0


def test_the_platforms_material_is_sent_without_an_upload(bot: Services, api: FakeAPI) -> None:
    media_id = give(api, PNG, "a.png")
    run(bot)
    [file] = rows(bot.engine, LibraryFile)
    bot.library.used_by = lambda connection, account_id: {file.id: [Usage("rule:1", "欢迎")]}
    assert bot.library.renew(bot.account_id, datetime.now(UTC)) == 0
    assert bot.library.media_id(bot.account_id, file.id, datetime.now(UTC)) == media_id


def test_our_own_permanent_copies_are_no_news(bot: Services, api: FakeAPI) -> None:
    file_id = bot.library.add(SOMEBODY, bot.account_id, "a.png", PNG)
    bot.capabilities.record_response(bot.account_id, Feature.MEDIA, allowed=False)
    bot.library.media_id(bot.account_id, file_id, datetime.now(UTC))
    assert run(bot).added == 0
    assert rows(bot.engine, Material) == []


def test_a_file_that_was_deleted_here_does_not_come_back(bot: Services, api: FakeAPI) -> None:
    give(api, PNG, "a.png")
    run(bot)
    bot.library.delete(SOMEBODY, bot.account_id, rows(bot.engine, LibraryFile)[0].id)
    assert run(bot).added == 0


def test_a_file_that_is_not_to_be_had_is_named_and_asked_for_again(bot: Services, api: FakeAPI) -> None:
    give(api, PNG, "a.png")
    give(api, GIF, "b.gif")
    api.errcodes[GET] = [40007]
    assert run(bot).added == 1
    [lost, _taken] = rows(bot.engine, Material)
    assert (lost.name, lost.reason[:5]) == ("b.gif", "40007")
    assert run(bot).added == 1
    assert [row.reason for row in rows(bot.engine, Material)] == ["", ""]


@pytest.mark.parametrize("errcodes", [[50002], [40007] * MAX_LOST])
def test_a_run_that_fails_is_told_and_the_next_one_goes_on(
    bot: Services, api: FakeAPI, errcodes: list[int]
) -> None:
    for number in range(MAX_LOST + 1):
        give(api, PNG, f"{number}.png")
    api.errcodes[GET] = errcodes.copy()
    failed = run(bot)
    assert (failed.state, failed.errcode) == (ImportState.FAILED, errcodes[0])
    assert run(bot).state == ImportState.DONE
    assert all(row.file_id for row in rows(bot.engine, Material))


def test_an_interrupted_run_is_continued_and_two_are_never_begun(bot: Services, api: FakeAPI) -> None:
    give(api, PNG, "a.png")
    bot.materials.runs.start(SOMEBODY, bot.account_id)
    bot.materials.runs.start(SOMEBODY, bot.account_id)
    bot.jobs.flush()
    bot.jobs.queue.flush()  # the worker was killed
    now = datetime.now(UTC)
    bot.materials.runs.resume_interrupted(bot.account_id, now)
    assert bot.jobs.run_all() == 0
    bot.materials.runs.resume_interrupted(bot.account_id, now + RUN_TIMEOUT + timedelta(seconds=9))
    bot.jobs.run_all()
    [done] = rows(bot.engine, MaterialImport)
    assert (done.state, done.added) == (ImportState.DONE, 1)
    bot.materials.run(done.id)  # a job may run twice
    assert rows(bot.engine, MaterialImport) == [done]


def test_an_account_without_an_api_is_told_so(make_app: MakeApp) -> None:
    bot = services(make_app())
    assert isinstance(bot.materials, Materials)
    assert (run(bot).state, run(bot).errcode) == (ImportState.FAILED, 48001)


def test_material_is_imported_on_every_database(make_app: MakeApp, any_database: str, api: FakeAPI) -> None:
    bot = services(make_app(api=api, wechat_app_secret=APP_SECRET, database_url=any_database))
    sample_console.set_up(api)
    assert run(bot).added == 4
    assert run(bot).added == 0
    bot.call_stats.flush()  # before the database is dropped
