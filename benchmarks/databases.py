"""Temporary databases of the benchmarks, on SQLite and PostgreSQL."""

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
from sqlalchemy import Engine, text

from .processes import cpu_seconds
from .tools import Missing


class Database(Protocol):
    @property
    def url(self) -> str: ...

    def count(self, query: str) -> int:
        """Return the number that `query` selects."""

    def cpu_seconds(self) -> float | None:
        """CPU time of the database's processes; None when it has none, or they are not visible."""


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
    """A database on the server at `server_url`."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._name = f"wechat_bot_bench_{os.getpid()}_{secrets.token_hex(3)}"
        self._postmaster: int | None = None
        self.url = urlsplit(server_url)._replace(path=f"/{self._name}").geturl()

    def create(self) -> None:
        """Create the database.

        :raises Missing: when the server is not reachable.
        """
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
        """Return the process id of the parent of a backend; None when it is not visible."""
        with psycopg.connect(self.url) as connection:
            stat = Path(f"/proc/{connection.info.backend_pid}/stat")
            if not stat.exists() or "(postgres)" not in stat.read_text():
                return None
            return int(stat.read_text().rpartition(")")[2].split()[1])


@contextmanager
def postgres(server_url: str) -> Iterator[Postgres]:
    """Create an empty database, which is dropped at the end of the block.

    :raises Missing: when the server is not reachable.
    """
    database = Postgres(server_url)
    try:
        database.create()
        yield database
    finally:
        database.drop()


def maintain(engine: Engine) -> None:
    """Run the maintenance that the database does by itself some time later, unless that is switched off."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("VACUUM ANALYZE"))
        else:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
