"""``flask wechat knowledge …``: import and export of the knowledge base."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import click

from ..extensions import db
from ..services.knowledge import documents, pairs, transfer
from ..services.knowledge.documents import Outcome
from ..services.knowledge.reading import RefusedDocument
from ..services.rules.transfer import InvalidFile
from ..terminal import gettext as _
from ..wiring import services
from .common import ACTOR, Commands, inert, wechat

knowledge = Commands("knowledge", help="Import and export what questions are answered from.")
wechat.add_command(knowledge)


@knowledge.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def import_files(files: tuple[Path, ...]) -> None:
    """Import FILES: pairs from CSV, documents from Markdown, text and PDF. What is there already stays."""
    for file in files:
        try:
            click.echo(f"{inert(file.name)}: {_import(file)}")
        except (InvalidFile, RefusedDocument) as error:
            raise click.ClickException(f"{inert(file.name)}: {inert(error)}") from error


def _import(file: Path) -> str:
    """Import a file, and return what became of it.

    :raises InvalidFile: if it is no CSV with pairs.
    :raises RefusedDocument: if it is no document.
    """
    account_id, content = services().account_id, file.read_bytes()
    if file.suffix.lower() == ".csv":
        added = pairs.add_all(db.engine, ACTOR, account_id, transfer.parse(content))
        return _("新加了 %(count)s 条问答。", count=added)
    document = documents.read_file(file.name, content)
    stored = documents.put(db.engine, ACTOR, account_id, document)
    if stored.outcome is Outcome.SAME:
        return _("内容已经有了。")
    return _("%(count)s 段。", count=len(document.parts))


@knowledge.command()
@click.argument("file", type=click.File("w", encoding="utf-8-sig"), default="-")
def export(file: IO[str]) -> None:
    """Write all pairs as CSV to FILE, by default to the terminal."""
    with db.engine.connect() as connection:
        found = pairs.all_pairs(connection, services().account_id)
    file.write(transfer.dump(found))
