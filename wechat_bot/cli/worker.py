"""``flask wechat worker``."""

from __future__ import annotations

import click
from flask import current_app

from ..worker import work


@click.command()
def worker() -> None:
    """Do what is done in the background; `make run` starts one by itself. Ctrl-C ends it."""
    work(current_app._get_current_object())  # type: ignore[attr-defined]
