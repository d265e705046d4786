"""Tests of the archive of media files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import Engine, Row, select, update

from tests.conftest import APP_SECRET, MakeApp
from tests.files import DOWNLOADS, GOOD, HOSTILE_FILES, animation, needs_ffmpeg, picture
from wechat_bot.database.transactions import transaction
from wechat_bot.extensions import db
from wechat_bot.models import AuditEntry, Media, MediaState
from wechat_bot.routing import Answer, Context, Router
from wechat_bot.services.accounts.capabilities import Capabilities, Feature
from wechat_bot.services.audit import Actor
from wechat_bot.services.media.archive import LIFETIME, MAX_THUMBNAIL_BYTES, RETRY_DELAYS, Archive
from wechat_bot.services.media.converter import Converter
from wechat_bot.services.media.formats import RefusalReason, RefusedMedia
from wechat_bot.simulator.sample_files import AMR, MP3, MP4, PNG
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.api.pictures import Pictures
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.replies import ImageReply
from wechat_bot.wiring import services

GET = "/cgi-bin/media/get"
PICTURE = "http://mmbiz.qpic.cn/mmbiz_jpg/a/0"
SOMEBODY = Actor(None, "li", "")


class Platform(FakeAPI):
    """The platform, including the host of its pictures."""

    pictures: dict[str, bytes]
    """The pictures by path."""

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if not environ["HTTP_HOST"].endswith("qpic.cn"):
            return super().__call__(environ, start_response)
        content = self.pictures.get(environ["PATH_INFO"])
        status = "404 Not Found" if content is None else "200 OK"
        start_response(status, [("Content-Type", "image/jpeg")])
        return [content or b"gone"]


@pytest.fixture
def api(api: FakeAPI) -> Platform:
    made = Platform(api.credentials)
    made.pictures = {}
    return made


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET, media_max_bytes=1_000_000)


@pytest.fixture
def archive(app: Flask) -> Archive:
    archive: Archive = services(app).archive
    return archive


Send = Callable[..., None]


@pytest.fixture
def send(app: Flask) -> Send:
    """Let a follower send a message of a kind, and update the projections."""

    def send(kind: str, **fields: str) -> None:
        platform = FakePlatform.of(app)
        platform.push(platform.message(kind, **fields))
        assert services(app).projector.catch_up() == 0

    return send


@pytest.fixture
def files(engine: Engine) -> Callable[[], list[Row[Any]]]:
    """Return all rows of files, oldest first."""

    def read() -> list[Row[Any]]:
        with engine.connect() as connection:
            return list(connection.execute(select(Media.__table__).order_by(Media.id)).all())

    return read


Files = Callable[[], list[Row[Any]]]


def give(api: FakeAPI, name: str) -> str:
    kind, content, content_type = GOOD[name]
    return api.give_media(kind, content, f"a.{name}", content_type)


def test_a_picture_outlives_the_platform(api: FakeAPI, archive: Archive, send: Send, files: Files) -> None:
    send("image", MediaId=give(api, "jpeg"), PicUrl=PICTURE)
    assert archive.download_due() == 1
    [file] = files()
    content = GOOD["jpeg"][1]
    assert (file.state, file.content_type, file.size) == (MediaState.STORED, "image/jpeg", len(content))
    assert archive.read(file.digest) == content
    thumbnail = archive.read(file.thumbnail)
    assert thumbnail.startswith(b"\xff\xd8\xff")
    assert len(thumbnail) <= MAX_THUMBNAIL_BYTES
    assert archive.download_due() == 0
    assert api.calls.count(GET) == 1


@pytest.mark.parametrize("kind", ["video", "shortvideo"])
def test_a_video_comes_with_its_thumb(
    api: FakeAPI, archive: Archive, send: Send, files: Files, kind: str
) -> None:
    send(kind, MediaId=give(api, "mp4"), ThumbMediaId=give(api, "thumb"))
    archive.download_due()
    video, thumb = files()
    assert (video.kind, video.state, video.playable) == ("video", MediaState.STORED, video.digest)
    assert (thumb.kind, thumb.state) == ("thumb", MediaState.STORED)
    assert archive.read(video.digest) == MP4
    assert archive.read(thumb.thumbnail).startswith(b"\xff\xd8\xff")


@needs_ffmpeg
def test_a_voice_can_be_played_in_a_browser(api: FakeAPI, archive: Archive, send: Send, files: Files) -> None:
    send("voice", MediaId=give(api, "amr"), Format="amr")
    archive.download_due()
    [voice] = files()
    assert archive.read(voice.digest) == AMR
    assert archive.read(voice.playable).startswith((b"ID3", b"\xff"))
    assert voice.seconds == 1


def test_a_voice_is_converted_once_ffmpeg_is_there(
    app: Flask, api: FakeAPI, archive: Archive, send: Send, files: Files
) -> None:
    archive.converter = Converter(None)
    send("voice", MediaId=give(api, "amr"), Format="amr")
    archive.download_due()
    [voice] = files()
    assert (voice.state, voice.playable) == (MediaState.STORED, "")
    assert archive.convert_voices() == 0
    archive.converter = converter = Converter.detect()
    assert archive.convert_voices() == converter.is_available
    assert archive.convert_voices() == 0


@pytest.mark.parametrize("name", [name for name, file in HOSTILE_FILES.items() if file[2] != "format"])
def test_nothing_of_a_hostile_file_is_kept(
    api: FakeAPI, archive: Archive, send: Send, files: Files, tmp_path: Path, name: str
) -> None:
    kind, content, reason = HOSTILE_FILES[name]
    claimed = {"image": "image/jpeg", "voice": "audio/amr", "video": "video/mp4"}[kind]
    media_id = api.give_media(kind, content, "a.jpg", claimed)
    send(kind, MediaId=media_id, PicUrl=PICTURE)
    archive.download_due()
    [file] = files()
    assert (file.state, file.error, file.digest) == (MediaState.REFUSED, reason, "")
    assert not [path for path in (tmp_path / "media").rglob("*") if path.is_file()]
    assert archive.download_due() == 0


@pytest.mark.parametrize("name", ["a web page", "a drawing with a script", "a web page as a voice"])
def test_a_web_page_in_place_of_a_file_is_none(
    api: FakeAPI, archive: Archive, send: Send, files: Files, name: str
) -> None:
    kind, content, _ = HOSTILE_FILES[name]
    send(kind, MediaId=api.give_media(kind, content, "a.jpg", "image/jpeg"), PicUrl=PICTURE)
    archive.download_due()
    [file] = files()
    assert (file.state, file.digest) == (MediaState.WANTED, "")
    assert "web page" in file.error


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_format_that_is_not_shown_is_kept_for_download(
    api: FakeAPI, archive: Archive, send: Send, files: Files, name: str
) -> None:
    kind, content, content_type = DOWNLOADS[name]
    send(kind, MediaId=api.give_media(kind, content, "a.bin", "text/plain"), PicUrl="")
    archive.download_due()
    [file] = files()
    assert (file.state, file.content_type) == (MediaState.STORED, content_type)
    assert (file.thumbnail, file.playable) == ("", "")
    assert archive.read(file.digest) == content
    assert archive.convert_voices() == 0


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "image/jpeg"])
@pytest.mark.parametrize("name", ["jpeg", "amr", "speex", "mp4"])
def test_the_first_bytes_of_a_file_tell_what_it_is(
    api: FakeAPI, archive: Archive, send: Send, files: Files, name: str, content_type: str
) -> None:
    kind, content, stored = GOOD[name]
    send(kind, MediaId=api.give_media(kind, content, "a.bin", content_type))
    archive.download_due()
    assert [(file.state, file.content_type) for file in files()] == [(MediaState.STORED, stored)]


def test_a_file_that_is_too_large_is_refused_before_all_of_it_is_here(
    api: FakeAPI, archive: Archive, send: Send, files: Files
) -> None:
    media_id = api.give_media("image", PNG + bytes(1_000_000), "a.png", "image/png")
    send("image", MediaId=media_id, PicUrl="")
    archive.download_due()
    assert [(file.state, file.error) for file in files()] == [(MediaState.REFUSED, RefusalReason.TOO_LARGE)]


def test_what_the_platform_forgot_has_expired(
    api: FakeAPI, archive: Archive, send: Send, files: Files
) -> None:
    media_id = give(api, "amr")
    api.advance(LIFETIME.total_seconds())
    send("voice", MediaId=media_id)
    archive.download_due()
    assert [file.state for file in files()] == [MediaState.EXPIRED]
    assert archive.download_due() == 0


def test_a_message_of_last_week_is_not_asked_for(app: Flask, api: FakeAPI, files: Files) -> None:
    platform = FakePlatform.of(app)
    old = int((datetime.now(UTC) - timedelta(days=4)).timestamp())
    platform.push(platform.message("voice", MediaId="old", Format="amr") | {"CreateTime": str(old)})
    services(app).projector.catch_up()
    assert [file.state for file in files()] == [MediaState.EXPIRED]


@pytest.mark.parametrize(
    "fields", [{}, {"MediaId": ""}, {"MediaId": {"a": "b"}}, {"MediaId": "x" * 129}], ids=str
)
def test_a_message_that_names_no_file_has_none(app: Flask, files: Files, fields: dict[str, Any]) -> None:
    platform = FakePlatform.of(app)
    platform.push(platform.message("image", **fields))
    services(app).projector.catch_up()
    assert files() == []


def test_what_the_bot_sent_is_not_fetched(make_app: MakeApp) -> None:
    router = Router()

    @router.on(TextMessage)
    def show(message: TextMessage, ctx: Context) -> Answer:
        return ImageReply("mEdIaId_of_the_bot")

    app = make_app(router)
    assert FakePlatform.of(app).text("图") == ImageReply("mEdIaId_of_the_bot")
    services(app).projector.catch_up()
    with app.app_context():
        assert db.session.scalars(select(Media)).all() == []


# Accounts without an API for media


def test_without_an_api_pictures_are_fetched_from_their_address(
    make_app: MakeApp, api: Platform, tmp_path: Path
) -> None:
    app = make_app(api=api)
    api.pictures["/mmbiz_jpg/a/0"] = content = picture()
    FakePlatform.of(app).image("iMaGe", PICTURE)
    services(app).projector.catch_up()
    archive: Archive = services(app).archive
    archive.download_due()
    with app.app_context():
        file = db.session.scalars(select(Media)).one()
        assert file.state == MediaState.STORED
        assert archive.read(file.digest) == content
    assert api.calls == []


def test_a_refused_api_is_remembered_and_pictures_come_all_the_same(
    app: Flask, api: Platform, archive: Archive, send: Send, files: Files
) -> None:
    api.errcodes[GET] = [48001]
    api.pictures["/mmbiz_jpg/a/0"] = picture()
    send("image", MediaId="one", PicUrl=PICTURE)
    send("voice", MediaId="two", Format="amr")
    archive.download_due()
    image, voice = files()
    assert image.state == MediaState.STORED
    assert (voice.state, voice.error[:5]) == (MediaState.FAILED, "48001")
    assert api.calls.count(GET) == 1
    capabilities: Capabilities = services(app).capabilities
    assert not capabilities.allows(1, Feature.MEDIA)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/secret",
        "http://mmbiz.qpic.cn@127.0.0.1/",
        "http://mmbiz.qpic.cn:8080/",
        "http://mmbiz.qpic.cn.evil.example/",
        "http://evilqpic.cn/",
        "file:///etc/passwd",
        "//mmbiz.qpic.cn/",
        "ftp://mmbiz.qpic.cn/",
        "",
    ],
)
def test_no_other_host_is_asked_for_a_picture(
    api: Platform, archive: Archive, send: Send, files: Files, url: str
) -> None:
    send("image", MediaId="none", PicUrl=url)
    before = len(api.calls)
    archive.download_due()
    assert api.calls[before:].count(GET) == 1
    assert {path for path in api.calls[before:] if "token" not in path} == {GET}
    assert files()[0].state == MediaState.EXPIRED


@pytest.mark.parametrize("host", ["mmbiz.qpic.cn", "mmecoa.qpic.cn", "MMBIZ.QPIC.CN", "mp.weixin.qq.com"])
def test_the_hosts_of_the_platform_are_asked(host: str, api: FakeAPI) -> None:
    asked = []

    def picture_host(environ: Any, start_response: Any) -> list[bytes]:
        asked.append(environ["HTTP_HOST"])
        start_response("200 OK", [("Content-Type", "image/png")])
        return [PNG]

    pictures = Pictures(api.credentials, httpx2.WSGITransport(app=picture_host))
    assert pictures.fetch(f"https://{host}/0").content == PNG
    assert asked == [host.lower()]


# Failures


def age_attempts(engine: Engine, by: timedelta) -> None:
    """Move the times of the last attempts into the past."""
    with engine.connect() as connection:
        rows = connection.execute(select(Media.id, Media.tried_at)).all()
    with transaction(engine) as connection:
        for row in rows:
            earlier = row.tried_at and row.tried_at - by
            connection.execute(update(Media).where(Media.id == row.id).values(tried_at=earlier))


def test_a_file_that_does_not_come_is_tried_again_ever_later_and_at_last_no_more(
    api: FakeAPI, archive: Archive, send: Send, files: Files, engine: Engine
) -> None:
    send("voice", MediaId=give(api, "amr"), Format="amr")
    api.errcodes[GET] = [45009]  # the client makes no further calls until midnight
    archive.download_due()
    for attempts, pause in enumerate(RETRY_DELAYS, 1):
        [file] = files()
        assert (file.state, file.attempts) == (MediaState.WANTED, attempts)
        assert "45009" in file.error
        age_attempts(engine, pause - timedelta(seconds=5))
        assert archive.download_due() == 0
        age_attempts(engine, timedelta(seconds=5))
        assert archive.download_due() == 1
    [file] = files()
    assert (file.state, file.attempts) == (MediaState.FAILED, len(RETRY_DELAYS) + 1)
    age_attempts(engine, RETRY_DELAYS[-1])
    assert archive.download_due() == 0


def test_an_operator_has_it_tried_again(
    app: Flask, api: FakeAPI, archive: Archive, send: Send, files: Files, engine: Engine
) -> None:
    send("voice", MediaId=give(api, "mp3"))
    [file] = files()
    archive.retry(SOMEBODY, file.id)
    assert services(app).jobs.run_all() == 0, "it has not failed"
    api.errcodes[GET] = [48001]
    archive.download(file.id)
    assert files()[0].state == MediaState.FAILED
    services(app).capabilities.override(SOMEBODY, 1, Feature.MEDIA, None)
    archive.retry(SOMEBODY, file.id)
    assert services(app).jobs.run_all() == 1
    assert files()[0].state == MediaState.STORED
    about = AuditEntry.subject == f"media:{file.id}"
    with engine.connect() as connection:
        actions = connection.scalars(select(AuditEntry.action).where(about)).all()
    assert actions == ["media_retried"]


def test_a_disk_that_is_full_is_tried_again(
    app: Flask, api: FakeAPI, archive: Archive, send: Send, files: Files, tmp_path: Path
) -> None:
    (tmp_path / "media").write_text("in the way")
    send("voice", MediaId=give(api, "mp3"))
    archive.download_due()
    [file] = files()
    assert (file.state, file.attempts) == (MediaState.WANTED, 1)
    assert "media" in file.error


def test_two_workers_do_not_fetch_the_same_file(
    api: FakeAPI, archive: Archive, send: Send, files: Files
) -> None:
    send("voice", MediaId=give(api, "mp3"))
    [file] = files()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(archive.download, [file.id] * 4))
    assert api.calls.count(GET) == 1
    assert files()[0].attempts == 1
    archive.download(file.id)
    archive.download(999)
    assert api.calls.count(GET) == 1


def test_who_comes_too_late_changes_nothing(
    api: FakeAPI, archive: Archive, send: Send, files: Files, engine: Engine
) -> None:
    class Slow(Converter):
        def mp3(self, content: bytes, decoder: str) -> bytes:
            with transaction(engine) as connection:
                connection.execute(update(Media).values(attempts=2, state=MediaState.EXPIRED))
            return MP3

    send("voice", MediaId=give(api, "amr"))
    archive.converter = Slow(None)
    archive.download_due()
    assert [file.state for file in files()] == [MediaState.EXPIRED]


# Files of operators


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "animated gif", "amr", "mp3", "mp4"])
def test_what_the_platform_takes_is_kept_as_it_is(archive: Archive, name: str) -> None:
    kind, content, content_type = GOOD[name]
    kept = archive.store_upload(content, kind)
    assert (kept.content_type, kept.size) == (content_type, len(content))
    assert archive.read(kept.digest) == content
    assert bool(kept.thumbnail) == (kind == "image")


@pytest.fixture
def roomy(make_app: MakeApp, tmp_path: Path) -> Archive:
    """An archive with a higher size limit than the platform's."""
    return services(make_app(database_url=f"sqlite:///{tmp_path}/other.db")).archive


@pytest.mark.parametrize(
    "content", [picture("PNG", 1200, 1200), picture("WEBP")], ids=["a large picture", "webp"]
)
def test_a_picture_that_the_platform_would_not_take_is_made_one_that_it_does(
    roomy: Archive, content: bytes
) -> None:
    kept = roomy.store_upload(content, "image")
    assert (kept.content_type, kept.size <= 2 << 20) == ("image/jpeg", True)
    made, original = (Image.open(BytesIO(each)) for each in (roomy.read(kept.digest), content))
    assert made.size == original.size


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        ("image", b"", RefusalReason.EMPTY),
        ("image", animation() + bytes(2 << 20), RefusalReason.TOO_LARGE),
        ("image", MP4, RefusalReason.FORMAT),
        ("voice", GOOD["amr-wb"][1], RefusalReason.FORMAT),
        ("voice", GOOD["speex"][1], RefusalReason.FORMAT),
        ("voice", MP3 * 62, RefusalReason.TOO_LONG),
        ("voice", b"#!AMR\n" + (b"\x3c" + bytes(31)) * 3001, RefusalReason.TOO_LONG),
        ("voice", MP3 + bytes(2 << 20), RefusalReason.TOO_LARGE),
        ("video", MP4 + bytes(10 << 20), RefusalReason.TOO_LARGE),
        ("image", GOOD["jpeg"][1] + bytes(20 << 20), RefusalReason.TOO_LARGE),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_what_the_platform_would_not_take_is_refused(
    roomy: Archive, tmp_path: Path, kind: str, content: bytes, reason: RefusalReason
) -> None:
    with pytest.raises(RefusedMedia) as refused:
        roomy.store_upload(content, kind)
    assert refused.value.reason == reason
    assert not (tmp_path / "media").exists()
