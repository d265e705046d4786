"""What the commands share: the group ``flask wechat``, the actor in the audit log, the display of errors."""

from __future__ import annotations

import functools
import re
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

_ACTIVE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"
)
"""Control characters but tabs and line ends, marks of the direction of writing, and lone surrogates."""

wechat = AppGroup("wechat", help="Talk to a bot as the platform does, and look after this one.")


def inert(text: object) -> str:
    """Return a text of others so that it can do nothing to a terminal.

    Escape sequences could move the cursor, change the title or the clipboard; marks of the direction could
    show another text than the one that is there. Each such character is shown as ``\\u001b``, which JSON
    reads as the same character.
    """
    return _ACTIVE.sub(lambda match: f"\\u{ord(match[0]):04x}", str(text))


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
