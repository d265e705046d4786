"""Restoring of backups into an installation that does not run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, delete

from ...database.transactions import write
from ...models import HandlerProcess, Worker
from ...terminal import gettext as _
from .. import audit
from ..audit import Actor
from ..health.heartbeats import running
from ..health.status import BACKUP_SUBJECT, revisions
from . import BackupError, Progress, archive
from .archive import ENV_FILE, MEDIA_KEYS, Manifest
from .databases import count_rows, database_of, kind_of
from .taking import SEALED_TEXT, Installation


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What was restored, and what the operator has to know about it."""

    manifest: Manifest
    knows_secret_key: bool
    """Whether the secrets that the database keeps can be opened with SECRET_KEY."""
    missing_files: int
    """The number of listed files that the bucket does not have."""
    env_file: bytes | None
    """The settings, if the backup has them."""


def restore(
    installation: Installation,
    path: Path,
    actor: Actor,
    passphrase: str | None,
    *,
    replace: bool,
    upgrade: Callable[[], object],
    progress: Progress,
) -> Restored:
    """Verify a backup and replace the content of the database by it. Files are added to those that are there.

    :param replace: whether a database with rows may be replaced.
    :param upgrade: brings the restored database to the schema of the program.
    :raises BackupError: when the backup is damaged or does not suit the installation, or the program runs.
    """
    engine = installation.engine
    refuse_running(engine)
    if not replace and not is_empty(engine):
        raise BackupError(_("数据库里有数据：加 --replace，就换成备份里的。"))
    installation.instance.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=installation.instance, prefix=".restore-") as folder:
        manifest, copy = archive.verify(path, passphrase, progress, Path(folder))
        _refuse_unsuitable(installation, manifest)
        database = database_of(engine)
        if copy is None or copy.name != database.member:
            raise BackupError(_("备份里没有数据库。"))
        database.load(copy)
    engine.dispose()  # the connections know the tables of before
    _compare_rows(engine, manifest)
    with engine.connect() as connection:
        present, newest = revisions(connection, installation.migrations)
    if present != newest:
        upgrade()
    _forget_processes(engine)
    missing = _restore_media(installation, path, passphrase, manifest)
    audit.record_now(engine, actor, "backup_restored", BACKUP_SUBJECT, detail=path.name)
    return Restored(
        manifest=manifest,
        knows_secret_key=installation.sealer.open(manifest.sealed) == SEALED_TEXT,
        missing_files=missing,
        env_file=archive.read_part(path, passphrase, ENV_FILE) if ENV_FILE in manifest.parts else None,
    )


def is_empty(engine: Engine) -> bool:
    """Whether the database has no rows but those that the migrations insert."""
    with engine.connect() as connection:
        return not any(count for name, count in count_rows(connection).items() if name != "progress")


def refuse_running(engine: Engine) -> None:
    """Check that the program does not run on a database.

    :raises BackupError: if its processes have sent heartbeats within a minute.
    """
    if names := running(engine):
        raise BackupError(
            _("程序在运行（%(names)s）：先停掉它。如果它是被杀掉的，就等一分钟。", names=", ".join(names))
        )


def _refuse_unsuitable(installation: Installation, manifest: Manifest) -> None:
    kind = kind_of(installation.engine)
    if manifest.database != kind:
        raise BackupError(
            _(
                "这是 %(theirs)s 的备份，而 DATABASE_URL 是 %(ours)s：恢复到 %(theirs)s。"
                "从 SQLite 搬到别的数据库，用 flask wechat migrate-data。",
                theirs=manifest.database,
                ours=kind,
            )
        )
    try:
        ScriptDirectory(installation.migrations).get_revision(manifest.revision)
    except CommandError as error:
        raise BackupError(
            _(
                "备份来自更新的程序（%(program)s，结构 %(revision)s）：先升级程序。",
                program=manifest.program,
                revision=manifest.revision,
            )
        ) from error


def _compare_rows(engine: Engine, manifest: Manifest) -> None:
    with engine.connect() as connection:
        present = count_rows(connection)
    if present != manifest.rows:
        names = sorted({name for name, _count in present.items() ^ manifest.rows.items()})
        raise BackupError(_("恢复以后，这些表的行数和备份的不一样：%(names)s。", names=", ".join(names)))


def _forget_processes(engine: Engine) -> None:
    """Delete the heartbeats of the processes that ran when the backup was taken."""
    for model in (Worker, HandlerProcess):
        write(engine, delete(model))


def _restore_media(installation: Installation, path: Path, passphrase: str | None, manifest: Manifest) -> int:
    """Add the files of a backup to the store. Return the number of files that are listed and not there."""
    if manifest.media == "bucket":
        keys = archive.read_part(path, passphrase, MEDIA_KEYS).decode().split()
        return len({*keys} - {*installation.store.digests()})
    for content in archive.read_media(path, passphrase):
        installation.store.put(content)
    return 0
