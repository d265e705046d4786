"""The database and how it is opened, written to and retried."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase

from .settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

BUSY_TIMEOUT = 2.0
"""Seconds to wait for another writer; less than a push may take."""


WAL_PAGES = 8000
"""After so many (32 MB), SQLite moves what was written into the database file, while pushes wait."""


class Model(DeclarativeBase):
    """Base of the tables; names of constraints are the same in every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Model, disable_autonaming=True)
migrate = Migrate(render_as_batch=True, compare_type=True)
csrf = CSRFProtect()
login = LoginManager()
login.session_protection = None  # sessions are rows, see services.sign_in


class Sessions(SecureCookieSessionInterface):
    """Flask's sessions, at no cost for requests that bring no cookie, as those of the platform."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def init_app(app: Flask) -> None:
    """Bind the extensions to `app`."""
    app.session_interface = Sessions()
    db.init_app(app)
    shipped = Path(__file__).parent / "_migrations"  # in a wheel; beside the package in a checkout
    directory = shipped if shipped.is_dir() else Path(app.root_path).parent / "migrations"
    migrate.init_app(app, db, directory=str(directory))


def connect_console(app: Flask) -> None:
    """Bind what only the console needs: who is signed in, and tokens against forged requests."""
    app.config.update(
        PERMANENT_SESSION_LIFETIME=timedelta(days=14),
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_CHECK_DEFAULT=False,  # the console's guard does, see blueprints/admin/access.py
        WTF_CSRF_TIME_LIMIT=None,  # a token is good as long as the session
    )
    csrf.init_app(app)
    # init_app would bring its "remember me" cookie, which looks into the session after every request.
    app.login_manager = login  # type: ignore[attr-defined]


def engine_options(settings: Settings) -> dict[str, Any]:
    """Options of ``create_engine``; a lost or locked database is noticed within seconds."""
    url = settings.sqlalchemy_url
    options: dict[str, Any] = {
        "hide_parameters": True,  # from errors, and so from logs: they are what followers wrote
        "json_serializer": json.JSONEncoder(ensure_ascii=False).encode,
        "pool_size": settings.database_connections,
        "max_overflow": 1,  # the one that the recorder keeps
        "pool_timeout": BUSY_TIMEOUT,
    }
    if url.startswith("sqlite"):
        factory = _sqlite_connection(settings.sqlite_synchronous)
        options["connect_args"] = {"timeout": BUSY_TIMEOUT, "factory": factory}
    elif url.startswith("postgresql"):
        milliseconds = int(BUSY_TIMEOUT * 1000)
        # To compile a statement, or to start processes for it, takes longer than any of ours does.
        plain = "-c jit=off -c max_parallel_workers_per_gather=0"
        options["connect_args"] = {
            "connect_timeout": 2,
            "options": f"-c lock_timeout={milliseconds} -c timezone=utc {plain}",
        }
    else:
        options["isolation_level"] = "READ COMMITTED"
        options["connect_args"] = {
            "connect_timeout": 2,
            "init_command": f"SET innodb_lock_wait_timeout={round(BUSY_TIMEOUT)}, time_zone='+00:00'",
        }
    return options


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


def create_reader(engine: Engine, settings: Settings) -> Engine:
    """An engine for single reads from the same database, which need no transactions."""
    options = engine_options(settings) | {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
    return create_engine(engine.url, **options)


@contextmanager
def sqlite_write_lock(engine: Engine) -> Iterator[None]:
    """Wait until no other process writes to the same SQLite file; other databases queue by themselves.

    SQLite looks again and again, with ever longer pauses, and lets in who happens to look.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    file = os.open(f"{engine.url.database}-turn", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)
"""Whether this thread is within a `transaction`."""


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A writing transaction: committed at the end, rolled back on an error.

    No network inside, and no other transaction (RuntimeError).
    """
    if in_transaction.get():
        raise RuntimeError("transactions do not nest")
    token = in_transaction.set(True)
    try:
        writer = engine.execution_options(writes=True)
        with sqlite_write_lock(engine), writer.begin() as connection:
            yield connection
    finally:
        in_transaction.reset(token)


def retry_conflicts(function: Callable[P, R]) -> Callable[P, R]:
    """Run a use case again when the database could not decide a race otherwise, or was lost for a moment.

    For functions that are one transaction. The last error is raised when `attempts` were not enough.
    """

    attempts = 5

    @functools.wraps(function)
    def retried(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(1, attempts + 1):
            try:
                return function(*args, **kwargs)
            except DBAPIError as error:
                if attempt == attempts or not (is_transient(error) or isinstance(error, IntegrityError)):
                    raise
                time.sleep(random.uniform(0, 0.02) * 2**attempt)  # noqa: S311
        raise AssertionError("unreachable")

    return retried


def is_transient(error: DBAPIError) -> bool:
    """Whether the database was in the way, lost or restarted: it may take the same transaction later."""
    return error.connection_invalidated or isinstance(error, OperationalError)
