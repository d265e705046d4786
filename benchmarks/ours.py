"""wechat_bot as a server of the benchmarks: migrated, with its own server, router and log lines."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields
from pathlib import Path

from flask import Flask
from sqlalchemy import Engine

from wechat_bot import create_app
from wechat_bot.env_file import load_settings
from wechat_bot.extensions import db
from wechat_bot.models import Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.operators import management
from wechat_bot.services.operators.passwords import generate
from wechat_bot.settings import Settings, Synchronous
from wechat_bot.wechat.credentials import Mode
from wechat_bot.wiring import services

from . import traffic
from .databases import Database
from .processes import environment
from .servers import Server
from .tools import ROOT

RECORDED = "SELECT count(*) FROM message_logs WHERE direction = 'in'"
WORKERS = 2
NAME, PASSWORD = "li", "for this measurement only"
_SERVE = """
from config import settings
from wechat_bot.server import bind, serve
serve(settings, bind(settings), print)
"""


def settings(
    mode: Mode,
    database: Database,
    *,
    synchronous: Synchronous = Synchronous.FULL,
    workers: int = WORKERS,
    port: int = 0,
) -> dict[str, str]:
    """Return the environment of the program. Other settings have their defaults, whatever ``.env`` says."""
    blank = {field.name.upper(): "" for field in fields(Settings)}
    return environment(
        **blank
        | traffic.ACCOUNT_ENVIRONMENT
        | {
            "APP_ENV": "production",
            "SECRET_KEY": secrets.token_hex(32),
            "DATABASE_URL": database.url,
            "SQLITE_SYNCHRONOUS": synchronous,
            "WECHAT_MESSAGE_MODE": mode,
            "WEB_WORKERS": str(workers),
            "PORT": str(port),
            "PYTHONPATH": str(ROOT),
            "FLASK_APP": "wsgi",
            "FLASK_SKIP_DOTENV": "1",
        }
    )


def migrate(directory: Path, environ: dict[str, str]) -> None:
    """Run ``flask db upgrade``."""
    command = [sys.executable, "-m", "flask", "db", "upgrade"]
    result = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, timeout=60)
    if result.returncode:
        raise RuntimeError(f"flask db upgrade failed: {result.stderr}")


def server(
    name: str,
    mode: Mode,
    directory: Path,
    database: Database,
    *,
    synchronous: Synchronous = Synchronous.FULL,
    workers: int = WORKERS,
) -> Server:
    """Migrate the empty `database` and return the program on it."""
    environ = settings(mode, database, synchronous=synchronous, workers=workers)
    migrate(directory, environ)
    return Server(
        name=name,
        mode=mode,
        command=lambda port: ["env", f"PORT={port}", sys.executable, "-c", _SERVE],
        environ=environ,
        directory=directory,
        database=database,
        recorded=RECORDED,
    )


@contextmanager
def application(database: Database, directory: Path) -> Iterator[Flask]:
    """Provide the application on a migrated `database` in this process."""
    with (directory / "log").open("w") as log, redirect_stdout(log):
        app = create_app(load_settings(directory / "no.env", settings(Mode.SAFE, database)))
    try:
        yield app
    finally:
        services(app).close()
        with app.app_context():
            db.engine.dispose()


def add_operator(engine: Engine, role: Role) -> None:
    """Add the operator who signs in with `sign_in_form`."""
    actor = Actor(None, "benchmarks", "")
    operator_id = management.create(engine, actor, NAME, role, generate())
    management.change_password(engine, actor, operator_id, PASSWORD, None)


def sign_in_form(page: str) -> dict[str, str]:
    """Return what the operator enters on the page for signing in."""
    return {"csrf_token": csrf_token(page), "name": NAME, "password": PASSWORD}


def csrf_token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]
