"""Prepares the database when the program starts."""

from __future__ import annotations

import click
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy.exc import OperationalError

from ..database.startup import WAIT_SECONDS, wait_until_reachable
from ..extensions import db
from ..services.health.status import NEWER, check_schema
from ..terminal import gettext as _
from ..wiring import services


def prepare_database(app: Flask) -> None:
    """Wait until the database is there, and upgrade it unless it is newer than this program.

    What the operator should know of it is written to the terminal.

    :raises SQLAlchemyError: if the database cannot be used.
    """
    with app.app_context():
        wait_until_reachable(db.engine, _tell_of_waiting)
        if check_schema(db.engine, services().migrations) == NEWER:
            newer = _(
                "数据库比这个程序新：别处的新版本已经升级了它。程序照常运行；请把这里的程序也更新到新版本。"
            )
            click.echo(newer, err=True)
        else:
            upgrade()
        db.engine.dispose()


def _tell_of_waiting(error: OperationalError) -> None:
    reason = str(error).partition("\n")[0]
    seconds = round(WAIT_SECONDS)
    waiting = _("数据库还连不上（%(reason)s），最多等 %(seconds)s 秒……", reason=reason, seconds=seconds)
    click.echo(waiting, err=True)
