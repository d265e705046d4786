"""How the database is opened: options of the engines for SQLite, PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection, ExceptionContext

from ..settings import Settings, SettingsError
from ..terminal import gettext as _

BUSY_TIMEOUT = 2.0
"""Seconds to wait for another writer. Shorter than the platform waits for the answer to a push."""

LOST_SECONDS = 3
"""Seconds after which a connection to PostgreSQL counts as lost whose other end acknowledges nothing."""
RECYCLE_SECONDS = 600
"""Age at which a connection to a server is replaced, so that the clocks are compared again."""
_READ_ONLY = {"25006", 1290, 1792, 1836}
"""Errors of a server that takes no writes: an SQLSTATE of PostgreSQL, and numbers of MariaDB and MySQL."""

WAL_PAGES = 8000
"""Pages of the SQLite write-ahead log (32 MB) after which it is copied into the database file."""


def prepare_folder(settings: Settings, folder: str) -> None:
    """Create `folder`, that of INSTANCE_PATH, if the database is a file of it.

    :raises SettingsError: if it cannot be created, or no file in it.
    """
    if not settings.database_is_in_instance:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = _(
            "%(folder)s 里写不了文件（%(reason)s）：改正它的权限，或者设置 INSTANCE_PATH。",
            folder=folder,
            reason=error.strerror,
        )
        raise SettingsError([problem]) from error


def engine_options(settings: Settings) -> dict[str, Any]:
    """Options of ``create_engine``; a lost or locked database is noticed within seconds."""
    url = settings.sqlalchemy_url
    options: dict[str, Any] = {
        "hide_parameters": True,  # from errors, and so from logs: they are what followers wrote
        "json_serializer": json.JSONEncoder(ensure_ascii=False).encode,
        "pool_size": settings.database_connections,
        "max_overflow": 0,
        "pool_timeout": BUSY_TIMEOUT,
        "pool_use_lifo": True,  # so that fewer are open: each one of SQLite has a cache
    }
    if url.startswith("sqlite"):
        factory = _sqlite_connection(settings.sqlite_synchronous)
        options["connect_args"] = {"timeout": BUSY_TIMEOUT, "factory": factory}
    elif url.startswith("postgresql"):
        milliseconds = int(BUSY_TIMEOUT * 1000)
        # To compile a statement, or to start processes for it, takes longer than any of ours does.
        plain = "-c jit=off -c max_parallel_workers_per_gather=0"
        # So that the server gives up the locks of a host that is gone, and not two hours later.
        lost = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2"
        options["pool_recycle"] = RECYCLE_SECONDS
        options["connect_args"] = {
            "connect_timeout": 2,
            "tcp_user_timeout": LOST_SECONDS * 1000,
            "keepalives_idle": LOST_SECONDS,
            "keepalives_interval": 1,
            "options": f"-c lock_timeout={milliseconds} -c timezone=utc {plain} {lost}",
        }
    else:
        options["pool_recycle"] = RECYCLE_SECONDS
        options["isolation_level"] = "READ COMMITTED"
        options["connect_args"] = {
            "connect_timeout": 2,
            "init_command": f"SET innodb_lock_wait_timeout={round(BUSY_TIMEOUT)}, time_zone='+00:00'",
        }
    return options


PAGE_TIMEOUT = 10
"""Seconds for which a page waits for a connection."""


def page_options(settings: Settings) -> dict[str, Any]:
    """Options of the engine for pages: operators would rather wait than read of an error."""
    return engine_options(settings) | {"pool_timeout": PAGE_TIMEOUT}


def _sqlite_connection(synchronous: str) -> type[sqlite3.Connection]:
    """A connection class that is durable, checks foreign keys and begins no transaction by itself."""

    class Opened(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.isolation_level = None
            self.execute("PRAGMA journal_mode=WAL")
            self.execute(f"PRAGMA synchronous={synchronous}")
            self.execute("PRAGMA foreign_keys=ON")
            self.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")

    return Opened


@event.listens_for(Engine, "begin")
def _begin(connection: Connection) -> None:
    """SQLite cannot turn a reading transaction into a writing one: writers say so when they begin."""
    if connection.dialect.name == "sqlite":
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@event.listens_for(Engine, "handle_error")
def _leave_standby(context: ExceptionContext) -> None:
    """Close the connections to a server that takes no writes any more: new ones may find its successor."""
    error = context.original_exception
    code = getattr(error, "sqlstate", None) or next(iter(error.args), None)
    if code in _READ_ONLY:
        context.is_disconnect = True


def create_reader(engine: Engine, settings: Settings) -> Engine:
    """An engine for single reads from the same database, which need no transactions."""
    options = engine_options(settings) | {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
    return create_engine(engine.url, **options)


def create_writer(engine: Engine, settings: Settings) -> Engine:
    """An engine for the inbox alone, which no page and no handler can leave without a connection.

    It has two: one for the statements of most pushes, and one for all other transactions and the queue.
    """
    return create_engine(engine.url, **engine_options(settings) | {"pool_size": 2})


SLOW_TIMEOUT = 60
"""Seconds for which a slow handler waits for a connection."""


def create_slow_engine(engine: Engine, settings: Settings) -> Engine:
    """An engine for slow handlers, of which hundreds may want one of its two connections at once."""
    options = engine_options(settings) | {"pool_size": 2, "pool_timeout": SLOW_TIMEOUT}
    return create_engine(engine.url, **options)
