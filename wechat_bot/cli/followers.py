"""``flask wechat sync``: synchronise the followers with the platform's list."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from ..extensions import db
from ..models import FollowerSync, SyncState
from ..services.accounts.capabilities import Feature
from ..terminal import gettext as _
from ..wechat.errcodes import explain
from ..wiring import services
from .common import ACTOR, in_own_language, inert, wechat

Progress = Callable[[int, int], object]


@wechat.command()
@click.option("--resume", is_flag=True, help="Go on with the run that failed or was interrupted.")
def sync(resume: bool) -> None:
    """Fetch the list of followers, with remarks and tags. Workers do it every night at four, Beijing time."""
    followers = services().followers
    capabilities = services().capabilities
    account_id = services().account_id
    permission = capabilities.permission(account_id, Feature.FOLLOWERS)
    if not permission.allowed:
        raise click.ClickException(
            _("这个公众号不能列出粉丝（%(reason)s）：见 flask wechat doctor。", reason=permission.reason)
        )
    sync_id = followers.resume(account_id) if resume else followers.begin(account_id, ACTOR)
    if sync_id is None:
        raise click.ClickException(_("没有可以接着做的：去掉 --resume。"))
    with _progress_bar() as progress:
        followers.run(sync_id, progress)
    _report(db.session.get_one(FollowerSync, sync_id))


def _report(run: FollowerSync) -> None:
    if run.state == SyncState.FAILED:
        remedy = in_own_language(explain(run.errcode, run.error).remedy) if run.errcode else ""
        raise click.ClickException(
            _(
                "%(total)s 位粉丝做到第 %(done)s 位时：%(error)s。%(remedy)s 用 --resume 接着做。",
                done=run.done,
                total=run.total,
                error=inert(run.error),
                remedy=remedy,
            )
        )
    if run.state == SyncState.RUNNING:
        raise click.ClickException(_("另一个进程正在做，会做完。"))
    click.echo(_("已同步 %(count)s 位粉丝。", count=run.done))
    if run.error:
        click.echo(_("平台给的记录里有看不懂的，已略过：%(error)s", error=inert(run.error)))


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    """Show the progress of a run if the standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with click.progressbar(length=1, label=_("正在同步"), file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show
