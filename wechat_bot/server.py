"""The HTTP server with its options, and the background worker process beside it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.process import BaseProcess
from tempfile import TemporaryDirectory
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels

from . import idle_connections, open_files
from .settings import Settings
from .terminal import gettext as _

STOP_SECONDS = 30
"""Grace period for slow handlers and jobs when the server stops, in seconds."""
BACKLOG = 4096
"""Connections that wait to be accepted, and connections that one process keeps open."""
SWITCH_SECONDS = 0.05
"""Seconds after which a thread that waits for the interpreter asks for it. With Python's 5 ms, a thousand
threads that are woken at once wake up so often to ask that they do little else."""
HEADER_SECONDS = 10
"""Seconds that a client has for the head of a request, from its first byte."""
MAX_HEAD = 64 << 10
"""Maximum size of the head of a request, in bytes."""
PROBE_PAUSE = 0.1
"""Seconds between two attempts to reach the server that is being started."""
WORKER_PAUSE = 1.0
"""Seconds before the worker process is started, and before it is restarted."""


class PortBusy(Exception):
    """Another program already listens on the port."""


def check_port(settings: Settings) -> None:
    """Check that the server can listen on its address.

    :raises PortBusy: with a remedy, if it cannot.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            problem = _(
                "不能监听 %(host)s:%(port)s（%(reason)s）：停掉占用它的程序，或者换一个端口，"
                "如 PORT=%(other)s make run。",
                host=settings.host,
                port=settings.port,
                reason=error.strerror,
                other=settings.port + 1,
            )
            raise PortBusy(problem) from error


def load_app(target: str) -> Any:
    """Load the application in a server process, which ends when the main process is gone.

    Otherwise the processes of a killed server would continue to accept a share of the connections.
    """
    _follow_parent()  # before the imports that take time
    from .wiring import services

    module, _, name = target.partition(":")
    app = getattr(import_module(module), name)
    idle_connections.watch(services(app).settings.port)
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()  # garbage collection skips objects that live as long as the process
    return app


def _follow_parent() -> None:
    """End with the main process only. Ctrl-C does not reach this process, which has its own group."""
    os.setpgrp()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def serve(settings: Settings, when_listening: Callable[[], object]) -> None:
    """Serve ``wsgi:app``, with a worker process beside it, until a signal ends both.

    `when_listening` is called as soon as the server takes connections.
    All processes are spawned, so that they share no thread or connection with this one.
    """
    multiprocessing.set_start_method("spawn", force=True)
    open_files.raise_limit()
    server = Granian(
        "wsgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=MAX_HEAD),
        websockets=False,
        workers=settings.web_workers,
        blocking_threads=settings.web_threads,  # each is started when it is needed
        backlog=BACKLOG,
        backpressure=BACKLOG,
        runtime_mode=RuntimeModes.mt,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.error,  # it warns of many threads, but they only wait for slow handlers
    )
    address = settings.host, settings.port
    threading.Thread(target=_wait_for_server, args=(address, when_listening), daemon=True).start()
    with _metrics_folder(settings), _background_worker():
        server.serve(target_loader=load_app)


def _wait_for_server(address: tuple[str, int], when_listening: Callable[[], object]) -> None:
    while True:
        try:
            socket.create_connection(address).close()
        except OSError:
            time.sleep(PROBE_PAUSE)
        else:
            when_listening()
            return


@contextmanager
def _metrics_folder(settings: Settings) -> Iterator[None]:
    """Provide a folder where all processes keep their metrics, unless the environment names one."""
    name = "PROMETHEUS_MULTIPROC_DIR"
    if not settings.metrics_are_on or name in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="wechat_bot-metrics-") as folder:
        os.environ[name] = folder
        yield


@contextmanager
def _background_worker() -> Iterator[None]:
    """Run a worker process inside the context. A worker that dies is replaced."""
    stopping = threading.Event()
    current: list[BaseProcess] = []

    def supervise() -> None:
        while not stopping.wait(WORKER_PAUSE):  # also at first, so that the server starts first
            process = multiprocessing.get_context("spawn").Process(target=_run_worker, name="jobs")
            process.start()
            current[:] = [process]
            process.join()

    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    try:
        yield
    finally:
        stopping.set()
        for process in current:
            process.terminate()
            process.join(STOP_SECONDS)
            process.kill()
        supervisor.join()


def _run_worker() -> None:
    _follow_parent()
    os.nice(10)  # answering pushes has priority
    worker = import_module("wechat_bot.worker")
    worker.work(import_module("wsgi").app)
