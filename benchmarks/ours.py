"""wechat_bot as a server of the benchmarks: migrated, with its own server, router and log lines."""

from __future__ import annotations

import secrets
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from wechat_bot.settings import Settings, Synchronous
from wechat_bot.wechat.credentials import Mode

from . import traffic
from .databases import Database
from .processes import environment
from .servers import Server
from .tools import ROOT

RECORDED = "SELECT count(*) FROM message_logs WHERE direction = 'in'"
WORKERS = 2
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
