"""Pictures, voices and videos, as requests of an operator's browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select, update
from werkzeug.test import TestResponse

from tests.blueprints.admin.conftest import PAGE as ACCEPTED
from tests.blueprints.admin.conftest import Browse, Browser, SignIn, audited, newest
from tests.conftest import APP_SECRET, MakeApp, statements
from tests.files import DOWNLOADS, GOOD, HTML, needs_ffmpeg
from wechat_bot.database.transactions import transaction
from wechat_bot.models import Follower, Media, MediaState, MessageLog, Role
from wechat_bot.routing import Router
from wechat_bot.services.media.archive import Archive
from wechat_bot.services.media.converter import Converter
from wechat_bot.services.media.formats import RefusalReason
from wechat_bot.simulator.sample_files import AMR
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wiring import services

GET = "/cgi-bin/media/get"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    """A bot that answers nothing, so that what a follower sends is the last message."""
    return make_app(Router(), api=api, wechat_app_secret=APP_SECRET)


@pytest.fixture
def archive(app: Flask) -> Archive:
    archive: Archive = services(app).archive
    return archive


Receive = Callable[[str], int]


@pytest.fixture
def receive(app: Flask, api: FakeAPI, archive: Archive, engine: Engine) -> Receive:
    """Lets a follower send a file that is kept, or what the platform no longer has; the id of the file."""

    def receive(name: str) -> int:
        kind, content, content_type = {**GOOD, **DOWNLOADS}.get(name, ("image", b"", ""))
        media_id = api.give_media(kind, content, name, content_type) if content else "gone"
        platform = FakePlatform.of(app)
        platform.push(platform.message(kind, MediaId=media_id, PicUrl=""))
        services(app).projector.catch_up()
        archive.download_due()
        with engine.connect() as connection:
            return connection.scalars(select(Media.id).order_by(Media.id.desc())).first() or 0

    return receive


def change(engine: Engine, file_id: int, **values: Any) -> None:
    with transaction(engine) as connection:
        connection.execute(update(Media).where(Media.id == file_id).values(**values))


def row(engine: Engine, file_id: int) -> Any:
    with engine.connect() as connection:
        return connection.execute(select(Media.__table__).where(Media.id == file_id)).one()


# The files themselves


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "webp", "mp3", "mp4"])
def test_what_browsers_show_is_shown_in_a_sandbox(admin: Browser, receive: Receive, name: str) -> None:
    kind, content, content_type = GOOD[name]
    answer = admin.get(f"/admin/media/{receive(name)}")
    assert answer.data == content
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"].startswith(f"inline; filename={kind}-1.")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store", "the computer may be shared"


@pytest.mark.parametrize("name", ["amr", "amr-wb", "speex"])
def test_what_browsers_do_not_play_is_for_downloading(admin: Browser, receive: Receive, name: str) -> None:
    answer = admin.get(f"/admin/media/{receive(name)}")
    assert answer.data == GOOD[name][1]
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=voice-1.")


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_format_that_is_not_shown_is_for_downloading(
    admin: Browser, receive: Receive, name: str, shown: Shown
) -> None:
    _, content, content_type = DOWNLOADS[name]
    file_id = receive(name)
    page = shown(admin)
    assert f'<a href="/admin/media/{file_id}" download>' in page
    assert f"/admin/media/{file_id}/" not in page
    answer = admin.get(f"/admin/media/{file_id}")
    assert (answer.data, answer.headers["Content-Type"]) == (content, content_type)
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert admin.get(f"/admin/media/{file_id}/thumbnail").status_code == 404
    assert admin.get(f"/admin/media/{file_id}/playable").status_code == 404


@needs_ffmpeg
def test_a_voice_is_played_as_mp3(admin: Browser, receive: Receive) -> None:
    answer = admin.get(f"/admin/media/{receive('amr')}/playable")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "audio/mpeg")
    assert answer.headers["Content-Disposition"] == "inline; filename=voice-1.mp3"
    assert answer.data != AMR


def test_a_thumbnail_is_a_jpeg_whatever_the_picture_was(admin: Browser, receive: Receive) -> None:
    answer = admin.get(f"/admin/media/{receive('png')}/thumbnail")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.data.startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize(
    ("wanted", "start", "end"), [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-10", -10, None)]
)
def test_a_part_is_sent_to_who_asks_for_it(
    admin: Browser, receive: Receive, wanted: str, start: int, end: int | None
) -> None:
    content = GOOD["mp3"][1]
    path = f"/admin/media/{receive('mp3')}"
    answer = admin.get(path, Range=wanted)
    assert (answer.status_code, answer.data) == (206, content[start:end])
    first = start % len(content)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.data) - 1}/{len(content)}"
    whole = admin.get(path)
    assert (whole.status_code, whole.headers["Accept-Ranges"]) == (200, "bytes")


def test_a_part_that_is_not_there_is_told(admin: Browser, receive: Receive) -> None:
    path, size = f"/admin/media/{receive('mp3')}", len(GOOD["mp3"][1])
    answer = admin.get(path, Range=f"bytes={size}-")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-1,5-6"},
        {"Range": "lines=0-1"},
        {"Range": "nonsense"},
        {"Range": "bytes=0-1", "If-Range": '"another"'},
        {"Range": "bytes=0-1", "If-Range": "Sun, 22 Nov 2026 12:00:00 GMT"},
    ],
    ids=str,
)
def test_who_asks_for_parts_in_another_way_gets_it_all(
    admin: Browser, receive: Receive, headers: dict[str, str]
) -> None:
    answer = admin.get(f"/admin/media/{receive('mp3')}", **headers)
    assert (answer.status_code, answer.data) == (200, GOOD["mp3"][1])


def test_a_browser_that_has_the_beginning_is_sent_the_rest(admin: Browser, receive: Receive) -> None:
    path = f"/admin/media/{receive('png')}"
    etag = admin.get(path).headers["ETag"]
    part = admin.get(path, Range="bytes=0-1", **{"If-Range": etag})
    assert part.status_code == 206


PATHS = ("", "/thumbnail", "/playable", "/shown")


@pytest.mark.parametrize("path", PATHS)
def test_files_are_for_operators_alone(
    browser: Browser, signed_in: SignIn, receive: Receive, path: str
) -> None:
    url = f"/admin/media/{receive('mp4')}{path}"
    assert browser.get(url).status_code == 303
    assert browser.get(url, Accept="image/*").status_code == 401
    assert signed_in(Role.VIEWER, "kan").get(url).status_code in {200, 404}


@pytest.mark.parametrize("state", [state for state in MediaState if state is not MediaState.STORED])
def test_what_is_not_stored_is_not_there(
    admin: Browser, receive: Receive, engine: Engine, state: MediaState
) -> None:
    file_id = receive("png")
    change(engine, file_id, state=state)
    for path in PATHS[:3]:
        assert admin.get(f"/admin/media/{file_id}{path}").status_code == 404


def test_no_type_but_our_own_is_told_to_a_browser(
    admin: Browser, receive: Receive, engine: Engine, archive: Archive
) -> None:
    file_id = receive("png")
    change(engine, file_id, content_type="text/html", digest=archive.store.put(HTML))
    assert admin.get(f"/admin/media/{file_id}").status_code == 404


def test_a_content_that_was_lost_is_told(
    admin: Browser, receive: Receive, engine: Engine, shown: Shown
) -> None:
    file_id = receive("png")
    change(engine, file_id, digest="0" * 64)
    assert admin.get(f"/admin/media/{file_id}").status_code == 404
    assert admin.get("/admin/media/999").status_code == 404


# How they are shown


Shown = Callable[..., str]


@pytest.fixture
def shown(engine: Engine) -> Shown:
    """Opens a page, by default that of the newest message; its path may name the newest ids in braces."""

    def shown(browser: Browser, path: str = "/admin/messages/{message}") -> str:
        columns = {"message": MessageLog.id, "follower": Follower.id, "file": Media.id}
        ids = {name: newest(engine, column) for name, column in columns.items() if f"{{{name}}}" in path}
        answer: TestResponse = browser.get(path.format(**ids))
        assert answer.status_code == 200
        return answer.text

    return shown


@pytest.mark.parametrize(
    "path",
    [
        "/admin/messages/{message}",
        "/admin/conversations/{follower}",
        "/admin/conversations/{follower}/messages?before=99",
        "/admin/media/{file}/shown",
    ],
)
def test_a_picture_is_shown_small_and_opens_large(
    admin: Browser, receive: Receive, path: str, shown: Shown
) -> None:
    file_id = receive("jpeg")
    page = shown(admin, path)
    assert f'<img src="/admin/media/{file_id}/thumbnail"' in page
    assert re.search(rf'<a class="picture" href="/admin/media/{file_id}"[^>]* data-picture', page)


@pytest.mark.parametrize(
    "path",
    [
        "/admin/messages",
        "/admin/conversations",
        "/admin/conversations/{follower}",
        "/admin/followers/{follower}",
    ],
)
def test_a_list_shows_pictures_very_small(admin: Browser, receive: Receive, path: str, shown: Shown) -> None:
    file_id = receive("jpeg")
    assert f'<img class="thumbnail" src="/admin/media/{file_id}/thumbnail" width="40"' in shown(admin, path)


def test_a_list_asks_once_for_all_its_files(
    admin: Browser, receive: Receive, engine: Engine, shown: Shown
) -> None:
    for _ in range(5):
        receive("jpeg")
    shown(admin, "/admin/messages")
    with statements() as sent:
        assert shown(admin, "/admin/messages").count('class="thumbnail"') == 5
    assert len([statement for statement in sent if "FROM media" in statement]) == 1


@needs_ffmpeg
def test_voices_and_videos_have_a_player_and_can_be_downloaded(
    admin: Browser, receive: Receive, shown: Shown
) -> None:
    voice = receive("amr")
    assert f'<audio controls preload="none" src="/admin/media/{voice}/playable"' in shown(admin)
    video = receive("mp4")
    page = shown(admin, "/admin/conversations/{follower}")
    assert f'<video controls preload="none" src="/admin/media/{video}/playable"' in page
    assert f'<a href="/admin/media/{video}" download>' in page


def test_a_video_shows_the_picture_that_came_with_it(
    admin: Browser, app: Flask, api: FakeAPI, archive: Archive, shown: Shown, engine: Engine
) -> None:
    given = {name: api.give_media(*GOOD[name][:2], "a", GOOD[name][2]) for name in ("mp4", "thumb")}
    platform = FakePlatform.of(app)
    platform.push(platform.message("video", MediaId=given["mp4"], ThumbMediaId=given["thumb"]))
    services(app).projector.catch_up()
    archive.download_due()
    picture = newest(engine, Media.id, Media.kind == "thumb")
    assert f'poster="/admin/media/{picture}/thumbnail"' in shown(admin)
    assert f'src="/admin/media/{picture}/thumbnail" width="40"' in shown(admin, "/admin/messages")


@pytest.mark.parametrize("there", [True, False])
def test_a_voice_that_cannot_be_played_says_why(
    admin: Browser, receive: Receive, engine: Engine, archive: Archive, there: bool, shown: Shown
) -> None:
    file_id = receive("amr")
    change(engine, file_id, playable="")
    archive.converter = Converter("/bin/true" if there else None)
    page = shown(admin)
    assert "<audio" not in page
    assert ("服务器上又没有 ffmpeg" in page) != there
    assert ("这段语音转换不了" in page) == there
    assert f'<a href="/admin/media/{file_id}" download>' in page


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"state": MediaState.EXPIRED}, "原图已过期（微信只保留 3 天）"),
        (
            {"state": MediaState.REFUSED, "error": RefusalReason.FORMAT},
            "没有保存：内容不是这类消息该有的格式",
        ),
        ({"state": MediaState.FAILED, "error": "no <b>"}, "没有取到：no &lt;b&gt;"),
        ({"state": MediaState.FAILED, "error": "48001 api"}, "该账号没有此接口的权限（48001）。"),
        ({"state": MediaState.WANTED}, "正在取回…"),
        ({"state": MediaState.WANTED, "error": "-1", "attempts": 2}, "第 2 次没有取到，还会再试"),
    ],
    ids=str,
)
def test_what_is_not_there_says_why(
    admin: Browser, receive: Receive, engine: Engine, columns: dict[str, Any], words: str, shown: Shown
) -> None:
    file_id = receive("png")
    change(engine, file_id, attempts=0)
    change(engine, file_id, **columns)
    page = shown(admin)
    assert words in page
    assert "<img src=" not in page.partition('class="bubble')[2].partition("</div></div>")[0]


@pytest.mark.parametrize("reason", RefusalReason)
def test_every_refusal_has_words_in_both_languages(
    admin: Browser, receive: Receive, engine: Engine, reason: RefusalReason, shown: Shown
) -> None:
    change(engine, receive("png"), state=MediaState.REFUSED, error=reason)
    for language in ("zh", "en"):
        page = shown(admin, f"/admin/messages/{{message}}?lang={language}")
        assert re.search(r"(没有保存：|Not kept: ).{4,}", page)
        assert f": {reason.value}<" not in page


def test_a_file_that_has_arrived_meanwhile_is_shown(
    admin: Browser, receive: Receive, engine: Engine, archive: Archive, shown: Shown
) -> None:
    file_id = receive("png")
    change(engine, file_id, state=MediaState.WANTED, attempts=0, tried_at=None)
    page = shown(admin)
    waiting = re.search(r'data-waiting="([^"]+)"', page)
    assert waiting
    assert admin.get(waiting[1]).status_code == 204
    archive.download(file_id)
    assert "data-picture" in shown(admin, waiting[1])


def test_what_could_not_be_fetched_is_fetched_again(
    app: Flask, signed_in: SignIn, api: FakeAPI, receive: Receive, engine: Engine, shown: Shown
) -> None:
    api.errcodes[GET] = [48001]
    file_id = receive("mp3")
    viewer = signed_in(Role.VIEWER, "kan")
    assert "再取一次" not in shown(viewer)
    assert viewer.post(f"/admin/media/{file_id}/retry").status_code == 403
    operator = signed_in(Role.OPERATOR, "wang")
    assert f'action="/admin/media/{file_id}/retry"' in shown(operator)
    page = f"/admin/messages/{newest(engine, MessageLog.id)}"
    answer = operator.post(f"/admin/media/{file_id}/retry", form_at=page)
    assert (answer.status_code, answer.location) == (303, page)
    assert row(engine, file_id).state == MediaState.WANTED
    assert audited(engine)[-1] == "media_retried"
    services(app).jobs.run_all()
    assert row(engine, file_id).attempts == 1
    assert operator.post("/admin/media/999/retry").status_code == 404


def test_a_forged_request_retries_nothing(browse: Browse, admin: Browser, receive: Receive) -> None:
    path = f"/admin/media/{receive('gone')}/retry"
    assert admin.client.post(path).status_code == 400
    assert browse().client.post(path).status_code == 400


# Into the library


def test_a_received_file_is_added_to_the_library_in_one_click(
    admin: Browser, receive: Receive, engine: Engine
) -> None:
    file_id = receive("png")
    message = newest(engine, MessageLog.id)
    page = admin.get(f"/admin/messages/{message}").text
    assert f'hx-post="/admin/media/{file_id}/library"' in page
    answer = admin.post(f"/admin/media/{file_id}/library")
    assert answer.location == f"/admin/messages/{message}"
    assert "已存入素材。" in admin.get(answer.location).text
    form = {"csrf_token": admin.token("/admin/profile")}
    again = admin.client.post(
        f"/admin/media/{file_id}/library", data=form, headers={**ACCEPTED, "HX-Request": "true"}
    )
    assert again.text.count("已存入素材。") == 1
    assert admin.get("/admin/library").text.count("<h2>") == 1


def test_a_received_file_that_cannot_be_sent_is_not_added(
    admin: Browser, receive: Receive, signed_in: SignIn, shown: Shown
) -> None:
    file_id = receive("speex")
    assert "存入素材" not in shown(admin)
    admin.post(f"/admin/media/{file_id}/library")
    assert "没有存入素材：内容不是这类消息该有的格式。" in admin.get("/admin/library").text
    assert admin.post("/admin/media/999/library").status_code == 404
    viewer = signed_in(Role.VIEWER, "viewer")
    receive("png")
    assert "存入素材" not in shown(viewer)
    assert viewer.post(f"/admin/media/{file_id}/library").status_code == 403
