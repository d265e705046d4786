"""``flask search …``: look after the index of what was said."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from ..wiring import services
from .operators import handle_errors

search = AppGroup("search", help="Look after the index of what was said.")


@search.command()
@handle_errors
def rebuild() -> None:
    """Build the search index anew, newest messages first.

    Messages are found again as it goes on. Interrupted, it goes on when it is called again, or by itself
    where the program runs.
    """
    digest = services().projector
    digest.rebuild_search()
    left = digest.backlog()
    with click.progressbar(length=left, label="Indexing messages") as bar:
        while rest := digest.catch_up(0):
            bar.update(max(left - rest, 0))
            left = rest
    click.echo("Every message can be found.")
