"""What the commands share: the group ``flask wechat``, the actor in the audit log, the display of errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from ..extensions import db
from ..services.audit import Actor
from ..services.health.status import check_schema
from ..services.operators.management import OperatorError
from ..terminal import gettext as _
from ..terminal import terminal_language
from ..wechat.errcodes import BilingualText
from ..wiring import services

ACTOR = Actor(None, "command line", "")
"""The actor of everything that commands do, in the audit log."""

_ACTIVE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"
)
"""Control characters but tabs and line ends, marks of the direction of writing, and lone surrogates."""


def inert(text: object) -> str:
    """Return a text of others so that it can do nothing to a terminal.

    Escape sequences could move the cursor, change the title or the clipboard; marks of the direction could
    show another text than the one that is there. Each such character is shown as ``\\u001b``, which JSON
    reads as the same character.
    """
    return _ACTIVE.sub(lambda match: f"\\u{ord(match[0]):04x}", str(text))


def in_own_language(text: BilingualText) -> str:
    """Return a text in the language of the terminal."""
    return text.zh if terminal_language() == "zh" else text.en


def database_problem(error: SQLAlchemyError) -> str:
    """Return an error of the database as one sentence with a remedy."""
    reason = str(error).partition("\n")[0]
    return _("数据库用不了（%(reason)s）：改正 DATABASE_URL，或者启动数据库。", reason=reason)


def _schema_or_database_problem(error: SQLAlchemyError) -> str:
    if check_schema(db.engine, services().migrations) == "not migrated":
        return _("数据库里没有表，或者表太旧：运行 flask db upgrade。")
    return database_problem(error)


@contextmanager
def show_errors(explain: Callable[[SQLAlchemyError], str] = database_problem) -> Iterator[None]:
    """Show errors of operators, of the database and of files as one sentence instead of a traceback."""
    try:
        yield
    except OperatorError as error:
        raise click.ClickException(str(error)) from error
    except SQLAlchemyError as error:
        raise click.ClickException(explain(error)) from error
    except OSError as error:
        if not error.filename:
            raise
        raise click.FileError(str(error.filename), error.strerror) from error


class _Command(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        with show_errors(_schema_or_database_problem):
            return super().invoke(ctx)


class Commands(AppGroup):
    """A group of commands that show their errors, see `show_errors`."""

    command_class = _Command


wechat = Commands("wechat", help="Talk to a bot as the platform does, and look after this one.")
