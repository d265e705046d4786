"""Commands of ``flask``, one module for each group."""

from flask import Flask

from .export import export
from .operator import operator
from .search import search
from .seed import seed
from .wechat import wechat


def init_app(app: Flask) -> None:
    """Add the commands to `app`."""
    wechat.add_command(seed)
    wechat.add_command(export)
    app.cli.add_command(wechat)
    app.cli.add_command(operator)
    app.cli.add_command(search)
