"""``flask wechat export-follower``, ``erase-follower`` and ``erase-again``: a follower's personal data."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import select

from ..database.clock import database_now
from ..extensions import db
from ..models import Follower
from ..services import audit
from ..services.followers.profiles import subject
from ..services.personal_data import export
from ..services.personal_data.erasure import Progress
from ..terminal import gettext as _
from ..wiring import services
from .common import ACTOR, inert, wechat

PAUSE = 1
"""Seconds until an erasure goes on that waits for messages which are being processed."""


@wechat.command("export-follower")
@click.argument("openid")
@click.option("--output", required=True, metavar="FILE", help="The ZIP file to write.")
def export_follower(openid: str, output: str) -> None:
    """Write all that is known of a follower to a ZIP file. That somebody did is in the audit log."""
    bot, follower_id = services(), _follower_id(openid)
    bot.projector.catch_up(seconds=60)
    audit.record_now(db.engine, ACTOR, "follower_exported", subject(follower_id))
    zone, now = bot.account.time_zone, database_now()
    part = Path(f"{output}.part")
    with part.open("wb") as file:
        file.writelines(export.stream(db.engine, bot.archive.store, bot.account_id, follower_id, now, zone))
    part.replace(output)


@wechat.command("erase-follower")
@click.argument("openid")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase_follower(openid: str, yes: bool) -> None:
    """Erase a follower: messages, files, notes and all else. This cannot be undone."""
    follower_id = _follower_id(openid)
    if not yes:
        click.confirm(_("删除这位粉丝的全部数据？不能恢复。"), abort=True)
    erasures = services().erasures
    erasure_id = erasures.begin(ACTOR, services().account_id, follower_id)
    with _progress_bar() as progress:
        while not erasures.run(erasure_id, progress):
            time.sleep(PAUSE)
    click.echo(_("已删除。"))


@wechat.command("erase-again")
def erase_again() -> None:
    """Erase those again who were erased after the backup was made that has been restored."""
    erasures = services().erasures
    try:
        count = erasures.begin_again(ACTOR, services().account_id)
    except FileNotFoundError as error:
        path = erasures.register.path
        raise click.ClickException(_("没有删除登记 %(path)s：把它放回原处。", path=path)) from error
    click.echo(_("要再删除 %(count)s 位粉丝，由 worker 完成。", count=count))


def _follower_id(openid: str) -> int:
    of_account = Follower.account_id == services().account_id, Follower.openid == openid
    follower_id = db.session.scalar(select(Follower.id).where(*of_account))
    db.session.remove()
    if follower_id is None:
        raise click.ClickException(_("没有 openid 是 %(openid)s 的粉丝。", openid=inert(openid)))
    return follower_id


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    """Show how many messages are deleted if the standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with click.progressbar(length=1, label=_("正在删除"), file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(total, done)
            bar.update(done - bar.pos)

        yield show
