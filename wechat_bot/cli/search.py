"""``flask search …``: maintain the full-text index of messages."""

from __future__ import annotations

import click

from ..services.projections.projector import Projector
from ..terminal import gettext as _
from ..wiring import services
from .common import Commands

search = Commands("search", help="Look after the index of what was said.")


@search.command()
def rebuild() -> None:
    """Build the search index anew, newest messages first.

    Messages are found again as it goes on. Interrupted, it goes on when it is called again, or by itself
    where the program runs.
    """
    rebuild_index(services().projector)


def rebuild_index(projector: Projector) -> None:
    """Build the search index of a database anew, and show the progress."""
    projector.rebuild_search()
    left = projector.backlog()
    with click.progressbar(length=left, label=_("正在建索引")) as bar:
        while rest := projector.catch_up(0):
            bar.update(max(left - rest, 0))
            left = rest
    click.echo(_("所有消息都能搜到了。"))
