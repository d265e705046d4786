"""Tests of the library: its files, and the platform's copies of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, select

from tests.conftest import APP_SECRET, MakeApp
from tests.files import GOOD, HEIC, HOSTILE_FILES, animation, picture
from wechat_bot.models import AuditEntry, LibraryFile, LibraryMediaId
from wechat_bot.services.accounts.capabilities import Feature, PermissionReason
from wechat_bot.services.audit import Actor
from wechat_bot.services.media.archive import LIFETIME
from wechat_bot.services.media.formats import RefusalReason, RefusedMedia
from wechat_bot.services.media.library import (
    MAX_BYTES,
    RENEWAL_MARGIN,
    RETRY_DELAY,
    Library,
    LibraryError,
    LibraryProblem,
    Usage,
    Usages,
    find_media_id,
)
from wechat_bot.simulator.sample_files import AMR, GIF, MP3, MP4, PNG
from wechat_bot.simulator.state import SimulatedAccount
from wechat_bot.testing import FakeAPI
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.errors import APIError, Forbidden
from wechat_bot.wiring import services

SOMEBODY = Actor(None, "li", "")
UPLOAD = "/cgi-bin/media/upload"
ADD = "/cgi-bin/material/add_material"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LATER = NOW + LIFETIME - RENEWAL_MARGIN


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


@pytest.fixture
def library(app: Flask) -> Library:
    return services(app).library


@pytest.fixture
def account_id(app: Flask) -> int:
    return services(app).account_id


Add = Callable[..., int]


@pytest.fixture
def add(library: Library, account_id: int) -> Add:
    return lambda content=PNG, name="a.png": library.add(SOMEBODY, account_id, name, content)


@pytest.fixture
def use(library: Library) -> Callable[..., None]:
    """Let a rule use files."""

    def use(*file_ids: int) -> None:
        def used_by(connection: Connection, account_id: int) -> Usages:
            return {file_id: [Usage("rule:1", "欢迎")] for file_id in file_ids}

        library.used_by = used_by

    return use


Use = Callable[..., None]


def rows(engine: Engine, model: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(model.__table__)).all())


def actions(engine: Engine) -> list[tuple[str, Any, Any]]:
    with engine.connect() as connection:
        found = select(AuditEntry.action, AuditEntry.before, AuditEntry.after).order_by(AuditEntry.id)
        return [tuple(row) for row in connection.execute(found)]


def uploads(api: FakeAPI) -> list[str]:
    return [path for path in api.calls if path in {UPLOAD, ADD}]


# Files


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "animated gif", "amr", "mp3", "mp4"])
def test_a_file_that_the_platform_takes_is_kept_as_it_is(
    library: Library, engine: Engine, add: Add, name: str
) -> None:
    kind, content, content_type = GOOD[name]
    file_id = add(content, f"C:\\Pictures\\my {name}")
    [row] = rows(engine, LibraryFile)
    assert (row.id, row.kind, row.name, row.size) == (file_id, kind, f"my {name}", len(content))
    assert row.content_type == content_type
    assert library.archive.read(row.digest) == content


@pytest.mark.parametrize("content", [picture("BMP"), picture("WEBP"), picture("PNG", 1500, 1500)])
def test_a_picture_that_the_platform_does_not_take_becomes_one_that_it_takes(
    library: Library, engine: Engine, account_id: int, add: Add, content: bytes
) -> None:
    file_id = add(content)
    [row] = rows(engine, LibraryFile)
    assert (row.kind, row.content_type) == ("image", "image/jpeg")
    assert library.media_id(account_id, file_id, NOW)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", RefusalReason.EMPTY),
        (HEIC, RefusalReason.FORMAT),
        (b"just a text", RefusalReason.FORMAT),
        (GOOD["amr-wb"][1], RefusalReason.FORMAT),
        (GOOD["speex"][1], RefusalReason.FORMAT),
        (b"BM" + bytes(60), RefusalReason.DAMAGED),
        (AMR * 61, RefusalReason.TOO_LONG),
        (MP3 * 70, RefusalReason.TOO_LONG),
        (animation() + bytes(MAX_BYTES["image"]), RefusalReason.TOO_LARGE),
        (MP4 + bytes(MAX_BYTES["video"]), RefusalReason.TOO_LARGE),
        (AMR + bytes(MAX_BYTES["voice"]), RefusalReason.TOO_LARGE),
        (HOSTILE_FILES["half a picture"][1], RefusalReason.DAMAGED),
        (HOSTILE_FILES["half a video"][1], RefusalReason.DAMAGED),
        (HOSTILE_FILES["a bomb of 34 bytes"][1], RefusalReason.TOO_MANY_PIXELS),
    ],
)
def test_what_the_platform_would_refuse_is_refused_with_the_reason(
    engine: Engine, add: Add, content: bytes, reason: RefusalReason
) -> None:
    with pytest.raises(RefusedMedia) as refused:
        add(content)
    assert refused.value.reason is reason
    assert rows(engine, LibraryFile) == []


def test_the_same_content_twice_is_one_file_with_its_name(engine: Engine, add: Add) -> None:
    assert add(PNG, "logo.png") == add(PNG, "other.png")
    assert add(GIF) != add(PNG)
    assert [row.name for row in rows(engine, LibraryFile)] == ["logo.png", "a.png"]
    assert len(actions(engine)) == 2


def test_a_file_without_a_usable_name_is_called_by_its_kind(engine: Engine, add: Add) -> None:
    add(PNG, "/ \0")
    add(GIF, "长" * 100)
    assert [row.name for row in rows(engine, LibraryFile)] == ["image", "长" * 64]


def test_renaming_and_deleting_are_in_the_audit_log(
    library: Library, engine: Engine, account_id: int, add: Add
) -> None:
    file_id = add(PNG, "a.png")
    library.rename(SOMEBODY, account_id, file_id, " 门店  地图\n")
    library.rename(SOMEBODY, account_id, file_id, "门店 地图")
    library.delete(SOMEBODY, account_id, file_id)
    assert actions(engine) == [
        ("library_added", None, "a.png"),
        ("library_renamed", "a.png", "门店 地图"),
        ("library_deleted", "门店 地图", None),
    ]
    assert add(PNG, "again.png") == file_id
    [row] = rows(engine, LibraryFile)
    assert (row.name, row.deleted_at) == ("again.png", None)


def test_a_file_in_use_is_not_deleted(
    library: Library, engine: Engine, account_id: int, add: Add, use: Use
) -> None:
    use(file_id := add())
    with pytest.raises(LibraryError) as refused:
        library.delete(SOMEBODY, account_id, file_id)
    assert refused.value.problem is LibraryProblem.IN_USE
    assert [usage.name for usage in refused.value.usages] == ["欢迎"]
    assert rows(engine, LibraryFile)[0].deleted_at is None


def test_files_of_other_accounts_and_deleted_files_are_unknown(
    library: Library, account_id: int, add: Add
) -> None:
    deleted, other = add(PNG), add(GIF)
    library.delete(SOMEBODY, account_id, deleted)
    for account, file_id in [(account_id, deleted), (account_id + 1, other), (account_id, 999)]:
        with pytest.raises(LibraryError, match="unknown"):
            library.rename(SOMEBODY, account, file_id, "x")
        with pytest.raises(LibraryError, match="unknown"):
            library.delete(SOMEBODY, account, file_id)
        with pytest.raises(LibraryError, match="unknown"):
            library.media_id(account, file_id, NOW)
    with pytest.raises(LibraryError, match="name"):
        library.rename(SOMEBODY, account_id, other, " \0 ")


# Copies


def test_a_file_is_uploaded_when_it_is_first_sent_and_before_its_copy_expires(
    library: Library, account_id: int, api: FakeAPI, add: Add
) -> None:
    file_id = add()
    first = library.media_id(account_id, file_id, NOW)
    assert library.media_id(account_id, file_id, LATER - timedelta(seconds=1)) == first
    assert uploads(api) == [UPLOAD]
    second = library.media_id(account_id, file_id, LATER)
    assert second != first
    assert uploads(api) == [UPLOAD, UPLOAD]


def test_an_old_copy_is_used_while_the_platform_takes_no_new_one(
    library: Library, account_id: int, api: FakeAPI, add: Add
) -> None:
    file_id = add()
    media_id = library.media_id(account_id, file_id, NOW)
    api.errcodes[UPLOAD] = [45009, 45009]
    assert library.media_id(account_id, file_id, LATER) == media_id
    with pytest.raises(APIError):
        library.media_id(account_id, file_id, NOW + LIFETIME)


def test_the_worker_renews_the_copies_of_files_in_use_alone(
    library: Library, engine: Engine, account_id: int, api: FakeAPI, add: Add, use: Use
) -> None:
    used, unused = add(PNG), add(GIF)
    assert library.renew(account_id, NOW) == 0
    use(used)
    assert library.renew(account_id, NOW) == 1
    assert library.renew(account_id, LATER - timedelta(seconds=1)) == 0
    assert library.renew(account_id, LATER) == 1
    assert len(uploads(api)) == 2
    with engine.connect() as connection:
        assert find_media_id(connection, account_id, used, LATER + LIFETIME - timedelta(seconds=1))
        assert not find_media_id(connection, account_id, used, LATER + LIFETIME)
        assert not find_media_id(connection, account_id + 1, used, LATER)
        assert not find_media_id(connection, account_id, unused, NOW)


def test_a_failed_upload_is_noted_and_tried_again_after_a_pause(
    library: Library, engine: Engine, account_id: int, api: FakeAPI, add: Add, use: Use
) -> None:
    use(add(PNG), add(GIF))
    api.errcodes[UPLOAD] = [40004]
    assert library.renew(account_id, NOW) == 0
    [row] = rows(engine, LibraryMediaId)
    assert row.error.startswith("40004")
    assert library.renew(account_id, NOW + timedelta(seconds=10)) == 1
    assert library.renew(account_id, NOW + RETRY_DELAY - timedelta(seconds=1)) == 0
    assert library.renew(account_id, NOW + RETRY_DELAY) == 1
    assert [row.error for row in rows(engine, LibraryMediaId)] == ["", ""]


def test_an_unreadable_file_does_not_end_the_worker(
    library: Library, engine: Engine, account_id: int, settings: Any, add: Add, use: Use
) -> None:
    use(file_id := add())
    for path in sorted((library.archive.store._folder).rglob("*")):  # type: ignore[attr-defined]
        if path.is_file():
            path.unlink()
    assert library.renew(account_id, NOW) == 0
    with pytest.raises(OSError, match="No such file"):
        library.media_id(account_id, file_id, NOW)


@pytest.mark.parametrize("name", ["png", "amr", "mp4"])
def test_an_account_without_temporary_media_has_permanent_copies(
    make_app: MakeApp, api: FakeAPI, name: str
) -> None:
    api = FakeAPI(api.credentials, account=SimulatedAccount(AccountKind.UNVERIFIED_SUBSCRIPTION))
    bot = services(make_app(api=api, wechat_app_secret=APP_SECRET))
    file_id = bot.library.add(SOMEBODY, bot.account_id, name, GOOD[name][1])
    media_id = bot.library.media_id(bot.account_id, file_id, NOW)
    assert uploads(api) == [UPLOAD, ADD], "the platform is asked once"
    permission = bot.capabilities.permission(bot.account_id, Feature.MEDIA)
    assert (permission.allowed, permission.reason) == (False, PermissionReason.LEARNED)
    assert bot.library.media_id(bot.account_id, file_id, NOW + timedelta(days=400)) == media_id
    assert api.unknown == []
    other = bot.library.add(SOMEBODY, bot.account_id, "gif", GIF)
    bot.library.media_id(bot.account_id, other, NOW)
    assert uploads(api)[2:] == [ADD]


def test_an_account_without_a_secret_sends_no_files(make_app: MakeApp) -> None:
    bot = services(make_app())
    file_id = bot.library.add(SOMEBODY, bot.account_id, "a.png", PNG)
    with pytest.raises(Forbidden):
        bot.library.media_id(bot.account_id, file_id, NOW)


def test_the_library_works_on_every_database(make_app: MakeApp, any_database: str, api: FakeAPI) -> None:
    bot = services(make_app(api=api, wechat_app_secret=APP_SECRET, database_url=any_database))
    library, account_id = bot.library, bot.account_id
    first, second = (library.add(SOMEBODY, account_id, "logo.png", content) for content in (PNG, GIF))
    library.used_by = lambda connection, account_id: {first: [Usage("rule:1", "欢迎")], second: []}
    assert library.renew(account_id, NOW) == 2
    assert library.renew(account_id, NOW) == 0
    assert library.renew(account_id, LATER) == 2
    library.rename(SOMEBODY, account_id, first, "🧧")
    library.delete(SOMEBODY, account_id, second)
    assert library.add(SOMEBODY, account_id, "logo.gif", GIF) == second
    assert library.media_id(account_id, second, LATER) == library.media_id(account_id, second, LATER)
