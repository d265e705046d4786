"""Imports the account's permanent material at the platform into the library (section 7.8).

A run lists all material and takes what no run has taken or refused before.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Engine, delete, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...jobs import Enqueue, Job
from ...models import LibraryFile, LibraryMediaId, Material, MaterialImport
from ...models.rows import new_row
from ...wechat.api import WeChatClient
from ...wechat.api.material import Item
from ...wechat.errors import Forbidden, NotFound, TooLarge, Unreachable
from ..audit import Actor
from ..import_runs import ImportRuns
from .formats import RefusalReason, RefusedMedia
from .library import MAX_BYTES, Library, cleaned, keep_permanent, kind_of

log = logging.getLogger(__name__)

KINDS = (*MAX_BYTES, "news")
"""The kinds of material, in the order of a run."""
MAX_LOST = 3
"""Files that cannot be fetched one after the other until a run fails."""
_ADDRESS = re.compile(r"https?://\S{1,1000}")


class Materials:
    """Imports the permanent material of an account. `client` is None if the account has no API."""

    def __init__(
        self, engine: Engine, client: WeChatClient | None, library: Library, enqueue: Enqueue
    ) -> None:
        self.runs = ImportRuns(engine, MaterialImport, Job.IMPORT_MATERIALS, "materials_imported", enqueue)
        self._engine = engine
        self._client = client
        self._library = library

    def run(self, run_id: int) -> None:
        """Import what no run has seen yet."""
        if run := self.runs.find_running(run_id):
            with self.runs.ending(run_id):
                self._import(run)

    def _import(self, run: Any) -> None:
        """List all material, and take what is new.

        :raises APIError: if the platform does not list it, or gives no files any more.
        """
        if not self._client:
            raise Forbidden(48001, "the account has no API")
        counts = self._client.material.count()
        total = counts.image_count + counts.voice_count + counts.video_count + counts.news_count
        known, lost = self._known(run.account_id), 0
        self.runs.update(run.id, total=total, done=0)
        for done, (kind, item) in enumerate(_all(self._client), 1):
            if item.media_id not in known:
                try:
                    rows, lost = self._take(self._client, run, kind, item), 0
                except (NotFound, Unreachable) as error:
                    rows, lost = [_row(kind, item.name, reason=str(error)[:255])], lost + 1
                    if lost == MAX_LOST:
                        raise
                self._store(run, item.media_id, rows)
            self.runs.update(run.id, done=done)

    def _known(self, account_id: int) -> set[str]:
        """Return the ids of what has been seen, and of our own copies."""
        settled = Material.reason.in_(["", *RefusalReason])
        seen = select(Material.media_id).where(Material.account_id == account_id, settled)
        copies = select(LibraryMediaId.media_id).join(LibraryFile, LibraryFile.id == LibraryMediaId.file_id)
        permanent = LibraryFile.account_id == account_id, LibraryMediaId.permanent
        with self._engine.connect() as connection:
            return {*connection.scalars(seen), *connection.scalars(copies.where(*permanent))}

    def _take(self, client: WeChatClient, run: Any, kind: str, item: Item) -> list[dict[str, Any]]:
        """Return the rows of an item, of which the file is in the library then, or why it is not.

        :raises APIError: if the platform does not give it.
        """
        if kind == "news":
            articles = [each for each in item.content.news_item if _ADDRESS.fullmatch(each.url)]
            return [_row(kind, each.title, number=n, url=each.url) for n, each in enumerate(articles)]
        try:
            content = client.material.download(item.media_id, MAX_BYTES[kind]).content
            if kind_of(content) != kind:
                raise RefusedMedia(RefusalReason.FORMAT)
            actor = Actor(run.operator_id, run.operator, "")
            file_id = self._library.add(actor, run.account_id, item.name, content)
        except RefusedMedia as refused:
            return [_row(kind, item.name, reason=refused.reason)]
        except TooLarge:
            return [_row(kind, item.name, reason=RefusalReason.TOO_LARGE)]
        return [_row(kind, item.name, file_id=file_id)]

    @retry_conflicts
    def _store(self, run: Any, media_id: str, rows: Sequence[dict[str, Any]]) -> None:
        """Store what became of an item. What the platform has of a file is its permanent copy."""
        this = Material.account_id == run.account_id, Material.media_id == media_id
        with transaction(self._engine) as connection:
            connection.execute(delete(Material).where(*this))
            for row in rows:
                named = new_row(Material, account_id=run.account_id, media_id=media_id, **row)
                connection.execute(insert(Material).values(named))
                if file_id := row.get("file_id"):
                    keep_permanent(connection, file_id, media_id)
                    added = update(MaterialImport).where(MaterialImport.id == run.id)
                    connection.execute(added.values(added=MaterialImport.added + 1))


def _all(client: WeChatClient) -> Iterator[tuple[str, Item]]:
    for kind in KINDS:
        for item in client.material.iterate(kind):
            yield kind, item


def _row(kind: str, name: str, **values: Any) -> dict[str, Any]:
    return {"kind": kind, "name": cleaned(name) or kind, **values}
