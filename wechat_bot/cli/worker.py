"""``flask wechat worker``: run the background jobs."""

from __future__ import annotations

from flask import current_app

from ..worker import work
from .common import wechat
from .database import prepare_database


@wechat.command()
def worker() -> None:
    """Do what is done in the background; `make run` starts one by itself. Ctrl-C ends it."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    prepare_database(app)
    work(app)
