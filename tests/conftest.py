"""Fixtures of all tests: applications on fresh databases, and simulated platforms that push to them."""

from __future__ import annotations

import gc
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade
from hypothesis import settings as examples
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Engine, event, inspect
from sqlalchemy.engine import make_url

from tests.databases import SERVERS, Databases
from tests.needs import NEEDS, lacking
from wechat_bot import create_app
from wechat_bot.extensions import db
from wechat_bot.routing import Router
from wechat_bot.settings import IN_MEMORY, LogLevel, Settings, Synchronous
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wiring import services

os.environ["LC_ALL"] = "C.UTF-8"  # commands speak English, wherever the tests run

# The same few examples each time, or others and many, with --hypothesis-profile=thorough.
examples.register_profile("usual", max_examples=50, deadline=None, derandomize=True)
examples.register_profile("thorough", max_examples=1000, deadline=None)
examples.load_profile("usual")

TOKEN = "blueheron2026"
AES_KEY = "Q7mB2xT9vLkW4nJ8sHdR5cYpE1zGfA6uXo3iKtNwVyM"
APP_ID = "wx5f2c9a81d3e4b607"
APP_SECRET = "0123456789abcdef0123456789abcdef"


def pytest_xdist_auto_num_workers() -> int:
    """Use two workers for each processor: many tests wait for browsers and other processes."""
    return 2 * (os.cpu_count() or 1)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Note what a test needs, for the summary."""
    assert isinstance(item, pytest.Function)
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    names = {*item.fixturenames, *map(str, parameters)}
    item.user_properties += [("needs", need) for need in NEEDS if need in names]


LONGEST = ("tests/server/", "tests/e2e/", "tests/services/inbox/", "tests/test_")
"""Where the tests are that take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left with it in the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


gc.set_threshold(100_000)  # an application is a heap of cycles: some are thrown away together


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is imported and stays: it would look through it all the time."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the tests that ran, by what they need, and those that were left out, by the reason."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    ran = Counter(value for report in reports for key, value in report.user_properties if key == "needs")
    if ran:
        terminalreporter.write_line("Ran: " + ", ".join(f"{ran[need]} with {need}" for need in NEEDS))
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"Left out: {count}, {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    made = Databases()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", *SERVERS])
def any_database(request: pytest.FixtureRequest, tmp_path: Path, databases: Databases) -> Iterator[str]:
    """The URL of an empty database, on SQLite and on each database server."""
    with databases.borrow(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=[*SERVERS])
def server_database(request: pytest.FixtureRequest, tmp_path: Path, databases: Databases) -> Iterator[str]:
    """The URL of an empty database on each database server."""
    with databases.borrow(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=["postgresql"])
def postgresql_database(tmp_path: Path, databases: Databases) -> Iterator[str]:
    with databases.borrow("postgresql", tmp_path) as url:
        yield url


@pytest.fixture
def ffmpeg() -> None:
    if not shutil.which("ffmpeg"):
        lacking("no ffmpeg: apt install ffmpeg")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        secret_key="a key for tests only",
        database_url=f"sqlite:///{tmp_path}/bot.db",
        database_connections=1,  # who takes a second one while they have one waits in vain
        sqlite_synchronous=Synchronous.NORMAL,
        log_level=LogLevel.DEBUG,
        job_queue_url=IN_MEMORY,
        instance_path=str(tmp_path / "instance"),
        wechat_token=TOKEN,
        wechat_app_id=APP_ID,
        wechat_encoding_aes_key=AES_KEY,
        wechat_message_mode="plain",
        media_url=f"{tmp_path}/media",
    )


MakeApp = Callable[..., Flask]


class CompiledTemplates(BytecodeCache):
    """The templates that the applications of this process have compiled."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._compiled.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code
        self._compiled[bucket.key, bucket.checksum] = bucket.code


TEMPLATES = CompiledTemplates()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database, which is copied for each test."""
    path = tmp_path_factory.mktemp("migrated") / "bot.db"
    with create_app(Settings(database_url=f"sqlite:///{path}")).app_context():
        upgrade()
        db.engine.dispose()
    return path


@pytest.fixture
def make_app(settings: Settings, migrated: Path) -> Iterator[MakeApp]:
    """Creates applications with a copy of a migrated database; keyword arguments change the settings."""
    made: list[Flask] = []

    def make(
        router: Router | None = None, api: FakeAPI | None = None, template: Path = migrated, **changes: object
    ) -> Flask:
        changed = replace(settings, **changes)  # type: ignore[arg-type]
        app = create_app(changed, router, api.transport if api else None)
        app.jinja_env.bytecode_cache = TEMPLATES
        if client := services(app).client:
            client._http._sleep = lambda seconds: None  # calls that are repeated pause for seconds
        made.append(app)
        path = Path(make_url(changed.sqlalchemy_url).database or "")
        if changed.sqlalchemy_url.startswith("sqlite:///") and not path.exists():
            shutil.copyfile(template, path)
            return app
        with app.app_context():
            if not inspect(db.engine).has_table("alembic_version"):
                upgrade()
        return app

    yield make
    for app in made:
        services(app).close()


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
def statements() -> Iterator[list[str]]:
    """Collect the statements that are sent to databases during the block, except BEGIN."""
    sent: list[str] = []

    def collect(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", collect)
    yield sent
    event.remove(Engine, "before_cursor_execute", collect)
