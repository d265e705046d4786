"""A connection to a database server that can be cut and mended."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from sqlalchemy.engine import make_url

PORTS = {"postgresql": 5432, "mysql": 3306}


class Cable:
    """Leads to the database at `url`. It is mended at first."""

    def __init__(self, url: str) -> None:
        parts = make_url(url)
        self._target = str(parts.host), parts.port or PORTS[parts.get_backend_name()]
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self.url = parts.set(host="127.0.0.1", port=self._port).render_as_string(hide_password=False)
        """The URL of the database through this connection."""
        self._listen()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._listen()

    def cut(self) -> None:
        """Close all connections, and refuse new ones."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()

    def _listen(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
                self._ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=ends, daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
