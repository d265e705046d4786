"""Tests of the storage of contents in a folder and in a bucket."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from wechat_bot.services.media.blobs import CHUNK_SIZE, BlobStore, FolderStore, S3Store, open_store
from wechat_bot.testing import listening

CONTENT = b"0123456789"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
LONG = bytes(range(256)) * 1000


class FakeS3:
    """A bucket in memory. Invalid requests are answered with errors of S3."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.status = 0
        """Status code of all responses, unless it is 0."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if self.status or not request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
            return _error(self.status or 403, "AccessDenied")
        if request.method == "PUT":
            assert request.content_type == "application/octet-stream"
            assert "aws-chunked" not in request.headers.get("Content-Encoding", "")
            self.objects[request.path] = request.get_data()
            return Response()
        if request.args.get("list-type") == "2":
            names = [key for path in self.objects if (key := path.removeprefix(f"{request.path}/"))]
            keys = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in names)
            text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"
            return Response(text, content_type="application/xml")
        if request.path not in self.objects:
            return _error(404, "NoSuchKey")
        if request.method == "DELETE":
            del self.objects[request.path]
            return Response(status=204)
        response = Response(self.objects[request.path])
        response.last_modified = datetime.now(UTC)
        return response.make_conditional(request, accept_ranges=True, complete_length=len(response.data))


def _error(status: int, code: str) -> Response:
    return Response(f"<Error><Code>{code}</Code></Error>", status, content_type="application/xml")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeS3, str]]:
    """A fake S3 service and its address."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fake = FakeS3()
    with listening(fake) as address:
        yield fake, address


@pytest.fixture
def bucket(s3: tuple[FakeS3, str]) -> FakeS3:
    return s3[0]


@pytest.fixture
def bucket_url(s3: tuple[FakeS3, str]) -> str:
    return f"s3://bot/media?endpoint={s3[1]}&region=local"


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    url = request.getfixturevalue("bucket_url") if request.param == "bucket" else ""
    return open_store(url, tmp_path)


def test_a_content_comes_back_under_its_digest(store: BlobStore) -> None:
    for content in (CONTENT, LONG):
        digest = store.put(content)
        assert digest == hashlib.sha256(content).hexdigest()
        assert store.size(digest) == len(content)
        assert b"".join(store.open(digest)) == content


def test_contents_are_listed_and_nothing_else(
    store: BlobStore, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert list(store.digests()) == []
    digests = {store.put(CONTENT), store.put(LONG)}
    if isinstance(store, FolderStore):
        (tmp_path / "media" / DIGEST[:2] / ".new-1").touch()
    else:
        request.getfixturevalue("bucket").objects["/bot/media/readme.txt"] = b""
    assert set(store.digests()) == digests


def test_a_part_of_it_is_read_alone(store: BlobStore) -> None:
    digest = store.put(LONG)
    start, end = 1000, 1000 + CHUNK_SIZE * 2
    pieces = list(store.open(digest, start, end))
    assert b"".join(pieces) == LONG[start:end]
    assert max(len(piece) for piece in pieces) <= CHUNK_SIZE
    assert b"".join(store.open(digest, len(LONG) - 3)) == LONG[-3:]


def test_what_is_not_there_is_told(store: BlobStore) -> None:
    assert store.size(DIGEST) is None
    with pytest.raises(FileNotFoundError):
        next(store.open(DIGEST))


def test_the_same_content_is_kept_once(tmp_path: Path, bucket: FakeS3, bucket_url: str) -> None:
    folder = FolderStore(tmp_path)
    for store in (folder, S3Store(bucket_url)):
        assert store.put(CONTENT) == store.put(CONTENT)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [DIGEST]
    assert list(bucket.objects) == [f"/bot/media/{DIGEST}"]


def test_a_content_is_deleted_unless_it_was_just_put_again(store: BlobStore) -> None:
    store.put(CONTENT)
    before = datetime.now(UTC) + timedelta(seconds=10)
    assert not store.delete(DIGEST, before - timedelta(minutes=1))
    assert store.size(DIGEST) == len(CONTENT)
    assert store.delete(DIGEST, before)
    assert store.size(DIGEST) is None
    assert store.delete(DIGEST, before)  # it is gone, as asked


def test_a_content_that_comes_again_is_as_new(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(CONTENT)
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    os.utime(path, (0, 0))
    assert store.put(CONTENT) == DIGEST
    assert not store.delete(DIGEST, datetime(2026, 1, 1, tzinfo=UTC))


def test_a_file_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(CONTENT)
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.write_bytes(CONTENT[:3])
    assert b"".join(store.open(store.put(CONTENT))) == CONTENT


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    FolderStore(tmp_path).put(CONTENT)
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    place = tmp_path / DIGEST[:2] / DIGEST
    (place / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        FolderStore(tmp_path).put(CONTENT)
    assert list(place.parent.iterdir()) == [place]


def test_a_relative_folder_is_in_the_instance_folder(tmp_path: Path) -> None:
    for url, folder in (("", "media"), ("files", "files"), (f"{tmp_path}/far", "far")):
        open_store(url, tmp_path).put(CONTENT)
        assert (tmp_path / folder / DIGEST[:2] / DIGEST).is_file()


@pytest.mark.parametrize("status", [403, 500])
def test_a_bucket_that_refuses_is_an_error_of_the_disk(bucket: FakeS3, bucket_url: str, status: int) -> None:
    bucket.status = status
    store = S3Store(bucket_url)
    uses = (
        lambda: store.put(CONTENT),
        lambda: store.size(DIGEST),
        lambda: next(store.open(DIGEST)),
        lambda: store.delete(DIGEST, datetime.now(UTC)),
    )
    for use in uses:
        with pytest.raises(OSError, match=f"S3.*({status}|AccessDenied)"):
            use()


def test_a_bucket_that_is_away_is_an_error_of_the_disk(bucket: FakeS3) -> None:
    with pytest.raises(OSError, match="S3"):
        S3Store("s3://bot?endpoint=http://127.0.0.1:9&region=local").put(CONTENT)
