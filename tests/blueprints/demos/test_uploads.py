"""Files from strangers stay in their folder, few, small and unseen by others."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from wechat_bot.blueprints.demos import upload_folder

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 60


def upload(client: FlaskClient, content: bytes = PNG, name: str = "a.png") -> TestResponse:
    return client.post("/demo/upload", data={"test": (BytesIO(content), name)})


def files(folder: Path) -> list[Path]:
    """All files of the instance folder, which must all be uploads."""
    found = [path for path in folder.parents[1].rglob("*") if path.is_file()]
    assert all(path.parent == folder for path in found)
    return found


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.png", "a.png"),
        ("../../evil.png", "evil.png"),
        ("..\\..\\evil.png", "evil.png"),
        ("/etc/passwd", "etc_passwd"),
        ("微信.png", "png"),
        ("微信", ""),
        ("..", ""),
        ("a\0b.png", "ab.png"),
        ("<script>.png", "script.png"),
        ("x" * 5000 + ".png", "x" * 56 + ".png"),
    ],
)
def test_no_name_leads_out_of_the_folder(client: FlaskClient, uploads: Path, name: str, kept: str) -> None:
    answer = upload(client, name=name)
    assert answer.status_code == 200
    [file] = files(uploads)
    assert file.name.split("-", 2)[2] == kept
    assert file.read_bytes() == PNG


def test_tells_name_size_type_and_digest(client: FlaskClient, uploads: Path) -> None:
    page = upload(client, name="../../<b>.png").text
    for text in ("../../&lt;b&gt;.png", "68 Bytes", "image/png", hashlib.sha256(PNG).hexdigest()):
        assert text in page
    [file] = files(uploads)
    assert f'src="/demo/upload/{file.name}"' in page


@pytest.mark.parametrize(
    ("start", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
    ],
)
def test_shows_a_picture_to_its_uploader_safely(
    client: FlaskClient, uploads: Path, start: bytes, media_type: str
) -> None:
    upload(client, start + b"<script>alert(1)</script>", "page.html")
    [file] = files(uploads)
    picture = client.get(f"/demo/upload/{file.name}", buffered=True)
    assert picture.mimetype == media_type
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    assert picture.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert picture.headers["Cache-Control"] == "private, no-store"


def test_shows_nobody_elses_picture(app: Flask, client: FlaskClient, uploads: Path) -> None:
    upload(client)
    [file] = files(uploads)
    assert file.name in client.get("/demo/upload").text
    stranger = app.test_client()
    assert file.name not in stranger.get("/demo/upload").text
    assert stranger.get(f"/demo/upload/{file.name}").status_code == 404
    assert client.get("/demo/upload/..%2f..%2f..%2fbot.db").status_code == 404


@pytest.mark.parametrize("data", [{}, {"test": "text"}, {"test": (BytesIO(b""), "")}])
def test_no_file_is_400_in_words(client: FlaskClient, uploads: Path, data: dict[str, object]) -> None:
    answer = client.post("/demo/upload", data=data, content_type="multipart/form-data")
    assert answer.status_code == 400
    assert "缺少字段 test。" in answer.text or "没有选择文件。" in answer.text
    assert not uploads.exists()


@pytest.mark.parametrize(
    "content", [b"", b"<svg onload=alert(1)>", b"<html>", b"%PDF-1.7", b"MZ", b"GIF", b"\x89PNG"]
)
def test_any_file_is_taken_and_what_is_no_picture_comes_back_as_an_attachment(
    client: FlaskClient, uploads: Path, content: bytes
) -> None:
    page = upload(client, content, "a.png").text
    assert ">ok<" in page
    assert "<img" not in page.partition("<h1>")[2]
    [file] = files(uploads)
    assert f'href="/demo/upload/{file.name}" download' in page
    back = client.get(f"/demo/upload/{file.name}", buffered=True)
    assert (back.data, back.mimetype) == (content, "application/octet-stream")
    assert back.headers["Content-Disposition"] == "attachment; filename=a.png"
    assert back.headers["X-Content-Type-Options"] == "nosniff"
    assert back.headers["Cache-Control"] == "private, no-store"


def test_nobody_else_gets_a_file(app: Flask, client: FlaskClient, uploads: Path) -> None:
    upload(client, b"%PDF-1.7", "offer.pdf")
    [file] = files(uploads)
    assert app.test_client().get(f"/demo/upload/{file.name}").status_code == 404


@pytest.mark.parametrize("path", ["/demo/upload", "/demo/lessons/uploads?example=1"])
def test_too_large_is_413_as_a_page(client: FlaskClient, uploads: Path, path: str) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="test"; filename="a.png"\r\n\r\n'
    answer = client.post(
        path, data=head + PNG + b"\0" * (64 << 20), content_type="multipart/form-data; boundary=x"
    )
    assert answer.status_code == 413
    assert "发送的内容超过了上限：请换小一些的文件" in answer.text
    assert not uploads.exists()


def test_an_address_may_send_ten_files_a_minute(client: FlaskClient, uploads: Path) -> None:
    answers = [upload(client).status_code for _ in range(12)]
    assert answers == [200] * 10 + [429] * 2
    assert upload(client).headers["Retry-After"] == "60"
    assert len(files(uploads)) == 10
    other = client.post(
        "/demo/upload", data={"test": (BytesIO(PNG), "a.png")}, environ_overrides={"REMOTE_ADDR": "192.0.2.7"}
    )
    assert other.status_code == 200


def test_names_do_not_tell_who_sent_a_file(client: FlaskClient, uploads: Path) -> None:
    upload(client)
    [file] = files(uploads)
    assert hashlib.sha256(b"127.0.0.1").hexdigest()[:12] != file.name[:12]


def test_fifty_parallel_uploads_leave_no_more_than_allowed(app: Flask, uploads: Path) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: upload(app.test_client()).status_code, range(50)))
    assert set(answers) == {200, 429}
    assert len(files(uploads)) == answers.count(200) == 10


def test_fifty_parallel_addresses_never_fill_more_than_the_folder_may_hold(
    app: Flask, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_folder, "CAPACITY", 20 * len(PNG))

    def send(number: int) -> int:
        return (
            app.test_client()
            .post(
                "/demo/upload",
                data={"test": (BytesIO(PNG), "a.png")},
                environ_overrides={"REMOTE_ADDR": f"192.0.2.{number}"},
            )
            .status_code
        )

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(50)))
    assert set(answers) == {200, 503}
    assert len(files(uploads)) == answers.count(200) <= 20


def test_a_full_folder_is_503_until_there_is_room(client: FlaskClient, uploads: Path) -> None:
    uploads.mkdir(parents=True)
    old = uploads / "filled"
    old.write_bytes(b"")
    os.truncate(old, upload_folder.CAPACITY)
    answer = upload(client)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "300"
    assert "演示的存储空间满了" in answer.text
    assert files(uploads) == [old]
    _make_older(old, upload_folder.MIN_RETENTION_SECONDS + 1)
    assert upload(client).status_code == 200
    assert not old.exists()


def test_files_are_deleted_after_an_hour(client: FlaskClient, uploads: Path) -> None:
    upload(client)
    [file] = files(uploads)
    _make_older(file, upload_folder.RETENTION_SECONDS - 60)
    assert file.name in client.get("/demo/upload").text
    _make_older(file, upload_folder.RETENTION_SECONDS + 1)
    assert file.name not in client.get("/demo/upload").text
    assert client.get(f"/demo/upload/{file.name}", buffered=True).status_code == 404
    assert not files(uploads)


def test_a_visitor_sees_the_last_five(client: FlaskClient, uploads: Path) -> None:
    for number in range(6):
        upload(client, name=f"{number}.png")
    page = client.get("/demo/upload").text
    assert "-0.png" not in page
    assert [f"-{number}.png" in page for number in range(1, 6)] == [True] * 5


def test_the_lesson_sends_a_visitors_file_and_shows_the_exchange(client: FlaskClient, uploads: Path) -> None:
    answer = client.post("/demo/lessons/uploads?example=1", data={"test": (BytesIO(PNG), "../../a.png")})
    assert answer.status_code == 200
    assert "POST /demo/upload HTTP/1.1" in answer.text
    assert "filename=&#34;../../a.png&#34;" in answer.text
    assert "… 68 bytes …" in answer.text
    assert hashlib.sha256(PNG).hexdigest() in answer.text
    [file] = files(uploads)
    assert client.get(f"/demo/upload/{file.name}", buffered=True).status_code == 200


def test_the_lesson_alone_keeps_nothing(client: FlaskClient, uploads: Path) -> None:
    assert client.get("/demo/lessons/uploads").status_code == 200
    assert client.get("/demo/lessons/uploads?example=1").status_code == 200
    assert not uploads.exists()


def _make_older(path: Path, seconds: int) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))
