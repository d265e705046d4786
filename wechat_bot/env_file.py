"""Reading of the settings from the environment and a ``.env`` file, and creation of such files."""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any, get_type_hints

from dotenv.parser import Original, parse_stream

from .settings import Settings, SettingsError
from .terminal import gettext as _
from .wechat.credentials import Mode

_SIMILARITY = 0.85
"""How much of a name must be that of a setting, so that the setting seems to be meant."""


def load_settings(path: Path = Path(".env"), environ: Mapping[str, str] = os.environ) -> Settings:
    """Load the settings from the environment and, where it has no value, from the file `path`.

    Blank values count as not set.

    :raises SettingsError: with all problems at once.
    """
    read = _read(path)
    values = {**read, **environ}
    types = get_type_hints(Settings)
    parsed: dict[str, Any] = {}
    problems = [
        _("%(path)s 里的 %(name)s 不是设置：想写的是 %(meant)s 吗？", path=path, name=name, meant=meant)
        for name, meant in _misspelt(read)
    ]
    for setting in fields(Settings):
        name, text = setting.name.upper(), (values.get(setting.name.upper()) or "").strip()
        if not text:
            continue
        kind = types[setting.name]
        try:
            parsed[setting.name] = kind(text)
        except ValueError:
            numbers = {int: _("一个整数"), float: _("一个数字")}
            expected = numbers.get(kind) or _(" 或 ").join(kind)
            problems.append(
                _("%(name)s 是 %(text)r，但必须是%(expected)s。", name=name, text=text, expected=expected)
            )
    try:
        settings = Settings(**parsed)
    except SettingsError as error:
        problems += error.problems
    if problems:
        raise SettingsError(problems)
    return settings


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        bindings = list(parse_stream(StringIO(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError) as error:
        problem = _("%(path)s 读不了（%(error)s）：改正它，或者删掉它。", path=path, error=error)
        raise SettingsError([problem]) from error
    invalid = [
        str(_line(binding.original))
        for binding in bindings
        if binding.error or (binding.key and binding.value is None)
    ]
    if invalid:
        lines = ", ".join(invalid)
        raise SettingsError(
            [_("%(path)s 里有不是 NAME=值 的行：改正第 %(lines)s 行。", path=path, lines=lines)]
        )
    return {binding.key: binding.value or "" for binding in bindings if binding.key}


def _misspelt(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each name that is almost that of a setting, with the setting. Others are of other programs."""
    settings = [setting.name.upper() for setting in fields(Settings)]
    for name in names:
        if name not in settings:
            for meant in get_close_matches(name.upper(), settings, 1, _SIMILARITY):
                yield name, meant


def _line(original: Original) -> int:
    """Return the line number of the text. The parser counts preceding blank lines as its beginning."""
    blank = len(original.string) - len(original.string.lstrip())
    return original.line + original.string[:blank].count("\n")


_HEADINGS = {
    "app_env": "The program",
    "host": "The server (make run)",
    "database_url": "The database",
    "wechat_token": "The Official Account",
    "wechat_answer_seconds": "Answering",
    "public_url": "Alerts",
    "media_url": "Media",
}
"""Headings of ``.env.example``, by the first setting below each."""


def env_text(values: Mapping[str, str] | None = None) -> str:
    """Return the text of a ``.env`` file with all settings. `values` replace defaults, by name."""
    values = values or {}
    lines = ["# Settings of wechat_bot. Environment variables take precedence over this file."]
    for setting in fields(Settings):
        if setting.name in _HEADINGS:
            lines += ["", f"## {_HEADINGS[setting.name]}"]
        name = setting.name.upper()
        lines += [f"# {setting.metadata['description']}", f"{name}={values.get(name, setting.default)}"]
    return "\n".join(lines) + "\n"


def create_env_file(path: Path) -> None:
    """Create a ``.env`` file with random secrets, readable by its owner only.

    :raises FileExistsError: if `path` exists.
    """
    letters = string.ascii_letters + string.digits
    values = {
        "SECRET_KEY": secrets.token_hex(32),
        "WECHAT_TOKEN": "".join(secrets.choice(letters) for _ in range(24)),
        "WECHAT_ENCODING_AES_KEY": "".join(secrets.choice(letters) for _ in range(43)),
        "WECHAT_MESSAGE_MODE": Mode.PLAIN.value,  # the mode of a new account
        # A made-up account, which only the simulator knows, so that everything can be tried.
        "WECHAT_APP_ID": f"wx{secrets.token_hex(8)}",
        "WECHAT_APP_SECRET": secrets.token_hex(16),
        "WECHAT_API_BASE_URL": "simulator",
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(env_text(values))
