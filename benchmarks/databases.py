"""Databases of their own for what is measured, dropped at the end."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import psycopg

from .processes import cpu_seconds
from .tools import Missing


class Database(Protocol):
    @property
    def url(self) -> str: ...

    def count(self, query: str) -> int:
        """The number that `query` returns."""

    def cpu_seconds(self) -> float | None:
        """CPU time of the processes of the database; None when it has none, or they cannot be seen."""


class SQLite:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def count(self, query: str) -> int:
        with closing(sqlite3.connect(self.path, timeout=10)) as connection:
            return int(connection.execute(query).fetchone()[0])

    def cpu_seconds(self) -> None:
        return None


class Postgres:
    """A database of the server at `server_url`."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._name = f"wechat_bot_bench_{os.getpid()}_{secrets.token_hex(3)}"
        self._postmaster: int | None = None
        self.url = urlsplit(server_url)._replace(path=f"/{self._name}").geturl()

    def create(self) -> None:
        """Missing when the server is not reached."""
        self._execute(f'CREATE DATABASE "{self._name}"')
        self._postmaster = self._find_postmaster()

    def count(self, query: str) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(query.encode()).fetchone()
            assert row
            return int(row[0])

    def cpu_seconds(self) -> float | None:
        return cpu_seconds(self._postmaster) if self._postmaster else None

    def drop(self) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        try:
            with psycopg.connect(self._server_url, autocommit=True, connect_timeout=3) as connection:
                connection.execute(statement.encode())
        except psycopg.OperationalError as error:
            raise Missing("PostgreSQL is not reached: start it, or name it with --postgres") from error

    def _find_postmaster(self) -> int | None:
        """The parent of a backend, if that is seen from here."""
        with psycopg.connect(self.url) as connection:
            stat = Path(f"/proc/{connection.info.backend_pid}/stat")
            if not stat.exists() or "(postgres)" not in stat.read_text():
                return None
            return int(stat.read_text().rpartition(")")[2].split()[1])


@contextmanager
def postgres(server_url: str) -> Iterator[Postgres]:
    """A new, empty database of a server, until the block ends; Missing."""
    database = Postgres(server_url)
    try:
        database.create()
        yield database
    finally:
        database.drop()
