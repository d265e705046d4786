"""``flask wechat media …``: look after the files of messages."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from ..wiring import services
from .operators import handle_errors

media = AppGroup("media", help="Look after the files of messages.")


@media.command()
@handle_errors
def fetch() -> None:
    """Fetch the files that are wanted, as workers do by themselves."""
    tried = 0
    while count := services().archive.fetch_due():
        tried += count
    click.echo(f"{tried} files were tried.")


@media.command()
@handle_errors
def convert() -> None:
    """Convert the voices that were stored while ffmpeg was missing."""
    if not services().archive.converter.is_there:
        raise click.ClickException("There is no ffmpeg: install it, e.g. apt install ffmpeg.")
    click.echo(f"{services().archive.convert()} voices can be played now.")
