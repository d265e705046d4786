"""Servers that are measured in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wechat_bot.wechat.credentials import Mode

from . import load, traffic
from .databases import Database
from .load import Load
from .processes import cpu_seconds, free_port, listening, settle


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of the account for one mode."""

    name: str
    mode: Mode
    command: Callable[[int], Sequence[str]]
    """Returns the command line for a port."""
    environ: Mapping[str, str]
    directory: Path
    """Working directory and place of the log."""
    database: Database | None = None
    recorded: str = ""
    """The query that counts the incoming messages in the database."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Results of one turn of a server."""

    load: Load
    server_us: float
    """CPU time of all its processes, in microseconds for each request."""
    database_us: float | None
    """CPU time of the database's processes; None if it has none."""
    rows: int | None
    """Messages recorded during the turn; None if the server does not record."""

    @property
    def cpu_us(self) -> float:
        return self.server_us + (self.database_us or 0.0)


@dataclass(frozen=True)
class Running:
    """A server that listens, and has answered a sample of pushes correctly."""

    server: Server
    port: int
    pid: int

    def turn(self, requests: Path, *, connections: int, seconds: int) -> Turn:
        rows, server, database = self._rows(), cpu_seconds(self.pid), self._database_seconds()
        result = load.replay(self.port, requests, connections=connections, seconds=seconds)
        us_per_request = 1e6 / max(1, result.requests)
        server_us = (cpu_seconds(self.pid) - server) * us_per_request
        database_us = (
            None if database is None else ((self._database_seconds() or 0.0) - database) * us_per_request
        )
        written = None if rows is None else (self._rows() or 0) - rows
        return Turn(load=result, server_us=server_us, database_us=database_us, rows=written)

    def _rows(self) -> int | None:
        database = self.server.database
        return database.count(self.server.recorded) if database and self.server.recorded else None

    def _database_seconds(self) -> float | None:
        return self.server.database.cpu_seconds() if self.server.database else None


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """Start `server` on a free port, wait until all its processes run, and stop it at the end of the block.

    :raises NotStarted: when it does not listen, or stays busy.
    :raises WrongAnswer: when it answers pushes incorrectly.
    """
    port = free_port()
    started = listening(server.command(port), port, directory=server.directory, environ=server.environ)
    with started as pid:
        traffic.check(f"http://127.0.0.1:{port}/wechat", server.mode)
        settle(pid)
        yield Running(server, port, pid)
