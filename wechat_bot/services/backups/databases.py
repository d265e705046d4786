"""Copies of a whole database in one file, as its engine makes and reads them.

SQLite copies itself. PostgreSQL and MariaDB have programs for it. These get passwords by the environment or
by a file, because other users of the machine can read the command lines of processes.
"""

from __future__ import annotations

import gzip
import re
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar

from sqlalchemy import URL, Connection, Engine, inspect, text

from ...terminal import gettext as _
from . import BackupError, Progress
from .programs import find, input_of, output_of

_COPIED_PAGES = 1024
"""Pages of SQLite (4 MB) that are copied before progress is told."""
_CHUNK_SIZE = 1 << 20
_COMPRESSION = 1
"""The level of gzip: higher ones take several times as long for a file that is a little smaller."""


def tables(connection: Connection) -> list[str]:
    """Return the names of the tables, without those of the search index."""
    names = inspect(connection).get_table_names()
    return sorted(name for name in names if not re.fullmatch(r"\w+_search(_\w+)?|alembic_version", name))


def count_rows(connection: Connection) -> dict[str, int]:
    """Return the number of rows in each of the `tables`."""
    quote = connection.dialect.identifier_preparer.quote
    names = tables(connection)
    return {name: connection.scalar(text(f"SELECT count(*) FROM {quote(name)}")) or 0 for name in names}  # noqa: S608


class Database(ABC):
    """A database that is copied into a file, or replaced by the content of such a file."""

    member: ClassVar[str]
    """The name of the file in a backup."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @abstractmethod
    def dump(self, path: Path, progress: Progress) -> dict[str, int]:
        """Write a consistent copy to `path`. Return the number of rows that it has in each table.

        :raises BackupError: if that is not possible.
        """

    @abstractmethod
    def load(self, path: Path) -> None:
        """Replace the content of the database by that of the copy at `path`.

        :raises BackupError: if that is not possible.
        """


def database_of(engine: Engine) -> Database:
    return {"sqlite": SQLite, "postgresql": PostgreSQL}.get(kind_of(engine), MariaDB)(engine)


def kind_of(engine: Engine) -> str:
    """Return sqlite, postgresql, or mariadb, which MySQL counts as."""
    name = engine.dialect.name
    return "mariadb" if name == "mysql" else name


class SQLite(Database):
    member = "database.sqlite.gz"

    def dump(self, path: Path, progress: Progress) -> dict[str, int]:
        copy = path.with_suffix(".copy")
        with self._engine.connect() as connection:
            # A copy begins again after each write by others, unless its connection has begun to read.
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
            source: Any = connection.connection.driver_connection
            size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
            with closing(sqlite3.connect(copy)) as target:
                source.backup(target, pages=_COPIED_PAGES, progress=_pages(progress, size))
            rows = count_rows(connection)  # of the same snapshot
        _check_integrity(copy)
        with copy.open("rb") as plain, gzip.open(path, "wb", _COMPRESSION) as compressed:
            shutil.copyfileobj(plain, compressed, _CHUNK_SIZE)
        copy.unlink()
        return rows

    def load(self, path: Path) -> None:
        copy = path.with_suffix(".copy")
        with gzip.open(path, "rb") as compressed, copy.open("wb") as plain:
            shutil.copyfileobj(compressed, plain, _CHUNK_SIZE)
        # This is one transaction, also for other connections. To exchange the files would leave them with the
        # log of another database.
        with closing(sqlite3.connect(copy)) as source, closing(self._engine.raw_connection()) as connection:
            target: Any = connection.driver_connection
            source.backup(target)


def _check_integrity(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        [(result,)] = connection.execute("PRAGMA integrity_check(1)")
    if result != "ok":
        raise BackupError(_("数据库损坏了（%(problem)s）：保留以前的备份。", problem=result))


def _pages(progress: Progress, size: int) -> Any:
    """Return a function that SQLite calls after each step, with the pages that remain."""
    before = 0

    def tell(status: int, remaining: int, total: int) -> None:
        nonlocal before
        progress((total - remaining - before) * size)
        before = total - remaining

    return tell


class PostgreSQL(Database):
    member = "database.pgdump"

    def dump(self, path: Path, progress: Progress) -> dict[str, int]:
        with (
            self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
            path.open("wb") as file,
        ):
            # pg_dump reads the snapshot of this transaction, in which the rows are counted.
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
            rows = count_rows(connection)
            program = self._program("pg_dump", connection)
            options = "--format=custom", f"--compress={_COMPRESSION}", f"--snapshot={snapshot}"
            with output_of([program, *options, self._dbname], self._environment) as output:
                for chunk in iter(partial(output.read, _CHUNK_SIZE), b""):
                    file.write(chunk)
                    progress(len(chunk))
        return rows

    def load(self, path: Path) -> None:
        with self._engine.connect() as connection:
            restore, psql = self._program("pg_restore", connection), self._program("psql", connection)
            begin = f"BEGIN; {_drop_statement(connection)}\n".encode()
        options = "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"
        with input_of([psql, *options, self._dbname], self._environment) as psql_input:
            psql_input.write(begin)
            with output_of([restore, "--no-owner", "--no-privileges", "--file=-", str(path)]) as script:
                shutil.copyfileobj(script, psql_input, _CHUNK_SIZE)
            psql_input.write(b"COMMIT;\n")  # without it everything stays as it was

    @property
    def _dbname(self) -> str:
        """The address of the database for PostgreSQL's own programs, without the password."""
        url = self._engine.url
        plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
        return f"--dbname={plain.render_as_string()}"

    @property
    def _environment(self) -> dict[str, str]:
        password = self._engine.url.password
        return {"PGPASSWORD": str(password)} if password else {}

    def _program(self, name: str, connection: Connection) -> str:
        return find((name,), r"\(PostgreSQL\) (\d+)", _version(connection)[:1], "postgresql-client")


class MariaDB(Database):
    member = "database.sql.gz"

    def dump(self, path: Path, progress: Progress) -> dict[str, int]:
        with self._engine.connect() as connection:
            rows = dict.fromkeys(tables(connection), 0)
        program = self._program("mariadb-dump", "mysqldump")
        # A statement for each row, so that the rows of the snapshot can be counted.
        options = "--single-transaction", "--quick", "--no-tablespaces", "--hex-blob", "--skip-comments"
        statements = "--skip-extended-insert", "--no-autocommit", "--skip-add-locks"
        with self._login() as login, gzip.open(path, "wb", _COMPRESSION) as file:
            command = [program, login, *options, *statements, self._name]
            with output_of(command) as output:
                for line in output:
                    if (match := _INSERT.match(line)) and (name := match[1].decode()) in rows:
                        rows[name] += 1
                    file.write(line)
                    progress(len(line))
        return rows

    def load(self, path: Path) -> None:
        with self._engine.connect() as connection:
            drop = f"SET foreign_key_checks = 0; {_drop_statement(connection)}\n".encode()
        program = self._program("mariadb", "mysql")
        with self._login() as login, gzip.open(path, "rb") as script:
            command = [program, login, "--default-character-set=utf8mb4", self._name]
            with input_of(command) as client_input:
                client_input.write(drop)
                shutil.copyfileobj(script, client_input, _CHUNK_SIZE)

    @property
    def _name(self) -> str:
        return self._engine.url.database or ""

    def _program(self, *names: str) -> str:
        """Return the first of the programs that there is: MySQL calls them otherwise than MariaDB."""
        with self._engine.connect() as connection:
            return find(names, r"(\d+)\.(\d+)\.\d+", _version(connection)[:2], "mariadb-client")

    @contextmanager
    def _login(self) -> Iterator[str]:
        """Provide the option that names a file with the address and the password."""
        url = self._engine.url
        values = {
            "host": url.host,
            "port": url.port,
            "user": url.username,
            "password": url.password,
            "socket": url.query.get("unix_socket"),
            "ssl-ca": url.query.get("ssl_ca"),
            "default-character-set": "utf8mb4",
        }
        lines = [f"{name} = {_quoted(str(value))}" for name, value in values.items() if value]
        with NamedTemporaryFile("w", suffix=".cnf") as file:  # which only its owner may read
            file.write("\n".join(["[client]", *lines, ""]))
            file.flush()
            yield f"--defaults-file={file.name}"


_INSERT = re.compile(rb"INSERT INTO `(\w+)` VALUES ")


def _version(connection: Connection) -> tuple[int, ...]:
    """Return the version of the server."""
    return tuple(part for part in connection.dialect.server_version_info or () if isinstance(part, int))


def _quoted(value: str) -> str:
    """Return a value for an option file of MariaDB."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _drop_statement(connection: Connection) -> str:
    names = inspect(connection).get_table_names()
    quote = connection.dialect.identifier_preparer.quote
    return f"DROP TABLE {', '.join(map(quote, names))} CASCADE;" if names else ""
