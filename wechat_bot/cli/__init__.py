"""Commands of ``flask``, one module for each group."""

from flask import Flask

from .followers import sync
from .health import doctor
from .media import media
from .messages import export
from .operators import operator
from .sample_data import seed
from .search import search
from .simulator import wechat
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
