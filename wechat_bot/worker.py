"""The background worker: ``flask wechat worker``, which `make run` starts beside the server."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from .database.clock import database_now
from .services.conversations import handover
from .services.health.heartbeats import heartbeat, is_leader, sign_off
from .services.inbox.recovery import recover
from .services.media.discarding import delete_discarded
from .services.messages import partitions
from .services.personal_data.retention import apply_policy
from .wiring import services

THREADS = 4
"""Number of jobs that run at once. They wait for the platform most of the time."""
PROJECTOR_SECONDS = 10
"""Time limit of one round of the projector, in seconds."""

QUESTIONS_SECONDS = 2
"""Time limit of one round of grouping unanswered questions, in seconds."""
EMBEDDING_SECONDS = 10
"""Time limit of one round of embedding the knowledge base, in seconds."""
DELETION_SECONDS = 10
"""Time limit of one round of an erasure, or of deleting what is old, in seconds."""


def work(app: Flask) -> None:
    """Run jobs and periodic tasks until SIGTERM or SIGINT. After SIGTERM running jobs are completed."""
    bot = services(app)
    name = f"{socket.gethostname()}:{os.getpid()}"
    stopping = threading.Event()
    tasks: list[tuple[float, Callable[[], object]]] = [
        (10, lambda: heartbeat(bot.engine, name)),
        (10, lambda: recover(bot.engine, bot.outbox, database_now())),
        (1, lambda: bot.projector.catch_up_when_quiet(PROJECTOR_SECONDS)),
        (10, lambda: bot.questions.catch_up(QUESTIONS_SECONDS)),
        (10, lambda: bot.questions.delete_rarest(bot.account_id)),
        (1, bot.archive.download_due),
        (10, bot.quotas.refresh),
        (10, lambda: handover.end_expired(bot.engine, bot.account_id, database_now())),
        (10, lambda: synchronize_followers(app, name)),
        (10, lambda: care_for_library(app, name)),
        (60, lambda: begin_month(app, name)),
        (60, lambda: bot.evaluations.resume_interrupted(database_now())),
        (10, lambda: bot.menus.publish_due(bot.account_id, database_now())),
        (5, lambda: send_alerts(app, name)),
        (5, lambda: embed_knowledge(app, name)),
        (5, lambda: erase_followers(app, name)),
        (600, lambda: delete_old_data(app, name)),
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
        with suppress(SQLAlchemyError):  # without its heartbeats it counts as dead in a minute
            sign_off(bot.engine, name)
        bot.close()  # ends the thread that watches slow handlers, which would keep the process alive


def synchronize_followers(app: Flask, name: str) -> None:
    """Start follower synchronizations that are due, and send pending updates to the platform.

    Only the leader of the workers does so.
    """
    bot = services(app)
    if is_leader(bot.engine, name):
        account_id = bot.account_id
        bot.followers.start_due(account_id, database_now())
        bot.write_back.send(account_id)


def begin_month(app: Flask, name: str) -> None:
    """Prepare the partitions of the message log, if it has any. Only the leader of the workers does so."""
    bot = services(app)
    if is_leader(bot.engine, name):
        partitions.advance(bot.engine, database_now())


def care_for_library(app: Flask, name: str) -> None:
    """Upload the files of the library that are in use, before the platform's copies expire, and continue
    imports of material and of articles that were interrupted.

    Only the leader of the workers does so.
    """
    bot = services(app)
    if is_leader(bot.engine, name):
        bot.library.renew(bot.account_id, database_now())
        bot.materials.runs.resume_interrupted(bot.account_id, database_now())
        bot.articles.runs.resume_interrupted(bot.account_id, database_now())


def send_alerts(app: Flask, name: str) -> None:
    """Send the alerts that are due. Only the leader of the workers does so; two would not send one twice."""
    bot = services(app)
    if is_leader(bot.engine, name):
        bot.alerts.tell_due(bot.account_id, database_now())


def embed_knowledge(app: Flask, name: str) -> None:
    """Embed what questions are answered from. Only the leader of the workers does so."""
    bot = services(app)
    if is_leader(bot.engine, name):
        bot.vectorizer.catch_up(bot.account_id, EMBEDDING_SECONDS)


def erase_followers(app: Flask, name: str) -> None:
    """Carry out erasures of followers. Only the leader of the workers does so, but others might."""
    bot = services(app)
    if is_leader(bot.engine, name):
        bot.erasures.work(bot.account_id, DELETION_SECONDS)


def delete_old_data(app: Flask, name: str) -> None:
    """Delete what the account no longer keeps, and files that nothing names any more.

    Only the leader of the workers does so.
    """
    bot, now = services(app), database_now()
    if is_leader(bot.engine, name):
        apply_policy(bot.engine, bot.account_id, now, DELETION_SECONDS)
        partitions.drop_empty(bot.engine)
        delete_discarded(bot.engine, bot.archive.store, now)


def _repeat(app: Flask, stopping: threading.Event, seconds: float, task: Callable[[], object]) -> None:
    """Run a task every so many `seconds`. Errors are logged and do not end the loop."""
    while not stopping.is_set():
        try:
            with app.app_context():
                # Clocks are compared over the first connection of a process: no task reads the time before.
                services(app).engine.connect().close()
                task()
        except SQLAlchemyError as error:
            app.logger.warning("the database is in the way: %s", str(error).partition("\n")[0])
        except Exception:
            app.logger.exception("a round of the worker failed")
        stopping.wait(seconds)
