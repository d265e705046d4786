"""``flask wechat seed``: fill the database with sample data."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ..extensions import db
from ..handlers import router
from ..sample_data import AlreadyRecorded, AlreadyUsed, Plan
from ..sample_data import seed as seed_messages
from ..sample_data.pictures import attach_pictures
from ..sample_data.team import add_team_activity
from ..services.projections.projector import Projector
from ..settings import Environment
from ..terminal import gettext as _
from ..wiring import services
from .common import wechat


def _time(text: str) -> datetime:
    """Parse ISO 8601, in UTC unless `text` has an offset. click explains a ValueError."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@wechat.command()
@click.option("--messages", type=click.IntRange(1), default=5000, show_default=True, help="How many.")
@click.option("--seed", default=1, show_default=True, help="Another number, other messages.")
@click.option("--followers", type=click.IntRange(1), help="How many; one for 40 messages unless given.")
@click.option("--until", type=_time, metavar="TIME", help="When they end, ISO 8601; now unless given.")
@click.option("--add", is_flag=True, help="Add to the messages that are there.")
@click.option("--yes", is_flag=True, help="Do it in production.")
def seed(
    messages: int, seed: int, followers: int | None, until: datetime | None, add: bool, yes: bool
) -> None:
    """Fill the database with made-up conversations, to look at, to test and to measure."""
    settings = services().settings
    if settings.app_env is Environment.PRODUCTION and not yes:
        raise click.ClickException(_("这是生产环境。真要这样做，加 --yes。"))
    plan = Plan(messages=messages, until=until or datetime.now(UTC), seed=seed, followers=followers)
    try:
        with click.progressbar(length=messages, label=_("正在写入消息")) as bar:
            seed_messages(db.engine, router, settings.wechat_app_id, plan, add=add, progress=bar.update)
    except AlreadyUsed as error:
        raise click.ClickException(_("数据库里已有消息。加 --add，会把虚构的和它们永远混在一起。")) from error
    except AlreadyRecorded as error:
        raise click.ClickException(_("这些消息已经有了：换一个 --seed。")) from error
    _update_projections(services().projector)
    add_team_activity(db.engine, services().account_id, seed)
    attach_pictures(db.engine, services().archive, seed)
    click.echo(
        _(
            "%(messages)s 条消息，来自 %(followers)s 位粉丝。",
            messages=messages,
            followers=plan.follower_count,
        )
    )


def _update_projections(projector: Projector) -> None:
    """Process all recorded messages, so that lists, search and media include them."""
    left = projector.catch_up(0)
    with click.progressbar(length=left, label=_("正在建索引")) as bar:
        while left:
            rest = projector.catch_up(0.5)
            bar.update(left - rest)
            left = rest
