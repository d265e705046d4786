"""Commands of ``flask``, one module for each group."""

from flask import Flask

from .wechat import wechat


def init_app(app: Flask) -> None:
    """Add the commands to `app`."""
    app.cli.add_command(wechat)
