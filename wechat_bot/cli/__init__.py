"""Commands of ``flask``, one module for each group."""

from flask import Flask

from .doctor import doctor
from .export import export
from .media import media
from .operator import operator
from .search import search
from .seed import seed
from .sync import sync
from .wechat import wechat
from .worker import worker


def init_app(app: Flask) -> None:
    """Add the commands to `app`."""
    wechat.add_command(seed)
    wechat.add_command(export)
    wechat.add_command(media)
    wechat.add_command(doctor)
    wechat.add_command(sync)
    wechat.add_command(worker)
    app.cli.add_command(wechat)
    app.cli.add_command(operator)
    app.cli.add_command(search)
