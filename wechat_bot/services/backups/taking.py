"""Taking of backups, while the program runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine

from ...database.clock import database_now
from ...terminal import gettext as _
from .. import audit
from ..audit import Actor
from ..health.status import BACKUP_SUBJECT, BACKUP_TAKEN, database_size, free_space, revisions
from ..media.blobs import BlobStore, S3Store, fsync_folder
from ..operators.sealing import Sealer
from . import BackupError, Progress, archive
from .archive import ENV_FILE, MEDIA_KEYS, ArchiveWriter, Manifest
from .databases import database_of, kind_of

SEALED_TEXT = "wechat_bot"
"""The text in a manifest by which the SECRET_KEY is recognised."""
_NAME = re.compile(r"wechat_bot-\d{8}-\d{6}\.tar(\.enc)?")


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What is backed up, and what is replaced by a backup."""

    engine: Engine
    store: BlobStore
    """The files of messages and of the library."""
    sealer: Sealer
    migrations: str
    """The folder of the migrations."""
    instance: Path


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a backup contains beside the database."""

    with_media: bool = True
    env_file: Path | None = None
    """The file with the settings, if it is included."""


def file_name(now: datetime, *, encrypted: bool) -> str:
    """Return the name of a backup that is taken now."""
    return f"wechat_bot-{now.astimezone(UTC):%Y%m%d-%H%M%S}.tar{'.enc' if encrypted else ''}"


def delete_old(folder: Path, keep: int) -> list[Path]:
    """Delete the backups in a folder that have names of `file_name`, but for the newest ones. Return them."""
    backups = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    for path in backups[:-keep]:
        path.unlink()
    return backups[:-keep]


def sizes(installation: Installation, content: Content) -> tuple[int, int]:
    """Return the sizes of the database and of the files that a backup would contain, in bytes."""
    store = installation.store
    with installation.engine.connect() as connection:
        database = database_size(connection)
    if not content.with_media or isinstance(store, S3Store):
        return database, 0
    return database, sum(store.size(digest) or 0 for digest in store.digests())


def take(
    installation: Installation,
    path: Path,
    actor: Actor,
    content: Content,
    passphrase: str | None,
    progress: Progress,
) -> Manifest:
    """Write a backup to `path`, which appears when it is complete. It is encrypted if there is a pass phrase.

    :raises BackupError: when `path` exists, the disk has too little space, or the database cannot be copied.
    """
    if path.exists():
        raise BackupError(_("%(path)s 已经有了：换个名字。", path=path))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database, media = sizes(installation, content)
    # The copy of the database and its compressed form, which is hardly ever half as large, and this again in
    # the file.
    needed, free = database * 2 + media, free_space(path.parent)
    if free < needed:
        needed_gb, free_gb = (f"{size / (1 << 30):.1f} GB" for size in (needed, free))
        raise BackupError(
            _(
                "%(folder)s 只剩 %(free)s，备份可能要 %(needed)s：腾出空间，或者用 --output 写到别处。",
                folder=path.parent,
                free=free_gb,
                needed=needed_gb,
            )
        )
    with TemporaryDirectory(dir=path.parent, prefix=".backup-") as name:
        folder = Path(name)
        with archive.create(folder / path.name, passphrase, progress) as writer:
            manifest = _write(installation, folder, writer, content, _at_most(database, progress))
        (folder / path.name).replace(path)
    fsync_folder(path.parent)
    audit.record_now(installation.engine, actor, BACKUP_TAKEN, BACKUP_SUBJECT, detail=path.name)
    return manifest


def _write(
    installation: Installation, folder: Path, writer: ArchiveWriter, content: Content, progress: Progress
) -> Manifest:
    engine, database = installation.engine, database_of(installation.engine)
    with engine.connect() as connection:
        revision, _newest = revisions(connection, installation.migrations)
    if revision is None:
        raise BackupError(_("数据库里没有表：没有可备份的。"))
    copy = folder / database.member
    rows = database.dump(copy, progress)
    writer.add_file(database.member, copy)
    copy.unlink()
    if content.env_file:
        writer.add_file(ENV_FILE, content.env_file)
    media, files, damaged = "none", 0, []
    if content.with_media:
        # The files after the database: whatever its rows name is there.
        digests = installation.store.digests()
        if isinstance(installation.store, S3Store):
            keys = sorted(digests)
            writer.add_bytes(MEDIA_KEYS, "".join(f"{key}\n" for key in keys).encode())
            media, files = "bucket", len(keys)
        else:
            damaged = _add_media(writer, installation.store, digests)
            media, files = "folder", writer.media_files
    manifest = Manifest(
        program=version("wechat-bot"),
        created_at=database_now().isoformat(timespec="seconds"),
        database=kind_of(engine),
        revision=revision,
        rows=rows,
        parts=writer.parts,
        media=media,
        media_files=files,
        damaged_files=damaged,
        sealed=installation.sealer.seal(SEALED_TEXT),
    )
    writer.finish(manifest)
    return manifest


def _add_media(writer: ArchiveWriter, store: BlobStore, digests: Iterable[str]) -> list[str]:
    """Add all files, and return the digests of those that are damaged."""
    return [digest for digest in digests if not writer.add_media(digest, b"".join(store.open(digest)))]


def _at_most(total: int, progress: Progress) -> Progress:
    """Return a function that passes progress on until it is `total`, which is an estimate."""
    left = total

    def step(amount: int) -> None:
        nonlocal left
        amount = min(amount, left)
        left -= amount
        progress(amount)

    return step
