"""``make run``: prepare the settings and the database, and run server and worker in the foreground."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy.exc import SQLAlchemyError

from . import create_app
from .cli.common import database_problem
from .env_file import create_env_file, load_settings
from .extensions import db
from .server import PortBusy, check_port, serve
from .services.operators.management import FIRST_ADMIN_NAME, create_first
from .settings import Settings, SettingsError
from .wechat.credentials import Mode
from .wiring import services

MODES = {Mode.PLAIN: "明文模式", Mode.COMPATIBLE: "兼容模式", Mode.SAFE: "安全模式"}
"""The names of the modes in the platform's console."""


def main() -> None:
    try:
        settings = _load_settings(Path(".env"))
        if settings.secrets_are_known and settings.reachable_from_outside:
            raise SettingsError(
                [f"HOST={settings.host} lets others in: set SECRET_KEY and WECHAT_TOKEN of your own."]
            )
        check_port(settings)
        app = create_app(settings)
    except (SettingsError, PortBusy) as error:
        _stop(str(error))
    _prepare_database(app)
    print(_welcome(settings, _create_first_operator(app)))
    serve(settings)


def _load_settings(env_file: Path) -> Settings:
    """Load the settings from a file, which is created if there is none."""
    if not env_file.exists():
        try:
            create_env_file(env_file)
        except OSError as error:
            reason = f"{env_file.absolute()} cannot be written ({error.strerror})"
            raise SettingsError([f"{reason}: run the program where it may write."]) from error
        print("Wrote .env with fresh secrets.")
    return load_settings(env_file)


def _prepare_database(app: Flask) -> None:
    try:
        with app.app_context():
            upgrade()
            db.engine.dispose()
    except SQLAlchemyError as error:
        _stop(database_problem(error))


def _create_first_operator(app: Flask) -> str | None:
    """Create the first operator of a console that has none, and return the password."""
    settings: Settings = services(app).settings
    if not settings.console_is_on:
        return None
    with app.app_context():
        password = create_first(db.engine)
        db.engine.dispose()
    return password


def _stop(problem: str) -> NoReturn:
    print(problem, file=sys.stderr)
    sys.exit(1)


def _welcome(settings: Settings, first_password: str | None) -> str:
    """Return the text with the addresses to open and the values for the platform's console."""
    address = f"http://{settings.host}:{settings.port}"
    console = ""
    if settings.console_is_on:
        console = f"\n  Read what followers wrote, in the console:\n    {address}/admin/\n"
    if first_password:  # also outside a terminal, because nobody could sign in otherwise
        console += (
            f"    Name {FIRST_ADMIN_NAME}, password {first_password}  (shown once, for the first sign-in)\n"
            "\n  See it with made-up conversations, in another terminal:\n    .venv/bin/flask wechat seed\n"
        )
    demos = f"\n  Learn Flask from the demos:\n    {address}/demo/\n" if settings.demos_are_on else ""
    phone = f"in the browser:\n    {address}/simulator/\n  or " if settings.simulator_is_on else ""
    entries = "\n".join(f"    {_padded(name)}{value}" for name, value in _console_entries(settings))
    return f"""
  wechat_bot is running at {address} ({settings.app_env}). Ctrl-C ends it.

  Try it without an account, {phone}in another terminal:
    .venv/bin/flask wechat chat
{console}{demos}
  Enter in the platform's console (设置与开发 › 开发接口管理 › 服务器配置):
{entries}
"""


def _console_entries(settings: Settings) -> list[tuple[str, str]]:
    """Return names and values for the platform's console. Secrets are shown on a terminal only."""
    show_secrets = sys.stdout.isatty()
    key = settings.wechat_encoding_aes_key or "any; it is not used"
    return [
        ("URL", "https://<your public name>/wechat"),
        ("Token", settings.wechat_token if show_secrets else "WECHAT_TOKEN in .env"),
        ("EncodingAESKey", key if show_secrets else "WECHAT_ENCODING_AES_KEY in .env"),
        ("消息加解密方式", MODES[settings.credentials.mode]),
    ]


def _padded(name: str) -> str:
    """Pad `name` with blanks to 18 columns. A Chinese character takes two."""
    return name + " " * (18 - len(name) - sum(char > "\u2e80" for char in name))


if __name__ == "__main__":
    main()
