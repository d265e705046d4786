"""``flask wechat media …``: download and convert the files of messages."""

from __future__ import annotations

import click

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
    click.echo(f"{tried} files were tried.")


@media.command()
def convert() -> None:
    """Convert the voices that were stored while ffmpeg was missing."""
    if not services().archive.converter.is_available:
        raise click.ClickException("There is no ffmpeg: install it, e.g. apt install ffmpeg.")
    click.echo(f"{services().archive.convert_voices()} voices can be played now.")
