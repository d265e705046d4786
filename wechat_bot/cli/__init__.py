"""Commands of ``flask``, one module for each subject."""

from flask import Flask
from flask_migrate.cli import db as migrations

from . import (  # noqa: F401
    backups,
    evaluations,
    followers,
    health,
    inbox,
    knowledge,
    media,
    messages,
    personal_data,
    sample_data,
    scenarios,
    simulator,
    worker,
)
from .common import show_errors, wechat
from .operators import operator
from .search import search

for command in migrations.commands.values():
    command.callback = show_errors()(command.callback)


def init_app(app: Flask) -> None:
    """Add the commands to `app`. Those of ``flask wechat`` join the group when their modules are imported."""
    app.cli.add_command(wechat)
    app.cli.add_command(operator)
    app.cli.add_command(search)
