"""Ports for programs that are started by tests."""

from __future__ import annotations

import secrets
import socket


def free_port() -> int:
    """Return a port of this machine on which nobody listens.

    It is below those that systems give to connections, so nobody gets it before the program listens on it.
    """
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
