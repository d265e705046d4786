"""The processes of the program: those that answer HTTP, and the background worker beside them."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from . import idle_connections, open_files
from .settings import Settings
from .supervisor import Supervisor
from .terminal import gettext as _

if TYPE_CHECKING:
    from flask import Flask

STOP_SECONDS = 30
"""Grace period for pushes, slow handlers and jobs when a process is told to end, in seconds."""
BACKLOG = 4096
"""Connections that wait to be accepted, and connections that one process keeps open."""
SWITCH_SECONDS = 0.05
"""Seconds after which a thread that waits for the interpreter asks for it. With Python's 5 ms, a thousand
threads that are woken at once wake up so often to ask that they do little else."""
ARENAS = "2"
"""Maximum number of heaps that glibc's ``malloc`` has in a process. Its default is eight for each core, and
memory that is free in one of them is not used by the threads of another."""
HEADER_SECONDS = 10
"""Seconds that a client has for the head of a request, from its first byte."""
MAX_HEAD = 64 << 10
"""Maximum size of the head of a request, in bytes."""


class PortBusy(Exception):
    """Another program already listens on the port."""


def bind(settings: Settings) -> socket.socket:
    """Return a socket that is bound to the address of the server and does not listen yet.

    :raises PortBusy: with a remedy, if the address cannot be had.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        problem = _(
            "不能监听 %(host)s:%(port)s（%(reason)s）：停掉占用它的程序，或者换一个端口，"
            "如 PORT=%(other)s make run。",
            host=settings.host,
            port=settings.port,
            reason=error.strerror,
            other=settings.port + 1,
        )
        raise PortBusy(problem) from error
    return listener


def serve(settings: Settings, listener: socket.socket, when_listening: Callable[[], object]) -> None:
    """Serve ``wsgi:app`` at the address that `listener` is bound to, with a worker process beside it.

    A signal ends it or replaces its processes, see `Supervisor`. `when_listening` is called as soon as
    connections are taken. The processes share the socket: connections that none of them has accepted wait
    while one is started or replaced.
    """
    open_files.raise_limit()
    os.environ.setdefault("MALLOC_ARENA_MAX", ARENAS)  # is read when a process starts
    web = {f"web-{n}": partial(_answer, settings, listener) for n in range(1, settings.web_workers + 1)}
    supervisor = Supervisor({**web, "jobs": _work}, STOP_SECONDS, when_listening)
    with _metrics_folder(settings):
        try:
            supervisor.run()
        finally:
            listener.close()  # or connections would wait for nobody
            supervisor.stop()


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


def _answer(settings: Settings, listener: socket.socket, when_ready: Callable[[], None]) -> None:
    """Answer requests until SIGTERM. Those that have been accepted and slow handlers are completed."""
    from granian._granian import SocketHolder
    from granian.constants import HTTPModes, Interfaces, RuntimeModes
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    from .wiring import services

    app = _load_app()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # also in the threads that are started now
    threading.Thread(target=_hear_signal, daemon=True).start()
    idle_connections.watch(settings.port)
    sys.setswitchinterval(SWITCH_SECONDS)
    server = MPServer(
        "wsgi:app",
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=MAX_HEAD),
        websockets=False,
        blocking_threads=settings.web_threads,  # each is started when it is needed
        backpressure=BACKLOG,
        runtime_mode=RuntimeModes.mt,
        log_level=LogLevels.error,  # it warns of many threads, but they only wait for slow handlers
    )
    listener.listen(BACKLOG)
    when_ready()
    # What granian's own server does in each of its processes, but with our socket: it would make one for
    # each process, and the connections that wait at a socket are lost with it.
    holder: Any = SocketHolder
    server._ssp, server._shd, server._sso = None, holder(listener.detach(), False, BACKLOG), None
    server._spawn_worker(0, server._spawn_wsgi_worker, lambda: app).inner.run()
    services(app).close()


def _hear_signal() -> None:
    """Wait for SIGTERM, which all other threads block, and do once what granian does about it.

    Otherwise the system might give it to any thread, and the main thread, in which Python runs handlers,
    would not notice: it waits without a limit. A third signal would make granian wait for ever.
    """
    signal.sigwait({signal.SIGTERM})
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler):
        handler(signal.SIGTERM, None)
    else:  # granian has not begun
        os._exit(0)


def _work(when_ready: Callable[[], None]) -> None:
    """Run background jobs until SIGTERM."""
    os.nice(10)  # answering pushes has priority
    app = _load_app()
    when_ready()
    import_module("wechat_bot.worker").work(app)


def _load_app() -> Flask:
    """Load the application, without looking for garbage: what is loaded lives as long as the process."""
    gc.disable()
    app: Flask = import_module("wsgi").app
    gc.freeze()
    gc.enable()
    return app
