"""The file of a backup: a tar with the database, the files of messages and a manifest, encrypted on demand.

The manifest is the last member, so that a file without one is incomplete. The files of messages are named by
their SHA-256, which the manifest need not repeat.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, get_origin, get_type_hints

from ...terminal import gettext as _
from . import BackupError, Progress
from .encryption import MAGIC, DecryptingReader, EncryptingWriter

MANIFEST = "manifest.json"
ENV_FILE = "env"
MEDIA_KEYS = "media-keys.txt"
"""Lists the files in a bucket, which is not copied."""

_MEDIA = re.compile(r"media/[0-9a-f]{2}/([0-9a-f]{64})")
_DATABASE = re.compile(r"database\.[a-z.]+")
_BUFFER_SIZE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup contains."""

    program: str
    """The version of the program."""
    created_at: str
    """ISO 8601, UTC."""
    database: str
    """The kind of the database: sqlite, postgresql, mariadb or mysql."""
    revision: str
    """The revision of the database's schema."""
    rows: dict[str, int]
    """The number of rows in each table."""
    parts: dict[str, str]
    """SHA-256 of each member in hexadecimal digits, but of the files of messages and of the manifest."""
    media: str
    """folder (the files are included), bucket (they are listed) or none."""
    media_files: int
    """The number of files of messages that are included or listed."""
    damaged_files: list[str]
    """Digests of files that are not included, because the storage had another content."""
    sealed: str
    """A text that was sealed with SECRET_KEY, to recognise it."""


class ArchiveWriter:
    """Writes the members of a backup."""

    def __init__(self, file: IO[bytes], progress: Progress) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", bufsize=_BUFFER_SIZE)  # noqa: SIM115
        self._progress = progress
        self.parts: dict[str, str] = {}
        self.media_files = 0

    def add_file(self, name: str, path: Path) -> None:
        with path.open("rb") as file:
            self.parts[name] = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            self._tar.addfile(_member(name, path.stat().st_size), file)

    def add_bytes(self, name: str, content: bytes) -> None:
        self.parts[name] = hashlib.sha256(content).hexdigest()
        self._tar.addfile(_member(name, len(content)), io.BytesIO(content))

    def add_media(self, digest: str, content: bytes) -> bool:
        """Add a file of a message, unless its content is damaged."""
        if hashlib.sha256(content).hexdigest() != digest:
            return False
        name = f"media/{digest[:2]}/{digest}"
        self._tar.addfile(_member(name, len(content)), io.BytesIO(content))
        self.media_files += 1
        self._progress(len(content))
        return True

    def finish(self, manifest: Manifest) -> None:
        content = json.dumps(asdict(manifest), indent=2, ensure_ascii=False).encode()
        self._tar.addfile(_member(MANIFEST, len(content)), io.BytesIO(content))
        self._tar.close()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


@contextmanager
def create(path: Path, passphrase: str | None, progress: Progress) -> Iterator[ArchiveWriter]:
    """Create a file that only its owner may read, and make it durable at the end."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb", _BUFFER_SIZE) as file:
        if passphrase is None:
            yield ArchiveWriter(file, progress)
        else:
            encrypting = EncryptingWriter(file, passphrase)
            yield ArchiveWriter(encrypting, progress)  # type: ignore[arg-type]  # write is all that it needs
            encrypting.close()
        file.flush()
        os.fsync(descriptor)


def is_encrypted(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def _tar_errors_told() -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise BackupError(_("备份读不了，或者不完整（%(error)s）：用另一份。", error=error)) from error


@_tar_errors_told()
def verify(
    path: Path, passphrase: str | None, progress: Progress, folder: Path | None = None
) -> tuple[Manifest, Path | None]:
    """Read a backup to its end and check every member. Return the manifest, and the path of the database.

    :param folder: where the database is written to; None: nowhere.
    :raises BackupError: when the file is no backup, damaged or incomplete, or the pass phrase is wrong.
    """
    hashes: dict[str, str] = {}
    media: set[str] = set()
    manifest = database = None
    for name, member in _members(path, passphrase):
        if name == MANIFEST:
            manifest = _parse_manifest(member.read())
            continue
        extracted = folder / name if folder and _DATABASE.fullmatch(name) else None
        database = extracted or database
        digest = _copy(member, extracted or Path(os.devnull), progress)
        if match := _MEDIA.fullmatch(name):
            media |= {digest} & {match[1]}
        else:
            hashes[name] = digest
    if manifest is None:
        raise BackupError(_("备份不完整：它的末尾不在。用另一份。"))
    included = manifest.media_files if manifest.media == "folder" else 0
    if hashes != manifest.parts or len(media) != included:
        raise BackupError(_("备份损坏了：内容和它的校验值不一致。用另一份。"))
    return manifest, database


def read_media(path: Path, passphrase: str | None) -> Iterator[bytes]:
    """Yield the contents of the files of messages in a backup that has been verified."""
    for name, member in _members(path, passphrase):
        if _MEDIA.fullmatch(name):
            yield member.read()


def read_part(path: Path, passphrase: str | None, part: str) -> bytes:
    """Return a member of a backup that has been verified."""
    return next(member.read() for name, member in _members(path, passphrase) if name == part)


def _members(path: Path, passphrase: str | None) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the names and contents of the members, each of which must be read before the next one."""
    with path.open("rb", _BUFFER_SIZE) as file, _open_tar(file, passphrase) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is None:
                raise BackupError(_("这不是备份：%(name)s 不是普通文件。", name=member.name))
            yield member.name, content


def _open_tar(file: IO[bytes], passphrase: str | None) -> tarfile.TarFile:
    source: Any = file
    if file.read(len(MAGIC)) != MAGIC:
        file.seek(0)
    elif passphrase is None:
        raise BackupError(_("备份是加密的：要有口令。"))
    else:
        source = DecryptingReader(file, passphrase)
    return tarfile.open(fileobj=source, mode="r|", bufsize=_BUFFER_SIZE)


def _copy(source: IO[bytes], path: Path, progress: Progress) -> str:
    """Read `source` to its end, write it to `path`, and return its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as target:
        while chunk := source.read(_BUFFER_SIZE):
            digest.update(chunk)
            target.write(chunk)
            progress(len(chunk))
    return digest.hexdigest()


def _parse_manifest(content: bytes) -> Manifest:
    try:
        values = json.loads(content)
        manifest = Manifest(**values)
        for name, kind in get_type_hints(Manifest).items():
            if not isinstance(values[name], get_origin(kind) or kind):
                raise TypeError(name)
    except (ValueError, TypeError) as error:
        raise BackupError(_("这份备份是另一个版本的程序做的，这个版本读不懂：升级程序。")) from error
    return manifest
