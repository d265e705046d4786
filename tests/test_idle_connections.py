"""Connections on which nothing travels are closed."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.waiting import PATIENCE
from wechat_bot import idle_connections

Connection = tuple[int, socket.socket, socket.socket]


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A port of this process, and a connection to it with both ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(PATIENCE)
                client.settimeout(PATIENCE)
                yield port, client, accepted


def test_an_idle_connection_is_closed_for_both_sides(connection: Connection) -> None:
    port, client, accepted = connection
    idle_connections.close(port, 0)
    assert client.recv(1) == b""
    assert accepted.recv(1) == b""


def test_one_in_use_stays_open(connection: Connection) -> None:
    port, client, accepted = connection
    idle_connections.close(port, 60)
    client.sendall(b"a")
    assert accepted.recv(1) == b"a"


def test_connections_to_other_ports_stay_open(connection: Connection) -> None:
    port, client, accepted = connection
    idle_connections.close(port + 1, 0)
    client.sendall(b"a")
    assert accepted.recv(1) == b"a"


def test_the_server_goes_on_to_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        idle_connections.close(port, 0)
        with socket.create_connection(("127.0.0.1", port)):
            pass
