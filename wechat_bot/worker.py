"""``flask wechat worker``, which `make run` starts beside the server: all that is done in the background."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from .extensions import db
from .services.accounts import ensure_account
from .services.health.heartbeats import heartbeat, is_leader, sign_off
from .services.inbox.recovery import recover
from .wiring import services

THREADS = 4
"""Jobs at once: they wait for the platform most of the time."""
STEP = 10
"""Seconds after which a digest that is far behind lets go."""


def work(app: Flask) -> None:
    """Do jobs until SIGTERM (what has begun is finished) or SIGINT."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    ended = threading.Event()
    duties: list[tuple[float, Callable[[], object]]] = [
        (10, lambda: heartbeat(db.engine, name)),
        (10, lambda: recover(db.engine, services(app).outbox, datetime.now(UTC))),
        (1, lambda: services(app).projector.catch_up(STEP)),
        (1, services(app).archive.fetch_due),
        (10, lambda: synchronize_followers(app, name)),
    ]
    loops = [threading.Thread(target=_repeat, args=(app, ended, *duty)) for duty in duties]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # until the consumer has its own handler
    try:
        for loop in loops:
            loop.start()
        services(app).jobs.consumer(THREADS).run()
    finally:
        ended.set()
        for loop in loops:
            if loop.ident:
                loop.join()
        with app.app_context():
            sign_off(db.engine, name)


def synchronize_followers(app: Flask, name: str) -> None:
    """Have the platform's list read when it is time, and tell what operators changed; one worker does."""
    if is_leader(db.engine, name):
        account_id = ensure_account(db.engine, services(app).settings.wechat_app_id)
        services(app).followers.keep_going(account_id, datetime.now(UTC))
        services(app).write_back.send(account_id)


def _repeat(app: Flask, ended: threading.Event, seconds: float, do: Callable[[], object]) -> None:
    """What no worker was woken for is found, and no error ends it."""
    while not ended.is_set():
        try:
            with app.app_context():
                do()
        except SQLAlchemyError as error:
            app.logger.warning("the database is in the way: %s", str(error).partition("\n")[0])
        except Exception:
            app.logger.exception("a round of the worker failed")
        ended.wait(seconds)
