"""``flask wechat doctor`` and ``clear-quota``: the set-up of the program, and the quotas of the account."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence

import click
from flask_babel import force_locale

from ..languages import LANGUAGES
from ..services.health.checks import Check, Health
from ..terminal import gettext as _
from ..terminal import terminal_language
from ..wechat.errcodes import explain
from ..wechat.errors import APIError
from ..wiring import services
from .common import ACTOR, in_own_language, inert, wechat

MARKS = {Health.OK: "✓", Health.WARN: "!", Health.FAIL: "✗", Health.UNKNOWN: "·"}
COLOURS = {Health.OK: "green", Health.WARN: "yellow", Health.FAIL: "red", Health.UNKNOWN: None}


@wechat.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--offline", is_flag=True, help="Without asking the platform.")
@click.option(
    "--language", type=click.Choice([*LANGUAGES]), default=terminal_language, help="That of LANG, or en."
)
def doctor(as_json: bool, offline: bool, language: str) -> None:
    """Check every step of the set-up and say what to do. Fails when a step has failed."""
    diagnosis = services().doctor.diagnose(online=not offline)
    services().call_stats.flush()
    with force_locale(language):
        if as_json:
            checks = [check.as_json() for check in diagnosis.checks]
            click.echo(inert(json.dumps(checks, ensure_ascii=False, indent=2)))
        else:
            _print(diagnosis.checks)
    if diagnosis.failed:
        raise SystemExit(1)


@wechat.command()
def clear_quota() -> None:
    """Clear the daily quotas of all calls of the API; possible 10 times a month."""
    bot = services()
    if bot.client is None:
        raise click.ClickException(_("还没有接口：在 .env 里设置 WECHAT_APP_ID 和 WECHAT_APP_SECRET。"))
    try:
        bot.quotas.clear(ACTOR)
    except APIError as error:
        raise click.ClickException(_explained(error)) from error
    click.echo(_("配额已清零，这个月还能清 %(count)s 次。", count=bot.quotas.clears_left()))


def _explained(error: APIError) -> str:
    """Return what an error means and what to do, as two sentences."""
    if not error.errcode:
        return str(error)
    said = explain(error.errcode, error.errmsg)
    meaning, remedy = in_own_language(said.meaning), in_own_language(said.remedy)
    return _("%(meaning)s（%(errcode)s）。%(remedy)s", meaning=meaning, errcode=error.errcode, remedy=remedy)


def _print(checks: Sequence[Check]) -> None:
    width = max(_width(check.name) for check in checks) + 2
    for check in checks:
        mark = click.style(MARKS[check.state], fg=COLOURS[check.state])
        click.echo(f"{mark} {check.name}{' ' * (width - _width(check.name))}{_line(check.said)}")
        if check.remedy:
            click.echo(f"{' ' * (width + 2)}→ {_line(check.remedy)}")


def _line(text: str) -> str:
    """Return what is said in one line, since a line of its own could look like another check."""
    return inert(" ".join(text.splitlines()))


def _width(text: str) -> int:
    """Return the number of columns on a terminal: a Chinese character takes two."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)
