"""Content-addressed storage of files, in a folder or an S3 bucket, under the SHA-256 of their content."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

CHUNK_SIZE = 1 << 16
"""Size in bytes of the chunks in which contents are read."""

_DIGEST = re.compile("[0-9a-f]{64}")


class BlobStore(Protocol):
    """Stores contents by hexadecimal digest. Its methods raise OSError if the storage cannot be reached."""

    def put(self, content: bytes) -> str:
        """Store `content` permanently and return its digest."""

    def size(self, digest: str) -> int | None:
        """Return the size of a content in bytes, or None if it is not stored."""

    def digests(self) -> Iterator[str]:
        """Yield the digests of all contents."""

    def open(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `end` (exclusive; None: to the end) in chunks.

        :raises FileNotFoundError: if the content is not stored.
        """

    def delete(self, digest: str, before: datetime) -> bool:
        """Delete a content; False if it was put again since `before`, so that somebody is about to use it."""


def open_store(url: str, instance: Path) -> BlobStore:
    """Return the store of the setting MEDIA_URL. A relative path is relative to the `instance` folder."""
    return S3Store(url) if url.startswith("s3://") else FolderStore(instance / (url or "media"))


class FolderStore:
    """Stores files in a folder, which several machines may share. Files are written atomically."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        if self.size(digest) == len(content):
            path.touch()  # for `delete`
            return digest
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)
        fsync_folder(self._folder)
        return digest

    def size(self, digest: str) -> int | None:
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def digests(self) -> Iterator[str]:
        for path in self._folder.glob("??/*"):
            if _DIGEST.fullmatch(path.name):
                yield path.name

    def open(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        with self._path(digest).open("rb") as file:
            left = (os.fstat(file.fileno()).st_size if end is None else end) - file.seek(start)
            while left > 0 and (chunk := file.read(min(CHUNK_SIZE, left))):
                left -= len(chunk)
                yield chunk

    def delete(self, digest: str, before: datetime) -> bool:
        path = self._path(digest)
        with suppress(FileNotFoundError):
            if path.stat().st_mtime >= before.timestamp():
                return False
            path.unlink()
        return True

    def _path(self, digest: str) -> Path:
        """Return the path of a file, in one of 256 subfolders so that none of them gets too large."""
        return self._folder / digest[:2] / digest


def fsync_folder(folder: Path) -> None:
    """Make new names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class S3Store:
    """Stores objects in a bucket of Amazon S3 or a compatible service.

    ``s3://bucket/prefix?endpoint=https://…&region=…&addressing=virtual``; boto3 finds the
    credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY). The client is created at the first use.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
        self._options = dict(parse_qsl(parts.query))

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        with _as_os_errors():  # also what is there, for the time by which `delete` goes
            self._client.put_object(
                **self._location(digest), Body=content, ContentType="application/octet-stream"
            )
        return digest

    def size(self, digest: str) -> int | None:
        try:
            with _as_os_errors():
                return int(self._client.head_object(**self._location(digest))["ContentLength"])
        except FileNotFoundError:
            return None

    def digests(self) -> Iterator[str]:
        with _as_os_errors():
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for found in page.get("Contents", ()):
                    if _DIGEST.fullmatch(name := found["Key"].removeprefix(self._prefix)):
                        yield name

    def open(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        byte_range = f"bytes={start}-{'' if end is None else end - 1}"
        with _as_os_errors():
            response = self._client.get_object(**self._location(digest), Range=byte_range)
            with closing(response["Body"]) as body:
                yield from body.iter_chunks(CHUNK_SIZE)

    def delete(self, digest: str, before: datetime) -> bool:
        with suppress(FileNotFoundError), _as_os_errors():
            if self._client.head_object(**self._location(digest))["LastModified"] >= before:
                return False
            self._client.delete_object(**self._location(digest))
        return True

    def _location(self, digest: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + digest}

    @cached_property
    def _client(self) -> Any:
        # Imported here because boto3 is optional and slow to import.
        from boto3.session import Session
        from botocore.config import Config

        options = self._options
        config = Config(
            s3={"addressing_style": options.get("addressing", "path" if "endpoint" in options else "auto")},
            # Compatible services reject the checksums that newer versions of boto3 send by default.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=5,
            read_timeout=60,
        )
        return Session().client(
            "s3", endpoint_url=options.get("endpoint"), region_name=options.get("region"), config=config
        )


@contextmanager
def _as_os_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        missing = error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        raise (FileNotFoundError if missing else OSError)(f"S3: {error}") from error
    except BotoCoreError as error:
        raise OSError(f"S3: {error}") from error
