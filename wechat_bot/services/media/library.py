"""The library: files with which the account answers, of which the platform has copies."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import PureWindowsPath
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, exists, insert, or_, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction, write
from ...models import LibraryFile, LibraryMediaId, Media, MediaState, MessageLog
from ...models.columns import storable
from ...models.rows import new_row
from ...wechat.api import WeChatClient
from ...wechat.errors import APIError, Forbidden, NotFound
from .. import audit
from ..accounts.capabilities import Capabilities, Feature
from ..audit import Actor
from .archive import LIFETIME, Archive, StoredFile
from .formats import BMP, FORMATS, RefusalReason, RefusedMedia, detect

log = logging.getLogger(__name__)

MAX_BYTES = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20}
"""Maximum size of a file in bytes, by kind. Pictures of more than 2 MB are reduced."""
MAX_NAME = 64
_OF_CONTENT = ("digest", "content_type", "size", "thumbnail", "playable")
"""Columns that are fields of `StoredFile`."""
RENEWAL_MARGIN = timedelta(hours=12)
"""Time before a temporary copy expires at which it is renewed."""
RETRY_DELAY = timedelta(minutes=10)
"""Time after a failed upload for which the worker leaves a file alone."""


@dataclass(frozen=True)
class Usage:
    """What uses a file."""

    subject: str
    """Kind and id, as in the audit log: ``rule:12``."""
    name: str


Usages = Mapping[int, Sequence[Usage]]
"""What uses files, by their ids."""


UsedBy = Callable[[Connection, int], Usages]
"""Returns what uses the files of an account."""


def together(*sources: UsedBy) -> UsedBy:
    """Return what tells the usages that all `sources` tell."""

    def used_by(connection: Connection, account_id: int) -> Usages:
        used: dict[int, list[Usage]] = defaultdict(list)
        for source in sources:
            for file_id, usages in source(connection, account_id).items():
                used[file_id] += usages
        return used

    return used_by


class LibraryProblem(StrEnum):
    UNKNOWN = "unknown"
    """There is no such file."""
    NAME = "name"
    """The name is blank."""
    IN_USE = "in_use"
    """Something uses the file."""


class LibraryError(Exception):
    """Nothing was changed."""

    def __init__(self, problem: LibraryProblem, usages: Sequence[Usage] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.usages = usages


@dataclass(eq=False)
class Library:
    """Keeps files, and knows the platform's copies of them."""

    engine: Engine
    client: WeChatClient | None
    """None if the account has no API."""
    capabilities: Capabilities
    archive: Archive
    used_by: UsedBy = together()

    # Files

    def add(self, actor: Actor, account_id: int, name: str, content: bytes) -> int:
        """Store a file that the platform accepts, and return its id.

        Content that the library has already stays one file with its name.

        :raises RefusedMedia: if the platform would not accept the file.
        """
        kind = kind_of(content)
        if len(content) > MAX_BYTES[kind]:
            raise RefusedMedia(RefusalReason.TOO_LARGE)
        return self._insert(actor, account_id, kind, name, self.archive.store_upload(content, kind))

    def add_received(self, actor: Actor, account_id: int, name: str, media_id: int) -> int:
        """Store the file of a message, as `add` does, and return its id.

        :raises LibraryError: if it is unknown, or not fetched.
        :raises RefusedMedia: if the platform would not accept the file.
        :raises OSError: if it cannot be read.
        """
        of_message = select(Media.digest).join(MessageLog, MessageLog.id == Media.message_id)
        stored = MessageLog.account_id == account_id, Media.id == media_id, Media.state == MediaState.STORED
        with self.engine.connect() as connection:
            digest = connection.scalar(of_message.where(*stored))
        if not digest:
            raise LibraryError(LibraryProblem.UNKNOWN)
        return self.add(actor, account_id, name, self.archive.read(digest))

    @retry_conflicts
    def _insert(self, actor: Actor, account_id: int, kind: str, name: str, stored: StoredFile) -> int:
        name = cleaned(PureWindowsPath(name).name) or kind
        content = {column: getattr(stored, column) for column in _OF_CONTENT}
        same = LibraryFile.account_id == account_id, LibraryFile.digest == stored.digest
        found = select(LibraryFile.id, LibraryFile.deleted_at).where(*same)
        with transaction(self.engine) as connection:
            known = connection.execute(found).one_or_none()
            if known and known.deleted_at is None:
                return int(known.id)
            if known:
                again = update(LibraryFile).where(LibraryFile.id == known.id)
                connection.execute(again.values(name=name, deleted_at=None))
            else:
                created = {"created_at": database_now(), "created_by": actor.operator_id}
                values = {"account_id": account_id, "kind": kind, "name": name, **created, **content}
                connection.execute(insert(LibraryFile).values(new_row(LibraryFile, **values)))
            file_id = connection.execute(found).one().id
            audit.record(connection, actor, "library_added", subject(file_id), after=name)
        return int(file_id)

    @retry_conflicts
    def rename(self, actor: Actor, account_id: int, file_id: int, name: str) -> None:
        """Give a file another name.

        :raises LibraryError: if it is unknown, or the name blank.
        """
        name = cleaned(name)
        if not name:
            raise LibraryError(LibraryProblem.NAME)
        with transaction(self.engine) as connection:
            before = _find(connection, account_id, file_id, lock=True).name
            if name != before:
                connection.execute(update(LibraryFile).where(LibraryFile.id == file_id).values(name=name))
                audit.record(
                    connection, actor, "library_renamed", subject(file_id), before=before, after=name
                )

    def delete(self, actor: Actor, account_id: int, file_id: int, *, with_copy: bool = False) -> None:
        """Delete a file, of which the content is kept for the messages with which it was sent.

        :param with_copy: whether to delete the platform's permanent copy, too.
        :raises LibraryError: if it is unknown, or in use.
        :raises APIError: if the platform does not delete the copy, such as 48005 for one that its menu uses.
        """
        if with_copy and self.client:
            with self.engine.connect() as connection:
                self._find_unused(connection, account_id, file_id)
            self._delete_copy(self.client, file_id)
        self._delete(actor, account_id, file_id)

    @retry_conflicts
    def _delete(self, actor: Actor, account_id: int, file_id: int) -> None:
        with transaction(self.engine) as connection:
            name = self._find_unused(connection, account_id, file_id, lock=True).name
            deleted = update(LibraryFile).where(LibraryFile.id == file_id)
            connection.execute(deleted.values(deleted_at=database_now()))
            audit.record(connection, actor, "library_deleted", subject(file_id), before=name)

    def _find_unused(
        self, connection: Connection, account_id: int, file_id: int, *, lock: bool = False
    ) -> Row[Any]:
        row = _find(connection, account_id, file_id, lock=lock)
        if usages := self.used_by(connection, account_id).get(file_id):
            raise LibraryError(LibraryProblem.IN_USE, usages)
        return row

    def _delete_copy(self, client: WeChatClient, file_id: int) -> None:
        this = LibraryMediaId.file_id == file_id, LibraryMediaId.permanent
        with self.engine.connect() as connection:
            media_id = connection.scalar(select(LibraryMediaId.media_id).where(*this))
        if not media_id:
            return
        with suppress(NotFound):  # somebody has deleted it
            client.material.delete(media_id)
        write(self.engine, delete(LibraryMediaId).where(*this))

    # Copies

    def media_id(self, account_id: int, file_id: int, now: datetime) -> str:
        """Return the id of a copy with which a file can be sent. The file is uploaded if the copy is old.

        Accounts that may not use temporary media have permanent copies.

        :raises LibraryError: if the file is unknown.
        :raises APIError: if there is no copy, and the platform does not take one.
        :raises OSError: if there is no copy, and the content cannot be read.
        """
        with self.engine.connect() as connection:
            row = _find(connection, account_id, file_id)
            fresh = find_media_id(connection, account_id, file_id, now + RENEWAL_MARGIN)
            usable = fresh or find_media_id(connection, account_id, file_id, now)
        if fresh:
            return fresh
        try:
            return self._upload(row, now)
        except (APIError, OSError):
            if usable:
                return usable
            raise

    def renew(self, account_id: int, now: datetime) -> int:
        """Upload the files in use whose copies are missing or expire soon. Return the number of uploads.

        The round ends with an upload that fails, because the next one would probably fail, too.
        """
        uploaded = 0
        for row in self._due(account_id, now):
            try:
                self._upload(row, now)
            except (APIError, OSError) as error:
                log.warning("file %d of the library was not uploaded: %s", row.id, error)
                break
            uploaded += 1
        return uploaded

    def _due(self, account_id: int, now: datetime) -> Sequence[Row[Any]]:
        settled = or_(
            _is_usable(now + RENEWAL_MARGIN),
            (LibraryMediaId.error != "") & (LibraryMediaId.tried_at > now - RETRY_DELAY),
        )
        with self.engine.connect() as connection:
            used = self.used_by(connection, account_id)
            due = select(LibraryFile.__table__).where(
                LibraryFile.account_id == account_id,
                LibraryFile.id.in_(list(used)),
                LibraryFile.id.not_in(select(LibraryMediaId.file_id).where(settled)),
            )
            return connection.execute(due.order_by(LibraryFile.id)).all()

    def _upload(self, file: Row[Any], now: datetime) -> str:
        temporary = self.capabilities.allows(file.account_id, Feature.MEDIA)
        try:
            return self._upload_as(file, now, permanent=not temporary)
        except Forbidden:
            if not temporary:
                raise
            self.capabilities.record_response(file.account_id, Feature.MEDIA, allowed=False)
            return self._upload_as(file, now, permanent=True)

    def _upload_as(self, file: Row[Any], now: datetime, *, permanent: bool) -> str:
        try:
            media_id = self._call(file, permanent=permanent)
        except (APIError, OSError) as error:
            _store(self.engine, file.id, permanent, tried_at=now, error=str(error)[:255])
            raise
        expires_at = None if permanent else now + LIFETIME
        _store(
            self.engine, file.id, permanent, tried_at=now, error="", media_id=media_id, expires_at=expires_at
        )
        return media_id

    def _call(self, file: Row[Any], *, permanent: bool) -> str:
        if not self.client:
            raise Forbidden(48001, "the account has no API for files")
        content = self.archive.read(file.digest)
        named = f"{file.kind}-{file.id}.{FORMATS[file.content_type].extension}"
        upload = content, file.content_type
        if not permanent:
            return self.client.media.upload(file.kind, named, *upload).media_id
        if file.kind == "video":
            return self.client.material.add_video(named, *upload, title=file.name, introduction="").media_id
        return self.client.material.add(file.kind, named, *upload).media_id


def kind_of(content: bytes) -> str:
    """Return the kind of a file by its first bytes: image, voice or video.

    :raises RefusedMedia: if it is empty, or of another kind.
    """
    if not content:
        raise RefusedMedia(RefusalReason.EMPTY)
    format_ = detect(content)
    if format_ is BMP:
        return "image"
    if format_.kind not in MAX_BYTES:
        raise RefusedMedia(RefusalReason.FORMAT)
    return format_.kind


def subject(file_id: int) -> str:
    """Return how the audit log calls a file."""
    return f"file:{file_id}"


def find_file(
    connection: Connection, account_id: int, file_id: int, *, lock: bool = False
) -> Row[Any] | None:
    """Return a file; with `lock`, no other transaction changes it meanwhile. None if it is unknown."""
    of_account = LibraryFile.account_id == account_id, LibraryFile.deleted_at.is_(None)
    found = select(LibraryFile.__table__).where(LibraryFile.id == file_id, *of_account)
    return connection.execute(found.with_for_update() if lock else found).one_or_none()


def find_media_id(connection: Connection, account_id: int, file_id: int, until: datetime) -> str | None:
    """Return the id of a copy of an account's file that can be sent `until` then. Makes no call."""
    this = LibraryFile.id == file_id, LibraryFile.account_id == account_id, LibraryFile.deleted_at.is_(None)
    usable = select(LibraryMediaId.media_id).join(LibraryFile).where(*this, _is_usable(until))
    return connection.scalar(usable.order_by(LibraryMediaId.permanent).limit(1))


def find_copy(connection: Connection, account_id: int, digest: str, until: datetime) -> str | None:
    """Return the id of a copy that can be sent `until` then, of a file with this content."""
    same = LibraryFile.account_id == account_id, LibraryFile.digest == digest
    file_id = connection.scalar(select(LibraryFile.id).where(*same))
    return find_media_id(connection, account_id, file_id, until) if file_id else None


def find_sendable(
    connection: Connection, account_id: int, file_ids: Collection[int], until: datetime
) -> dict[int, bool]:
    """Return those of the files that there are, and whether each has a copy that can be sent `until` then."""
    of_account = LibraryFile.account_id == account_id, LibraryFile.deleted_at.is_(None)
    has_copy = exists().where(LibraryMediaId.file_id == LibraryFile.id, _is_usable(until))
    found = select(LibraryFile.id, has_copy).where(LibraryFile.id.in_(file_ids), *of_account)
    return {file_id: bool(has_copy) for file_id, has_copy in connection.execute(found)}


def keep_permanent(connection: Connection, file_id: int, media_id: str) -> None:
    """Keep the id of a permanent copy that the platform has already, unless there is another."""
    this = LibraryMediaId.file_id == file_id, LibraryMediaId.permanent, LibraryMediaId.media_id != ""
    if not connection.scalar(select(LibraryMediaId.file_id).where(*this)):
        values = {"media_id": media_id, "expires_at": None, "tried_at": database_now(), "error": ""}
        _upsert(connection, file_id, True, **values)


def _is_usable(until: datetime) -> ColumnElement[bool]:
    lasts = or_(LibraryMediaId.permanent, LibraryMediaId.expires_at > until)
    return (LibraryMediaId.media_id != "") & lasts


def _find(connection: Connection, account_id: int, file_id: int, *, lock: bool = False) -> Row[Any]:
    """Return a file; with `lock`, no other transaction changes it meanwhile.

    :raises LibraryError: if it is unknown.
    """
    row = find_file(connection, account_id, file_id, lock=lock)
    if row is None:
        raise LibraryError(LibraryProblem.UNKNOWN)
    return row


def cleaned(name: str) -> str:
    """Return a name as it is stored."""
    return " ".join(storable(name).split())[:MAX_NAME].strip()


@retry_conflicts
def _store(engine: Engine, file_id: int, permanent: bool, **values: Any) -> None:
    with transaction(engine) as connection:
        _upsert(connection, file_id, permanent, **values)


def _upsert(connection: Connection, file_id: int, permanent: bool, **values: Any) -> None:
    this = LibraryMediaId.file_id == file_id, LibraryMediaId.permanent == permanent
    if not connection.execute(update(LibraryMediaId).where(*this).values(**values)).rowcount:
        row = new_row(LibraryMediaId, file_id=file_id, permanent=permanent, **values)
        connection.execute(insert(LibraryMediaId).values(row))
