"""The background worker: ``flask wechat worker``, which `make run` starts beside the server."""

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

from .services.health.heartbeats import heartbeat, is_leader, sign_off
from .services.inbox.recovery import recover
from .wiring import services

THREADS = 4
"""Number of jobs that run at once. They wait for the platform most of the time."""
PROJECTOR_SECONDS = 10
"""Time limit of one round of the projector, in seconds."""


def work(app: Flask) -> None:
    """Run jobs and periodic tasks until SIGTERM or SIGINT. After SIGTERM running jobs are completed."""
    bot = services(app)
    name = f"{socket.gethostname()}:{os.getpid()}"
    stopping = threading.Event()
    tasks: list[tuple[float, Callable[[], object]]] = [
        (10, lambda: heartbeat(bot.engine, name)),
        (10, lambda: recover(bot.engine, bot.outbox, datetime.now(UTC))),
        (1, lambda: bot.projector.catch_up_when_quiet(PROJECTOR_SECONDS)),
        (1, bot.archive.download_due),
        (10, bot.quotas.refresh),
        (10, lambda: synchronize_followers(app, name)),
    ]
    loops = [threading.Thread(target=_repeat, args=(app, stopping, *task)) for task in tasks]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # until the consumer sets its own handler
    bot.inbox.slow_handlers.start_monitor(receives_pushes=False)  # there may be no other process
    try:
        for loop in loops:
            loop.start()
        bot.jobs.consumer(THREADS).run()
    finally:
        stopping.set()
        for loop in loops:
            if loop.ident:
                loop.join()
        sign_off(bot.engine, name)


def synchronize_followers(app: Flask, name: str) -> None:
    """Start follower synchronizations that are due, and send pending updates to the platform.

    Only the leader of the workers does so.
    """
    bot = services(app)
    if is_leader(bot.engine, name):
        account_id = bot.account_id
        bot.followers.start_due(account_id, datetime.now(UTC))
        bot.write_back.send(account_id)


def _repeat(app: Flask, stopping: threading.Event, seconds: float, task: Callable[[], object]) -> None:
    """Run a task every so many `seconds`. Errors are logged and do not end the loop."""
    while not stopping.is_set():
        try:
            with app.app_context():
                task()
        except SQLAlchemyError as error:
            app.logger.warning("the database is in the way: %s", str(error).partition("\n")[0])
        except Exception:
            app.logger.exception("a round of the worker failed")
        stopping.wait(seconds)
