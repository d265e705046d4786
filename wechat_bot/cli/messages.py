"""``flask wechat export`` and ``partition-messages``: the message history in a file, and in partitions."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from sqlalchemy import func, select

from ..database.clock import database_now
from ..extensions import db
from ..models import MessageLog
from ..services import audit
from ..services.messages import partitions
from ..services.messages.export import ExportFormat, stream
from ..services.messages.filters import FilterError, MessageFilter
from ..terminal import gettext as _
from ..wiring import services
from .common import ACTOR, inert, wechat

FILTERS = {
    "q": "Words, all of which occur.",
    "direction": "in or out.",
    "kind": "text, image, event …; several with commas between.",
    "event": "subscribe, click …",
    "state": "answered, failed …",
    "origin": "Which handler answered.",
    "follower": "The id of a follower.",
    "tag": "The id of a tag.",
    "from": "The first day, as 2026-11-01.",
    "to": "The last day.",
}


class _Zone(click.ParamType[ZoneInfo]):
    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        try:
            return ZoneInfo(value)
        except (ValueError, OSError, KeyError):
            self.fail(_("%(value)r 不是时区", value=value), param, ctx)


def _filter_options(command: Any) -> Any:
    for name, meaning in reversed(FILTERS.items()):
        command = click.option(f"--{name}", f"{name}_", default="", help=meaning)(command)
    return command


@wechat.command()
@click.option("--format", "form", type=click.Choice([form.value for form in ExportFormat]), required=True)
@click.option("--output", required=True, metavar="FILE", help="- is the standard output.")
@click.option("--bom", is_flag=True, help="Begin with the mark by which spreadsheets know UTF-8.")
@click.option("--zone", type=_Zone(), default="Asia/Shanghai", show_default=True, help="Of days and times.")
@_filter_options
def export(form: str, output: str, bom: bool, zone: ZoneInfo, **filters: str) -> None:
    """Write messages to a file, newest first. That somebody did is in the audit log."""
    given = {name.rstrip("_"): value for name, value in filters.items() if value}
    try:
        chosen = MessageFilter.parse(given, zone)
    except FilterError as error:
        raise click.UsageError(f"--{error.field}: {error.reason}.") from error
    services().projector.catch_up(seconds=60)
    detail = " ".join([form, *(f"{name}={value}" for name, value in given.items())])
    audit.record_now(db.engine, ACTOR, "exported", detail=detail)
    last = db.session.scalar(select(func.max(MessageLog.id))) or 0
    db.session.remove()
    with _progress_bar(last) as bar:
        pieces = stream(
            db.engine,
            services().account_id,
            chosen,
            form,
            bom=bom,
            zone=zone,
            progress=lambda at: bar and bar.update(last - at - bar.pos),
        )
        if output == "-":
            for piece in pieces:
                shown = inert(piece) if sys.stdout.isatty() else piece
                sys.stdout.buffer.write(shown.encode())
            return
        part = Path(f"{output}.part")
        with part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
        part.replace(output)


def _progress_bar(last: int) -> AbstractContextManager[Any]:
    """Show the progress of an export, by message id, if the standard error is a terminal."""
    if not sys.stderr.isatty():
        return nullcontext()
    return click.progressbar(length=last, label=_("正在导出"), file=sys.stderr)


@wechat.command()
def partition_messages() -> None:
    """Keep the messages of each month in a partition of their own, on PostgreSQL.

    For accounts with many millions of messages. The program may go on meanwhile; pushes wait for a moment.
    Interrupted, it goes on when it is called again.
    """
    if db.engine.dialect.name != "postgresql":
        raise click.ClickException(_("只有 PostgreSQL 上的消息能按月分区。"))
    partitions.convert(db.engine, database_now())
    click.echo(_("消息已按月分区。worker 会提前准备以后的月份。"))
