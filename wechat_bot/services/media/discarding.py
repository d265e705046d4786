"""Deletes contents of the store that no row names any more.

Whoever deletes rows notes their contents in the same transaction (`discard`), so that none is forgotten. They
are deleted an hour later: a content that came again meanwhile may be needed by a row that is not there yet.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, Select, delete, exists, insert, or_, select

from ...database.clock import database_now
from ...database.transactions import write
from ...models import DiscardedFile, LibraryFile, Media
from .blobs import BlobStore

log = logging.getLogger(__name__)

DELAY = timedelta(hours=1)
"""Time until a content is deleted, and during which one that is put again is kept."""
BATCH_SIZE = 100


def discard(connection: Connection, digests: Collection[str]) -> None:
    """Note contents whose rows the transaction deletes or blanks. Empty digests are ignored."""
    found = select(DiscardedFile.digest).where(DiscardedFile.digest.in_(digests))
    if new := {*digests} - {"", *connection.scalars(found)}:
        at = database_now()
        connection.execute(insert(DiscardedFile), [{"digest": digest, "at": at} for digest in sorted(new)])


def contents_of(connection: Connection, message_ids: Collection[int]) -> set[str]:
    """Return the digests of the files of messages."""
    found = select(Media.digest, Media.thumbnail, Media.playable).where(Media.message_id.in_(message_ids))
    return {digest for row in connection.execute(found) for digest in row}


def delete_discarded(engine: Engine, store: BlobStore, now: datetime) -> None:
    """Delete the contents that were discarded before and that no row names.

    Those that cannot be deleted now are tried again in the next round.
    """
    due = select(DiscardedFile.digest).where(DiscardedFile.at <= now - DELAY)
    due = due.order_by(DiscardedFile.digest).limit(BATCH_SIZE)
    last = ""
    while True:
        with engine.connect() as connection:
            digests = connection.scalars(due.where(DiscardedFile.digest > last)).all()
            used = {digest for digest in digests if connection.scalar(_is_used(digest))}
        if not digests:
            return
        last = digests[-1]
        done = [digest for digest in digests if digest in used or _delete(store, digest, now)]
        write(engine, delete(DiscardedFile).where(DiscardedFile.digest.in_(done)))


def _delete(store: BlobStore, digest: str, now: datetime) -> bool:
    """Delete a content; False if it has to be looked at again: it was put again, but no row has it yet."""
    try:
        return store.delete(digest, now - DELAY)
    except OSError as error:
        log.warning("a discarded file could not be deleted: %s", error)
        return False


def _is_used(digest: str) -> Select[tuple[bool]]:
    tables = Media, LibraryFile
    names = [or_(each.digest == digest, each.thumbnail == digest, each.playable == digest) for each in tables]
    return select(or_(*(exists().where(name) for name in names)))
