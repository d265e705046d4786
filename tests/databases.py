"""Databases for tests: new SQLite files, and databases on servers, which are emptied and reused."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from tests.needs import lacking
from wechat_bot.models import MessageLog

SERVERS = {
    "postgresql": os.environ.get("TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1/postgres"),
    "mariadb": os.environ.get("TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1/mysql"),
}
"""The servers on which databases for tests are created and dropped."""

DATABASES = {"postgresql": "SELECT datname FROM pg_database", "mariadb": "SHOW DATABASES"}
"""How each server lists its databases."""

PREFIX = f"test_{uuid.getnode():x}_"
"""Begins the names of databases that this machine creates. The process id of their user follows."""

TABLES = {*MessageLog.metadata.tables, "message_search", "follower_search", "alembic_version"}


class Databases:
    """Creates databases, and reuses them after emptying, because a migration takes a second."""

    def __init__(self) -> None:
        self._spare: dict[str, list[str]] = {}

    @contextmanager
    def borrow(self, kind: str, folder: Path) -> Iterator[str]:
        """Yield the URL of an empty database. An unreachable server skips the test, or fails it in CI."""
        if kind == "sqlite":
            yield f"sqlite:///{folder}/bot.db"
            return
        if kind not in self._spare:
            _drop_leftovers(kind)
        spare = self._spare.setdefault(kind, [])
        # A used database is emptied now: when it was given back, its application may still have written.
        while spare and not _empty(spare[-1]):
            _drop(kind, make_url(spare.pop()).database)
        url = spare.pop() if spare else _create(kind)
        yield url
        spare.append(url)

    def close(self) -> None:
        for kind, urls in self._spare.items():
            for url in urls:
                _drop(kind, make_url(url).database)


def _drop_leftovers(kind: str) -> None:
    """Drop the databases of runs that were killed on this machine."""
    try:
        names = _administer(kind, DATABASES[kind])
    except SQLAlchemyError:
        lacking(f"{make_url(SERVERS[kind])!r} does not answer")
    for name in names:
        if name.startswith(PREFIX) and not _is_running(int(name.removeprefix(PREFIX).split("_")[0])):
            with suppress(SQLAlchemyError):  # another run drops it
                _drop(kind, name)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _create(kind: str) -> str:
    name = f"{PREFIX}{os.getpid()}_{secrets.token_hex(6)}"
    # Nobody can be connected to template0; to the usual template somebody may be, who then is in the way.
    template = " TEMPLATE template0" if kind == "postgresql" else ""
    _administer(kind, f"CREATE DATABASE {name}{template}")
    return make_url(SERVERS[kind]).set(database=name).render_as_string(hide_password=False)


def _drop(kind: str, name: str | None) -> None:
    force = " WITH (FORCE)" if kind == "postgresql" else ""
    _administer(kind, f"DROP DATABASE {name}{force}")


def _administer(kind: str, statement: str) -> list[str]:
    """Execute a statement on a server, and return the first column of its rows."""
    engine = create_engine(SERVERS[kind], isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            result = connection.execute(text(statement))
            return list(result.scalars()) if result.returns_rows else []
    finally:
        engine.dispose()


def _empty(url: str) -> bool:
    """Delete all rows; False if a test has changed tables or settings of the database."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            if set(inspect(connection).get_table_names()) != TABLES:
                return False
            kind = "postgresql" if connection.dialect.name == "postgresql" else "mariadb"
            if connection.scalar(text(_CHANGED[kind])):
                return False
            if kind == "postgresql":
                _empty_postgresql(connection)
            else:
                _empty_mariadb(connection)
            connection.execute(text("UPDATE progress SET watermark = 0, gaps = '[]'"))
    except SQLAlchemyError:
        return False
    finally:
        engine.dispose()
    return True


_CHANGED = {
    "postgresql": "SELECT count(*) > 0 FROM pg_db_role_setting "
    "JOIN pg_database ON setdatabase = pg_database.oid WHERE datname = current_database()",
    "mariadb": "SELECT @@character_set_database <> @@character_set_server",
}
"""Whether a test has changed settings of a database."""
_EMPTIED = sorted(TABLES - {"alembic_version", "progress"})


def _empty_postgresql(connection: Connection) -> None:
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    deletes = "".join(f"DELETE FROM {table};" for table in _EMPTIED)
    sequences = "PERFORM setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S';"
    body = f"SET LOCAL session_replication_role = replica; {deletes} {sequences}"
    connection.execute(text(f"DO $$ BEGIN {body} END $$"))


def _empty_mariadb(connection: Connection) -> None:
    connection.execute(
        text("SET foreign_key_checks = 0, lock_wait_timeout = 2, innodb_lock_wait_timeout = 2")
    )
    counted = " UNION ALL ".join(f"SELECT '{t}', EXISTS (SELECT 1 FROM {t})" for t in _EMPTIED)
    for table, used in connection.execute(text(counted)).all():
        if used:
            connection.execute(text(f"TRUNCATE TABLE {table}"))
