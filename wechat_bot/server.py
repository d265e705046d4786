"""The server: every option of it, in one place."""

from __future__ import annotations

import gc
import multiprocessing
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.process import BaseProcess
from tempfile import TemporaryDirectory
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.log import LogLevels

from .settings import Settings

STOP_SECONDS = 30
"""So long slow handlers and jobs may go on when the server is stopped."""
WORKER_PAUSE = 1.0
"""Seconds before the worker is started, and started again."""


class PortBusy(Exception):
    """Something else listens there."""


def check_port(settings: Settings) -> None:
    """PortBusy, with a remedy, when the server could not listen."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise PortBusy(
                f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}):"
                f" stop what uses it, or choose another port, e.g. PORT={settings.port + 1} make run."
            ) from error


def load_app(target: str) -> Any:
    """Load the application in a worker, which ends when the main process is gone.

    Otherwise workers of a killed server would go on to take a share of the connections.
    """
    _follow_parent()
    module, _, name = target.partition(":")
    app = getattr(import_module(module), name)
    gc.freeze()  # what lives as long as the process need not be looked through again and again
    return app


def _follow_parent() -> None:
    """Let the main process alone decide when this one ends: Ctrl-C reaches it no longer."""
    os.setpgrp()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def serve(settings: Settings) -> None:
    """Serve ``wsgi:app``, with a process for background jobs beside it, until a signal ends both.

    All processes begin as new ones, so that they share no thread or connection with this one.
    """
    multiprocessing.set_start_method("spawn", force=True)
    server = Granian(
        "wsgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=settings.web_workers,
        blocking_threads=settings.web_threads,
        runtime_mode=RuntimeModes.mt,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.error,  # it warns of many threads, which wait for slow handlers
    )
    with _counting_together(settings), _jobs_done():
        server.serve(target_loader=load_app)


@contextmanager
def _counting_together(settings: Settings) -> Iterator[None]:
    """One folder where all processes count what Prometheus reads, unless the environment names one."""
    name = "PROMETHEUS_MULTIPROC_DIR"
    if not settings.metrics_are_on or name in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="wechat_bot-metrics-") as folder:
        os.environ[name] = folder
        yield


@contextmanager
def _jobs_done() -> Iterator[None]:
    """A worker does jobs meanwhile; one that dies is replaced."""
    ended = threading.Event()
    current: list[BaseProcess] = []

    def keep_working() -> None:
        while not ended.wait(WORKER_PAUSE):  # also at the beginning: the server starts first
            process = multiprocessing.get_context("spawn").Process(target=_work, name="jobs")
            process.start()
            current[:] = [process]
            process.join()

    keeper = threading.Thread(target=keep_working)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        for process in current:
            process.terminate()
            process.join(STOP_SECONDS)
            process.kill()
        keeper.join()


def _work() -> None:
    _follow_parent()
    os.nice(10)  # pushes are answered first
    worker = import_module("wechat_bot.worker")
    worker.work(import_module("wsgi").app)
