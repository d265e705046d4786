"""``flask wechat push``, ``chat`` and ``play``: talk to a bot as the platform does."""

from __future__ import annotations

from typing import Any, TextIO
from urllib.parse import parse_qsl

import click

from ..simulator import sample_messages, scenarios
from ..simulator.openids import new_openid
from ..simulator.platform import NOTICE, OPENID, Attempt, Delivery, SimulatedPlatform
from ..terminal import gettext as _
from ..wechat.credentials import Credentials, Mode
from ..wechat.errors import CredentialsError
from ..wechat.replies import TextReply
from ..wiring import services
from .common import inert, wechat
from .scenarios import fail_if, report


def _platform_options(command: Any) -> Any:
    for option in (
        click.option("--url", help="The bot to talk to; this program unless given."),
        click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="The mode of the bot."),
        click.option("--token", help="Its Token."),
        click.option("--aes-key", help="Its EncodingAESKey."),
        click.option("--app-id", help="Its AppID."),
    ):
        command = option(command)
    return command


_openid_option = click.option("--openid", default=OPENID, show_default=True, help="Who speaks.")


def _platform(
    url: str | None, mode: str | None, token: str | None, aes_key: str | None, app_id: str | None, openid: str
) -> SimulatedPlatform:
    settings = services().settings
    try:
        ours = settings.credentials
        credentials = Credentials(
            tokens=(token,) if token else ours.tokens,
            mode=Mode(mode) if mode else ours.mode,
            app_id=app_id or ours.app_id,
            aes_keys=(aes_key,) if aes_key else ours.aes_keys,
        )
    except CredentialsError as error:
        raise click.ClickException(
            _("%(error)s 或者给出 --token、--aes-key、--app-id、--mode。", error=error)
        ) from error
    url = url or f"http://{settings.host}:{settings.port}/wechat"
    return SimulatedPlatform.at(url, credentials, openid=openid)


@wechat.command()
@_platform_options
@_openid_option
@click.option("--type", "kind", default="text", show_default=True, help="MsgType, or the name of an event.")
@click.option("--content", help="Content of a text (帮助 unless given), EventKey of an event.")
@click.option("--field", "fields", multiple=True, metavar="NAME=VALUE", help="Any other element.")
def push(kind: str, content: str | None, fields: tuple[str, ...], **options: Any) -> None:
    """One exchange, shown raw and decrypted. Fails when the follower would see the failure notice."""
    platform = _platform(**options)
    more = dict(_field(field) for field in fields)
    if kind == "text":
        message = platform.message(kind, Content=content or "帮助", **more)
    elif kind in sample_messages.MESSAGES:
        message = platform.message(kind, **sample_messages.MESSAGES[kind] | more)
    else:
        own = {"EventKey": content} if content else {}
        message = platform.event(kind, **sample_messages.EVENTS.get(kind, {}) | own | more)
    attempt = platform.push_once(message)
    click.echo(inert(_show(attempt)))
    if attempt.problem:
        problem = f"{platform.url}: {inert(attempt.problem)}"
        raise click.ClickException(_("%(problem)s。粉丝会看到：%(notice)s", problem=problem, notice=NOTICE))


@wechat.command()
@_platform_options
@_openid_option
def chat(**options: Any) -> None:
    """A conversation: what you type is pushed, what the follower would read is printed."""
    platform = _platform(**options)
    click.echo(_("发往 %(url)s。", url=platform.url))
    click.echo(_("输入消息；/follow、/unfollow、/scan SCENE、/click KEY；按 Ctrl-D 结束。"))
    _print(platform.push(platform.event("subscribe", EventKey="")))
    while True:
        try:
            line = click.prompt("你", prompt_suffix="> ", default="", show_default=False)
        except (click.Abort, EOFError):
            click.echo()
            return
        if line:
            _print(platform.push(_message(platform, line)))


@wechat.command("play")
@_platform_options
@click.argument("files", nargs=-1, required=True, type=click.File(encoding="utf-8"))
def play_files(files: tuple[TextIO, ...], **options: Any) -> None:
    """Conversations from FILES, as the simulator saves them, each of a new follower.

    Fails unless every answer is the expected one.
    """
    fail_if(sum(_play(file, **options) for file in files))


def _play(file: TextIO, **options: Any) -> int:
    """Play the scenarios of a file and return the number of steps that did not pass."""
    try:
        found = scenarios.load_all(file.read())
    except scenarios.ScenarioError as error:
        raise click.ClickException(f"{file.name}: {error}") from error
    return sum(
        report(f"{file.name}: {each.name}", scenarios.run(_platform(openid=new_openid(), **options), each))
        for each in found
    )


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--field")
    return name, value


def _message(platform: SimulatedPlatform, line: str) -> dict[str, Any]:
    command, _, argument = line.partition(" ")
    name = command.removeprefix("/")
    if line.startswith("/") and name in scenarios.ACTIONS:
        return scenarios.add_head(platform, scenarios.action(name, argument))
    return platform.message("text", Content=line)


def _print(delivery: Delivery) -> None:
    last = delivery.attempts[-1]
    seconds = sum(attempt.seconds for attempt in delivery.attempts)
    if delivery.failed:
        click.secho(f"{NOTICE}  ({inert(last.problem)})", fg="red", err=True)
        return
    shown = delivery.reply.content if isinstance(delivery.reply, TextReply) else delivery.reply
    click.echo(f"号> {inert(shown) if shown is not None else '（没有回复）'}")
    click.secho(f"    {seconds * 1000:.0f} ms, {len(delivery.attempts)} push(es)", dim=True)


def _show(attempt: Attempt) -> str:
    """Format the exchange as it was sent and, in safe mode, as it was decrypted."""
    query = "\n".join(f"  {name} = {value}" for name, value in parse_qsl(attempt.query))
    parts = [f"→ POST, query:\n{query}", f"→ body:\n  {attempt.body.decode(errors='replace')}"]
    if attempt.plain.encode() != attempt.body:
        parts.append(f"→ decrypted:\n  {attempt.plain}")
    answer = attempt.answer.decode(errors="replace")
    parts.append(f"← status {attempt.status}, {attempt.seconds * 1000:.0f} ms, body:\n  {answer}")
    if attempt.opened and attempt.opened.encode() != attempt.answer:
        parts.append(f"← decrypted:\n  {attempt.opened}")
    return "\n".join(parts)
