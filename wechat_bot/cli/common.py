"""What the commands share: the group ``flask wechat``, the actor in the audit log, the display of errors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from ..extensions import db
from ..services.audit import Actor
from ..services.health.status import check_database
from ..services.operators.management import OperatorError
from ..wiring import services

ACTOR = Actor(None, "command line", "")
"""The actor of everything that commands do, in the audit log."""

Command = Callable[..., None]

wechat = AppGroup("wechat", help="Talk to a bot as the platform does, and look after this one.")


def handle_errors(command: Command) -> Command:
    """Show errors of operators and of the database as one sentence instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except OperatorError as error:
            raise click.ClickException(str(error)) from error
        except SQLAlchemyError as error:
            _raise_database_problem(error)

    return wrapper


def _raise_database_problem(error: SQLAlchemyError) -> NoReturn:
    state = check_database(db.engine, services().migrations)
    if state == "not migrated":
        raise click.ClickException("The database has no tables yet: run flask db upgrade.") from error
    raise click.ClickException(f"The database cannot be used: {state}.") from error
