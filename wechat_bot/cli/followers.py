"""``flask wechat sync``: synchronise the followers with the platform's list."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from ..extensions import db
from ..models import FollowerSync, SyncState
from ..services.accounts.capabilities import Feature
from ..wechat.errcodes import explain
from ..wiring import services
from .common import ACTOR, inert, wechat

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
            f"The account may not list its followers ({permission.reason}): see flask wechat doctor."
        )
    sync_id = followers.resume(account_id) if resume else followers.begin(account_id, ACTOR)
    if sync_id is None:
        raise click.ClickException("There is nothing to go on with: leave out --resume.")
    with _progress_bar() as progress:
        followers.run(sync_id, progress)
    _report(db.session.get_one(FollowerSync, sync_id))


def _report(run: FollowerSync) -> None:
    if run.state == SyncState.FAILED:
        remedy = explain(run.errcode, run.error).remedy.en if run.errcode else ""
        raise click.ClickException(
            f"{run.done} of {run.total} followers, then: {inert(run.error)}. {remedy} Go on with --resume."
        )
    if run.state == SyncState.RUNNING:
        raise click.ClickException("Another process is about it and goes on.")
    click.echo(f"{run.done} followers are synchronised.")
    if run.error:
        click.echo(f"Records of the platform that make no sense were left out: {inert(run.error)}")


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    """Show the progress of a run if the standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with click.progressbar(length=1, label="Synchronising", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show
