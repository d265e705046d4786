"""Where contents are kept: each once, under the SHA-256 of what it contains."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

PIECE = 1 << 16


class BlobStore(Protocol):
    """Contents by their digest, in hexadecimal digits. OSError where they cannot be reached."""

    def put(self, content: bytes) -> str:
        """Keep `content` for good; its digest."""

    def size(self, digest: str) -> int | None:
        """Bytes; None for what is not here."""

    def open(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` to before `end`, piece by piece; FileNotFoundError."""


def open_store(url: str, instance: Path) -> BlobStore:
    """The store that MEDIA_URL names; a relative folder is in the `instance` folder."""
    return S3Store(url) if url.startswith("s3://") else FolderStore(instance / (url or "media"))


class FolderStore:
    """Files in a folder, which several machines may share. A file is there as a whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        if self.size(digest) == len(content):
            return digest
        path = self._path(digest)
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
        _sync(path.parent)
        _sync(self._folder)
        return digest

    def size(self, digest: str) -> int | None:
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        with self._path(digest).open("rb") as file:
            left = (os.fstat(file.fileno()).st_size if end is None else end) - file.seek(start)
            while left > 0 and (piece := file.read(min(PIECE, left))):
                left -= len(piece)
                yield piece

    def _path(self, digest: str) -> Path:
        """No folder gets so many files that listing it takes long."""
        return self._folder / digest[:2] / digest


def _sync(folder: Path) -> None:
    """Let the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class S3Store:
    """Objects in a bucket, of Amazon or of anything that speaks S3.

    ``s3://bucket/prefix?endpoint=https://…&region=…&addressing=virtual``; keys are where boto3 looks for
    them (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY). Connects when it is first used.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
        self._options = dict(parse_qsl(parts.query))

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        if self.size(digest) != len(content):
            with _told_as_os_errors():
                self._client.put_object(
                    **self._name(digest), Body=content, ContentType="application/octet-stream"
                )
        return digest

    def size(self, digest: str) -> int | None:
        try:
            with _told_as_os_errors():
                return int(self._client.head_object(**self._name(digest))["ContentLength"])
        except FileNotFoundError:
            return None

    def open(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        wanted = f"bytes={start}-{'' if end is None else end - 1}"
        with _told_as_os_errors():
            answer = self._client.get_object(**self._name(digest), Range=wanted)
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(PIECE)

    def _name(self, digest: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + digest}

    @cached_property
    def _client(self) -> Any:
        # Imported here: it is an extra, and slow to import.
        from boto3.session import Session
        from botocore.config import Config

        options = self._options
        config = Config(
            s3={"addressing_style": options.get("addressing", "path" if "endpoint" in options else "auto")},
            # What Amazon added later, others refuse.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=5,
            read_timeout=60,
        )
        return Session().client(
            "s3", endpoint_url=options.get("endpoint"), region_name=options.get("region"), config=config
        )


@contextmanager
def _told_as_os_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        missing = error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        raise (FileNotFoundError if missing else OSError)(f"S3: {error}") from error
    except BotoCoreError as error:
        raise OSError(f"S3: {error}") from error
