"""``flask wechat backup``, ``restore`` and ``migrate-data``: the database with the files of messages."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace as changed
from datetime import UTC, datetime
from pathlib import Path

import click
from alembic import command
from flask import current_app
from flask_migrate import upgrade
from sqlalchemy import Engine, create_engine

from ..database.engine import engine_options
from ..services.backups import BackupError, archive, moving
from ..services.backups.archive import Manifest
from ..services.backups.encryption import MIN_PASSPHRASE_LENGTH
from ..services.backups.restoring import restore as restore_backup
from ..services.backups.taking import Content, Installation, delete_old, file_name, sizes, take
from ..services.health.status import check_schema
from ..services.projections.projector import Projector
from ..settings import SettingsError
from ..terminal import gettext as _
from ..wiring import services
from .common import ACTOR, inert, wechat
from .search import rebuild_index

PASSPHRASE = "BACKUP_PASSPHRASE"
"""The environment variable with the pass phrase of encrypted backups."""

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
passphrase_option = click.option(
    "--passphrase-file",
    type=_EXISTING,
    help=f"Its first line is the pass phrase; without it {PASSPHRASE} is, or it is asked for.",
)


@wechat.command()
@click.option(
    "--output", type=click.Path(path_type=Path), help="A file, or a folder; instance/backups unless given."
)
@click.option("--encrypt", is_flag=True, help="Encrypt it with a pass phrase.")
@passphrase_option
@click.option("--without-media", is_flag=True, help="Leave out the files of messages.")
@click.option("--with-env", is_flag=True, help="Include .env, which has the secrets. Needs --encrypt.")
@click.option("--keep", type=click.IntRange(1), help="Delete older backups in the folder but for so many.")
@click.option("--check", "checked", type=_EXISTING, help="Take none; verify this one to its last byte.")
def backup(
    output: Path | None,
    encrypt: bool,
    passphrase_file: Path | None,
    without_media: bool,
    with_env: bool,
    keep: int | None,
    checked: Path | None,
) -> None:
    """Write the database and the files of messages into one file, while the program runs."""
    with _errors_shown():
        if checked:
            _check(checked, passphrase_file)
            return
        if with_env and not encrypt:
            raise click.UsageError(_("--with-env 要和 --encrypt 一起用：.env 里有密钥。"))
        path = output or services().instance / "backups"
        if path.is_dir() or not output:
            path /= file_name(datetime.now(UTC), encrypted=encrypt)
        content = Content(with_media=not without_media, env_file=Path(".env") if with_env else None)
        passphrase = _passphrase(passphrase_file, is_new=True) if encrypt else None
        installation = _installation()
        with click.progressbar(length=sum(sizes(installation, content)), label=_("正在备份")) as bar:
            manifest = take(installation, path, ACTOR, content, passphrase, bar.update)
        click.echo(_("%(path)s：%(summary)s", path=path, summary=_summary(manifest)))
        for old in delete_old(path.parent, keep) if keep else ():
            click.echo(_("删掉了旧的 %(path)s。", path=old))


def _check(path: Path, passphrase_file: Path | None) -> None:
    passphrase = _passphrase_of(path, passphrase_file)
    with click.progressbar(length=path.stat().st_size, label=_("正在检查")) as bar:
        manifest, _nothing = archive.verify(path, passphrase, bar.update)
    click.echo(_("完好：%(summary)s", summary=_summary(manifest)))


@wechat.command()
@click.argument("file", type=_EXISTING)
@passphrase_option
@click.option("--replace", is_flag=True, help="Replace the rows that the database has.")
@click.option("--yes", is_flag=True, help="Do not ask before.")
def restore(file: Path, passphrase_file: Path | None, replace: bool, yes: bool) -> None:
    """Replace the database by that of a backup, and add its files. The program must not run."""
    if replace and not yes:
        click.confirm(_("数据库里现在的内容会全部丢掉，换成备份里的。继续吗？"), abort=True)
    with _errors_shown():
        passphrase = _passphrase_of(file, passphrase_file)
        with click.progressbar(length=file.stat().st_size, label=_("正在恢复")) as bar:
            restored = restore_backup(
                _installation(),
                file,
                ACTOR,
                passphrase,
                replace=replace,
                upgrade=upgrade,
                progress=bar.update,
            )
        click.echo(_("已恢复：%(summary)s", summary=_summary(restored.manifest)))
        if restored.missing_files:
            click.echo(_("存储桶里少了 %(count)s 个文件。", count=restored.missing_files))
        if not restored.knows_secret_key:
            click.echo(
                _("SECRET_KEY 和备份时的不同：两步验证和接口密钥打不开。把原来的填进 SECRET_KEY_PREVIOUS。")
            )
        if erased := _erase_again():
            click.echo(_("备份以后删除过 %(count)s 位粉丝的数据，启动程序后再删除一次。", count=erased))
        if restored.env_file is not None:
            _write_privately(Path(".env.restored"), restored.env_file)
            click.echo(_("备份里的 .env 写到了 .env.restored：需要的话，用它换掉 .env。"))


def _erase_again() -> int:
    """Begin the erasures again that were done after the backup was taken; return their number."""
    bot = services()
    try:
        return bot.erasures.begin_again(ACTOR, bot.account_id)
    except FileNotFoundError:  # nobody was erased here
        return 0


@wechat.command("migrate-data")
@click.option(
    "--to",
    "url",
    required=True,
    envvar="TARGET_DATABASE_URL",
    help="postgresql://… or mysql://…; better in TARGET_DATABASE_URL, where other users cannot read it.",
)
def migrate_data(url: str) -> None:
    """Move the SQLite database to another server. The program must not run.

    Interrupted, it goes on when it is called again.
    """
    bot = services()
    if bot.engine.dialect.name != "sqlite":
        raise click.ClickException(_("DATABASE_URL 不是 SQLite：只能从 SQLite 搬走。"))
    try:
        settings = changed(bot.settings, database_url=url)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    if check_schema(bot.engine, bot.migrations) != "ok":
        raise click.ClickException(_("数据库的结构和程序的版本不一致：先运行 flask db upgrade。"))
    source = moving.open_engine(bot.engine.url, bot.settings)
    target = moving.open_engine(settings.sqlalchemy_url, settings)
    with _errors_shown():
        _upgrade(target)
        with click.progressbar(length=moving.total_rows(source), label=_("正在搬数据")) as bar:
            moving.move(source, target, bar.update)
    click.echo(_("数据都在了，逐表核对过。把 DATABASE_URL 换成新的，就可以启动程序；搜索还要建索引。"))
    target = create_engine(settings.sqlalchemy_url, **engine_options(settings))
    rebuild_index(Projector(target, bot.router, bot.account.time_zone))


def _upgrade(target: Engine) -> None:
    """Bring another database than that of the application to the schema of the program."""
    config = current_app.extensions["migrate"].migrate.get_config()
    config.attributes["engine"] = target
    command.upgrade(config, "head")


def _installation() -> Installation:
    bot = services()
    return Installation(
        engine=bot.engine,
        store=bot.archive.store,
        sealer=bot.sealer,
        migrations=bot.migrations,
        instance=bot.instance,
    )


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Show errors of backups as one sentence. SIGTERM raises an exception, so that the block cleans up."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        yield
    except BackupError as error:
        raise click.ClickException(inert(error)) from error
    finally:
        signal.signal(signal.SIGTERM, before)


def _passphrase(file: Path | None, *, is_new: bool = False) -> str:
    """Return the pass phrase: from a file, the environment, or whoever sits at the terminal."""
    if file:
        passphrase = file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    else:
        passphrase = os.environ.get(PASSPHRASE) or click.prompt(
            _("备份的口令"), hide_input=True, confirmation_prompt=is_new
        )
    if is_new and len(passphrase) < MIN_PASSPHRASE_LENGTH:
        raise BackupError(_("口令太短：至少 %(count)s 个字符。", count=MIN_PASSPHRASE_LENGTH))
    return passphrase


def _passphrase_of(backup: Path, file: Path | None) -> str | None:
    """Return the pass phrase of a backup, or None if it is not encrypted."""
    return _passphrase(file) if archive.is_encrypted(backup) else None


def _summary(manifest: Manifest) -> str:
    text = _(
        "%(messages)s 条消息，共 %(rows)s 行，%(files)s 个媒体文件；结构 %(revision)s，%(at)s。",
        messages=manifest.rows.get("message_logs", 0),
        rows=sum(manifest.rows.values()),
        files=manifest.media_files,
        revision=manifest.revision,
        at=manifest.created_at,
    )
    if manifest.media == "bucket":
        text += _("媒体文件在存储桶里，备份里只有它们的名字。")
    if manifest.damaged_files:
        text += _("%(count)s 个媒体文件的内容坏了，没有备份。", count=len(manifest.damaged_files))
    return inert(text)


def _write_privately(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
