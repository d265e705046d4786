"""``flask wechat sweep``: end messages whose handling or sending was interrupted."""

from __future__ import annotations

import click

from ..database.clock import database_now
from ..extensions import db
from ..services.inbox.recovery import recover
from ..terminal import gettext as _
from ..wiring import services
from .common import wechat


@wechat.command()
def sweep() -> None:
    """End what a crash left behind; `make run` does it by itself."""
    count = recover(db.engine, services().outbox, database_now())
    click.echo(_("已了结 %(count)s 条消息。", count=count))
