"""Closes connections on which nothing has travelled for a while, for which the server has no limit."""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

IDLE_SECONDS = 60.0
"""Longer than any page takes. Browsers connect again; the platform waits for 5 seconds at most."""
PAUSE = 5.0
"""Seconds between two looks at the connections."""

_TCP_INFO = struct.Struct("=44xI4xI")
"""Milliseconds since data was last sent and received, in the ``tcp_info`` of Linux."""


def watch(port: int) -> None:
    """Start a thread that closes idle connections to `port`. Only Linux tells which they are."""
    if sys.platform == "linux":
        Thread(target=_watch, args=(port,), name="idle connections", daemon=True).start()


def close(port: int, seconds: float) -> None:
    """Close the connections of this process to its `port` that have been idle for so many seconds.

    A thread that waits for the rest of a body goes on, as if the client had closed the connection.
    """
    for connection in _connections(port):
        with connection, suppress(OSError):
            if _idle_seconds(connection) >= seconds:
                connection.shutdown(socket.SHUT_RDWR)


def _watch(port: int) -> None:
    while True:
        time.sleep(PAUSE)
        close(port, IDLE_SECONDS)


def _connections(port: int) -> Iterator[socket.socket]:
    """Duplicate the accepted connections, so that their file descriptors cannot be reused meanwhile."""
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if not path.is_socket():
                continue
            connection = socket.socket(fileno=os.dup(int(path.name)))
            if connection.family in {socket.AF_INET, socket.AF_INET6} and connection.getsockname()[1] == port:
                yield connection
            else:
                connection.close()


def _idle_seconds(connection: socket.socket) -> float:
    connection.getpeername()  # fails for the socket that listens
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    sent, received = _TCP_INFO.unpack(info)
    return min(float(sent), float(received)) / 1000
