"""``make run``: prepare the settings and the database, and run server and worker in the foreground."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from . import create_app
from .cli.common import database_problem
from .cli.database import prepare_database
from .env_file import create_env_file, load_settings
from .extensions import db
from .server import PortBusy, bind, serve
from .services.operators.management import FIRST_ADMIN_NAME, create_first
from .settings import Environment, Settings, SettingsError
from .terminal import gettext as _
from .wechat.credentials import Mode
from .wiring import services

MODES = {Mode.PLAIN: "明文模式", Mode.COMPATIBLE: "兼容模式", Mode.SAFE: "安全模式"}
"""The names of the modes in the platform's console."""


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback until it serves
    try:
        settings = _load_settings(Path(".env"))
        if settings.secrets_are_known and settings.reachable_from_outside:
            problem = _(
                "HOST=%(host)s 让别人也进得来：设置你自己的 SECRET_KEY 和 WECHAT_TOKEN。", host=settings.host
            )
            raise SettingsError([problem])
        listener = bind(settings)
        app = create_app(settings)
        prepare_database(app)
    except (SettingsError, PortBusy) as error:
        _stop(str(error))
    except SQLAlchemyError as error:
        _stop(database_problem(error))
    address, env = f"http://{settings.host}:{settings.port}", settings.app_env
    print(_welcome(settings, address, _create_first_operator(app)), flush=True)
    running = _("wechat_bot 运行在 %(address)s（%(env)s）。按 Ctrl-C 结束。", address=address, env=env)
    serve(settings, listener, when_listening=lambda: print(f"  {running}\n", flush=True))


def _load_settings(env_file: Path) -> Settings:
    """Load the settings from a file, which is created if there is none."""
    if not env_file.exists():
        try:
            create_env_file(env_file)
        except OSError as error:
            problem = _(
                "%(path)s 写不了（%(reason)s）：在可以写的地方运行这个程序。",
                path=env_file.absolute(),
                reason=error.strerror,
            )
            raise SettingsError([problem]) from error
        print(_("已写好 .env，密钥是新的。"))
    return load_settings(env_file)


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


def _welcome(settings: Settings, address: str, first_password: str | None) -> str:
    """Return the text with the addresses to open and the values for the platform's console."""
    text = ""
    for heading, *lines in _sections(settings, address, first_password):
        text += f"\n  {heading}" + "".join(f"\n    {line}" for line in lines) + "\n"
    return text


def _sections(settings: Settings, address: str, first_password: str | None) -> Iterator[list[str]]:
    """Yield the sections of the welcome, each a heading and its lines."""
    if settings.simulator_is_on:
        yield [_("没有公众号也能试，在浏览器里："), f"{address}/simulator/"]
    yield [_("没有公众号也能试，在另一个终端里："), ".venv/bin/flask wechat chat"]
    if settings.console_is_on:
        yield [_("在控制台里看粉丝写了什么："), f"{address}/admin/"]
    if first_password:  # also outside a terminal, because nobody could sign in otherwise
        name = FIRST_ADMIN_NAME
        yield [
            _("第一次登录（密码只显示这一次）："),
            _("名称 %(name)s，密码 %(password)s", name=name, password=first_password),
        ]
        yield [_("想看有内容的样子，在另一个终端里放进虚构的对话："), ".venv/bin/flask wechat seed"]
    if settings.demos_are_on:
        yield [_("从演示学 Flask："), f"{address}/demo/"]
    if settings.app_env is Environment.DEVELOPMENT:
        yield [
            _("改过的处理函数重启后生效；用这个命令代替 make run，会自动重新载入："),
            ".venv/bin/flask run --debug",
        ]
    entries = [f"{_padded(name)}{value}" for name, value in _console_entries(settings)]
    yield [_("填进公众平台的后台（设置与开发 › 开发接口管理 › 服务器配置）："), *entries]


def _console_entries(settings: Settings) -> list[tuple[str, str]]:
    """Return names and values for the platform's console. Secrets are shown on a terminal only."""
    show_secrets = sys.stdout.isatty()
    key = settings.wechat_encoding_aes_key or _("随意，用不到")
    return [
        ("URL", _("https://<你的域名>/wechat")),
        ("Token", settings.wechat_token if show_secrets else _(".env 里的 %(name)s", name="WECHAT_TOKEN")),
        ("EncodingAESKey", key if show_secrets else _(".env 里的 %(name)s", name="WECHAT_ENCODING_AES_KEY")),
        ("消息加解密方式", MODES[settings.credentials.mode]),
    ]


def _padded(name: str) -> str:
    """Pad `name` with blanks to 18 columns. A Chinese character takes two."""
    return name + " " * (18 - len(name) - sum(char > "\u2e80" for char in name))


if __name__ == "__main__":
    main()
