"""``flask wechat media …``: download and convert the files of messages."""

from __future__ import annotations

import click

from ..terminal import gettext as _
from ..wiring import services
from .common import Commands, wechat

media = Commands("media", help="Look after the files of messages.")
wechat.add_command(media)


@media.command()
def fetch() -> None:
    """Fetch the files that are wanted, as workers do by themselves."""
    tried = 0
    while count := services().archive.download_due():
        tried += count
    click.echo(_("试着取了 %(count)s 个文件。", count=tried))


@media.command()
def convert() -> None:
    """Convert the voices that were stored while ffmpeg was missing."""
    if not services().archive.converter.is_available:
        raise click.ClickException(_("没有 ffmpeg：装上它，如 apt install ffmpeg。"))
    click.echo(_("现在能播放 %(count)s 条语音。", count=services().archive.convert_voices()))
