"""Applications on a fresh database, and a platform that pushes to them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from wechat_bot import create_app
from wechat_bot.extensions import db
from wechat_bot.routing import Router
from wechat_bot.settings import LogLevel, Settings
from wechat_bot.testing import FakeAPI, FakePlatform

TOKEN = "blueheron2026"
AES_KEY = "Q7mB2xT9vLkW4nJ8sHdR5cYpE1zGfA6uXo3iKtNwVyM"
APP_ID = "wx5f2c9a81d3e4b607"
APP_SECRET = "0123456789abcdef0123456789abcdef"

SERVERS = {
    "postgresql": os.environ.get("TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1/postgres"),
    "mariadb": os.environ.get("TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1/mysql"),
}
"""Where databases for tests are created and dropped."""


@contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a new database; a server that is not reachable skips the test, or fails it in CI."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/bot.db"
        return
    url = make_url(SERVERS[kind])
    name = f"test_{secrets.token_hex(6)}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except SQLAlchemyError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{kind} is not reachable: {error}")
    yield url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        force = " WITH (FORCE)" if kind == "postgresql" else ""
        connection.execute(text(f"DROP DATABASE {name}{force}"))
    admin.dispose()


@pytest.fixture(params=["sqlite", *SERVERS])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database: of SQLite, and of each server."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=[*SERVERS])
def server_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each server."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def postgresql_database(tmp_path: Path) -> Iterator[str]:
    with empty_database("postgresql", tmp_path) as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        secret_key="a key for tests only",
        database_url=f"sqlite:///{tmp_path}/bot.db",
        log_level=LogLevel.DEBUG,
        wechat_token=TOKEN,
        wechat_app_id=APP_ID,
        wechat_encoding_aes_key=AES_KEY,
        wechat_message_mode="plain",
    )


MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(settings: Settings) -> Iterator[MakeApp]:
    """Makes applications with a migrated database; keyword arguments change the settings."""
    made: list[Flask] = []

    def make(router: Router | None = None, api: FakeAPI | None = None, **changes: object) -> Flask:
        changed = replace(settings, **changes)  # type: ignore[arg-type]
        app = create_app(changed, router, api.transport if api else None)
        made.append(app)
        with app.app_context():
            upgrade()
        return app

    yield make
    for app in made:
        app.extensions["inbox"].close()


@pytest.fixture
def api(settings: Settings) -> FakeAPI:
    """The platform's API for accounts with `APP_SECRET`."""
    return FakeAPI(replace(settings, wechat_app_secret=APP_SECRET).credentials)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def engine(app: Flask) -> Engine:
    with app.app_context():
        return db.engine


@pytest.fixture
def platform(app: Flask) -> FakePlatform:
    return FakePlatform.of(app)


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is sent to the database meanwhile, but for BEGIN."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)
