"""Download, validation and storage of the media files of messages, which the table `media` tracks."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, insert, or_, select, update
from sqlalchemy.sql import Update

from ... import logs
from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction, write
from ...jobs import Enqueue, Job
from ...models import Direction, Media, MediaState, MessageLog
from ...wechat.api import Download, WeChatClient
from ...wechat.api.pictures import Pictures
from ...wechat.errors import APIError, Forbidden, NotFound, TooLarge
from .. import audit
from ..accounts.capabilities import Capabilities, Feature
from ..audit import Actor
from .blobs import BlobStore
from .converter import Converter
from .discarding import discard
from .formats import (
    AMR,
    BMP,
    FORMATS,
    MP3,
    WEBP,
    MediaFormat,
    RefusalReason,
    RefusedMedia,
    detect,
    duration,
    identify,
    identify_received,
    seconds,
)
from .pictures import as_jpeg, is_animated

log = logging.getLogger(__name__)

LIFETIME = timedelta(days=3)
"""Time for which the platform keeps a file (section 7.7)."""
RETRY_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (10, 30, 120, 480, 1440))
"""Delays between attempts to download a file. During the first one, an attempt also excludes others."""

THUMBNAIL_SIDE = 480
"""Length of the longer side of a thumbnail, in pixels."""
MAX_THUMBNAIL_BYTES = 64 << 10
"""Maximum size of a thumbnail in bytes, which suits the thumb of a video, too (section 7.7)."""

MEDIA_FIELDS = {
    "image": {"image": "MediaId"},
    "voice": {"voice": "MediaId"},
    "video": {"video": "MediaId", "thumb": "ThumbMediaId"},
    "shortvideo": {"video": "MediaId", "thumb": "ThumbMediaId"},
}
"""For each kind of message, the kinds of its files and the fields with their media ids (section 3)."""

MAX_UPLOAD_BYTES = {"image": 2 << 20, "voice": 2 << 20, "video": 10 << 20}
"""Maximum size in bytes that the platform accepts, by kind (section 7.7)."""
MAX_UPLOAD_SECONDS = 60
MAX_UPLOAD_SIDE = 2560
"""Length of the longer side of a picture that has to be reduced, in pixels."""


def request_downloads(connection: Connection, rows: Iterable[Row[Any]]) -> None:
    """Add `WANTED` rows for the files of incoming messages, and `EXPIRED` ones for those of old messages."""
    oldest = database_now() - LIFETIME
    wanted = [
        {
            "message_id": row.id,
            "kind": kind,
            "media_id": media_id,
            "state": MediaState.WANTED if row.created_at > oldest else MediaState.EXPIRED,
            "created_at": row.received_at,
        }
        for row in rows
        if row.direction == Direction.IN
        for kind, field in MEDIA_FIELDS.get(row.kind, {}).items()
        if (media_id := _text(row.payload, field)) and len(media_id) <= 128
    ]
    if wanted:
        connection.execute(insert(Media), wanted)


def _text(payload: Any, name: str) -> str:
    value = payload.get(name)
    return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class StoredFile:
    """A file in the store. The fields are columns of `Media`."""

    digest: str
    content_type: str
    size: int
    thumbnail: str
    playable: str
    seconds: int


@dataclass(eq=False)
class Archive:
    """Downloads, validates and stores media files."""

    engine: Engine
    store: BlobStore
    client: WeChatClient | None
    """None if the account has no API; pictures can be downloaded without it."""
    pictures: Pictures
    capabilities: Capabilities
    converter: Converter
    enqueue: Enqueue
    max_bytes: int
    """Maximum size of a file."""

    # Files of followers

    def download(self, row_id: int) -> None:
        """Download the file of a `WANTED` row if an attempt is due and no other process makes one."""
        claimed = _claim(self.engine, row_id, database_now())
        if claimed is None:
            return
        with logs.about(message_id=claimed.message_id, dedup_key=claimed.dedup_key):
            self._download(row_id, claimed)

    def _download(self, row_id: int, claimed: Row[Any]) -> None:
        changes = self._outcome(claimed)
        # An attempt that took so long that another process made one meanwhile changes nothing.
        unchanged = Media.state == MediaState.WANTED, Media.attempts == claimed.attempts
        self._store_outcome(update(Media).where(Media.id == row_id, *unchanged), changes)
        level = logging.INFO if changes["state"] == MediaState.STORED else logging.WARNING
        log.log(level, "file %d: %s %s", row_id, changes["state"], changes["error"])

    @retry_conflicts
    def _store_outcome(self, this: Update, changes: dict[str, Any]) -> None:
        """Change the row of a file. If it was deleted meanwhile, the content is discarded."""
        with transaction(self.engine) as connection:
            if not connection.execute(this.values(changes)).rowcount:
                discard(connection, [changes.get(name, "") for name in ("digest", "thumbnail", "playable")])

    def download_due(self, limit: int = 20) -> int:
        """Download up to `limit` files that are due, oldest first. Return the number of attempts."""
        due = select(Media.id).where(Media.state == MediaState.WANTED, _is_due(database_now()))
        with self.engine.connect() as connection:
            ids = connection.scalars(due.order_by(Media.id).limit(limit)).all()
        for row_id in ids:
            self.download(row_id)
        return len(ids)

    def retry(self, actor: Actor, row_id: int) -> None:
        """Let a worker download the file of a `FAILED` row again; rows in other states stay as they are."""
        if self._reset(actor, row_id):
            self.enqueue(Job.FETCH_MEDIA, row_id, 0)

    @retry_conflicts
    def _reset(self, actor: Actor, row_id: int) -> bool:
        failed = update(Media).where(Media.id == row_id, Media.state == MediaState.FAILED)
        again = {"state": MediaState.WANTED, "attempts": 0, "tried_at": None, "error": ""}
        with transaction(self.engine) as connection:
            if changed := connection.execute(failed.values(again)).rowcount:
                audit.record(connection, actor, "media_retried", f"media:{row_id}")
            return changed == 1

    def _outcome(self, claimed: Row[Any]) -> dict[str, Any]:
        """Download and store the file of a claimed row. Return the new values of the row."""
        try:
            content = self._download_file(claimed).content
            stored = self._store_file(content, identify_received(claimed.kind, content, self.max_bytes))
        except RefusedMedia as refused:
            return {"state": MediaState.REFUSED, "error": refused.reason}
        except TooLarge:
            return {"state": MediaState.REFUSED, "error": RefusalReason.TOO_LARGE}
        except NotFound as error:
            return {"state": MediaState.EXPIRED, "error": str(error)[:255]}
        except (APIError, OSError) as error:
            is_final = isinstance(error, Forbidden) or claimed.attempts > len(RETRY_DELAYS)
            state = MediaState.FAILED if is_final else MediaState.WANTED
            return {"state": state, "error": str(error)[:255]}
        stored_at = database_now()
        return {"state": MediaState.STORED, "error": "", "stored_at": stored_at, **asdict(stored)}

    def _download_file(self, claimed: Row[Any]) -> Download:
        """Download a file from the API or, for pictures, from the URL in the push if the API fails."""
        try:
            return self._download_from_api(claimed)
        except APIError as error:
            url = _text(claimed.payload, "PicUrl") if claimed.kind == "image" else ""
            try:
                return self.pictures.fetch(url, self.max_bytes)
            except APIError:
                raise error from None

    def _download_from_api(self, claimed: Row[Any]) -> Download:
        if not self.client or not self.capabilities.allows(claimed.account_id, Feature.MEDIA):
            raise Forbidden(48001, "the account has no API for files")
        try:
            return self.client.media.download(claimed.media_id, self.max_bytes)
        except Forbidden:
            self.capabilities.record_response(claimed.account_id, Feature.MEDIA, allowed=False)
            raise

    # Files of operators

    def store_upload(self, content: bytes, kind: str) -> StoredFile:
        """Store an image, voice or video that the platform accepts (section 7.7).

        BMP pictures are converted, and pictures that are too large reduced. `asdict` of the result gives the
        values of a `STORED` row.

        :raises RefusedMedia: if the platform would not accept the file.
        """
        if kind == "image" and detect(content) is BMP and len(content) <= self.max_bytes:
            content = as_jpeg(content, BMP.decoder, MAX_UPLOAD_SIDE, MAX_UPLOAD_BYTES[kind])
        format_ = identify(kind, content, self.max_bytes)
        if kind == "image" and (len(content) > MAX_UPLOAD_BYTES[kind] or format_ is WEBP):
            if is_animated(content, format_.decoder):
                raise RefusedMedia(RefusalReason.FORMAT if format_ is WEBP else RefusalReason.TOO_LARGE)
            content = as_jpeg(content, format_.decoder, MAX_UPLOAD_SIDE, MAX_UPLOAD_BYTES[kind])
            format_ = FORMATS["image/jpeg"]
        if len(content) > MAX_UPLOAD_BYTES[kind]:
            raise RefusedMedia(RefusalReason.TOO_LARGE)
        if kind == "voice":
            if format_ not in {AMR, MP3}:
                raise RefusedMedia(RefusalReason.FORMAT)
            if duration(content, format_) > MAX_UPLOAD_SECONDS:
                raise RefusedMedia(RefusalReason.TOO_LONG)
        return self._store_file(content, format_)

    def read(self, digest: str) -> bytes:
        """Return a whole content.

        :raises FileNotFoundError: if it is not stored.
        :raises OSError: if the store cannot be reached.
        """
        return b"".join(self.store.open(digest))

    # Both

    def convert_voices(self) -> int:
        """Convert the voices that were stored while ffmpeg was missing. Return their number."""
        unconverted = select(Media.id, Media.digest, Media.content_type).where(
            Media.state == MediaState.STORED, Media.kind == "voice", Media.playable == ""
        )
        with self.engine.connect() as connection:
            rows = connection.execute(unconverted).all()
        converted = 0
        for row in rows:
            playable = self._playable(self.read(row.digest), FORMATS[row.content_type])
            if playable:
                converted += write(
                    self.engine, update(Media).where(Media.id == row.id).values(playable=playable)
                )
        return converted

    def _store_file(self, content: bytes, format_: MediaFormat) -> StoredFile:
        thumbnail = self._thumbnail(content, format_)
        playable = self._playable(content, format_)
        thumbnail_digest = self.store.put(thumbnail) if thumbnail else ""
        digest = self.store.put(content)
        return StoredFile(
            digest, format_.content_type, len(content), thumbnail_digest, playable, seconds(content, format_)
        )

    def _thumbnail(self, content: bytes, format_: MediaFormat) -> bytes:
        """Return a small JPEG, or nothing if the file is no picture and no video with a frame to decode.

        :raises RefusedMedia: if a picture is damaged or has too many pixels.
        """
        if format_.kind == "image":
            return as_jpeg(content, format_.decoder, THUMBNAIL_SIDE, MAX_THUMBNAIL_BYTES)
        poster = self.converter.poster(content, format_.decoder) if format_.kind == "video" else b""
        return as_jpeg(poster, "PNG", THUMBNAIL_SIDE, MAX_THUMBNAIL_BYTES) if poster else b""

    def _playable(self, content: bytes, format_: MediaFormat) -> str:
        """Return the digest of a version that browsers play, or "" if there is none."""
        if format_.kind not in {"voice", "video"}:
            return ""
        if not format_.web_playable:
            content = self.converter.mp3(content, format_.decoder)
        return self.store.put(content) if content else ""


def _is_due(now: datetime) -> ColumnElement[bool]:
    retry_due = [
        and_(Media.attempts == attempts, Media.tried_at <= now - delay)
        for attempts, delay in enumerate(RETRY_DELAYS, 1)
    ]
    interrupted = and_(Media.attempts > len(RETRY_DELAYS), Media.tried_at <= now - RETRY_DELAYS[-1])
    return or_(Media.tried_at.is_(None), *retry_due, interrupted)


@retry_conflicts
def _claim(engine: Engine, row_id: int, now: datetime) -> Row[Any] | None:
    """Claim a `WANTED` row for the caller. Return None if it is not due or was claimed by another process."""
    due = update(Media).where(Media.id == row_id, Media.state == MediaState.WANTED, _is_due(now))
    with transaction(engine) as connection:
        if not connection.execute(due.values(attempts=Media.attempts + 1, tried_at=now)).rowcount:
            return None
        of_file = Media.kind, Media.media_id, Media.attempts, Media.message_id
        of_message = MessageLog.account_id, MessageLog.payload, MessageLog.dedup_key
        found = select(*of_file, *of_message).join(MessageLog, MessageLog.id == Media.message_id)
        return connection.execute(found.where(Media.id == row_id)).one()
