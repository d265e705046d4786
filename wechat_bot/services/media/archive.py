"""Files of messages, from wanted to stored: what the table `media` says, and what is done about it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, insert, or_, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import Direction, Media, MediaState, MessageLog
from ...wechat.api import Download, WeChatClient
from ...wechat.api.pictures import Pictures
from ...wechat.errors import APIError, Forbidden, NotFound, TooLarge
from .. import audit
from ..accounts.capabilities import Capabilities, Feature
from ..audit import Actor
from .blobs import BlobStore
from .converter import Converter
from .formats import AMR, FORMATS, MP3, WEBP, MediaFormat, RefusalReason, RefusedMedia, check, seconds
from .pictures import as_jpeg, is_animated

log = logging.getLogger(__name__)

LIFETIME = timedelta(days=3)
"""So long the platform keeps a file (section 7.7)."""
RETRY_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (10, 30, 120, 480, 1440))
"""Between attempts to get a file. The first is also how long nobody else tries while one is at it."""

THUMBNAIL_SIDE = 480
"""Pixels of its longer side."""
MAX_THUMBNAIL_BYTES = 64 << 10
"""Bytes, so that it serves as the thumb of a video, too (section 7.7)."""

MEDIA_FIELDS = {
    "image": {"image": "MediaId"},
    "voice": {"voice": "MediaId"},
    "video": {"video": "MediaId", "thumb": "ThumbMediaId"},
    "shortvideo": {"video": "MediaId", "thumb": "ThumbMediaId"},
}
"""The files of a message by its kind: their kinds, and where the message names them (section 3)."""

MAX_SENT = {"image": 2 << 20, "voice": 2 << 20, "video": 10 << 20}
"""Bytes that the platform takes (section 7.7)."""
MAX_SENT_SECONDS = 60
MAX_SENT_SIDE = 2560
"""Pixels of the longer side of a picture that has to be made smaller."""


def request_downloads(connection: Connection, rows: Iterable[Row[Any]]) -> None:
    """Let the files of incoming messages be fetched; of old ones, remember that there were some."""
    oldest = datetime.now(UTC) - LIFETIME
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
    """A file in the store, as columns of `Media` whose meaning is told there."""

    digest: str
    content_type: str
    size: int
    thumbnail: str
    playable: str


class Archive:
    """Fetches, checks and keeps files.

    `client` is None where there is no API; pictures are there all the same. No file may have more than
    `max_bytes`.
    """

    def __init__(
        self,
        engine: Engine,
        store: BlobStore,
        client: WeChatClient | None,
        pictures: Pictures,
        capabilities: Capabilities,
        converter: Converter,
        max_bytes: int,
    ) -> None:
        self._engine = engine
        self.store = store
        self._client = client
        self._pictures = pictures
        self._capabilities = capabilities
        self.converter = converter
        self._max_bytes = max_bytes

    # What followers sent

    def fetch(self, row_id: int) -> None:
        """Get the file of a `WANTED` row if its turn has come and nobody else is at it."""
        claimed = _claim(self._engine, row_id, datetime.now(UTC))
        if claimed is None:
            return
        changes = self._outcome(claimed)
        _settle(self._engine, claimed, changes)
        level = logging.INFO if changes["state"] == MediaState.STORED else logging.WARNING
        log.log(level, "file %d: %s %s", row_id, changes["state"], changes["error"])

    def fetch_due(self, limit: int = 20) -> int:
        """Fetch what is wanted and has its turn, oldest first; how many files were tried."""
        due = select(Media.id).where(Media.state == MediaState.WANTED, _has_its_turn(datetime.now(UTC)))
        with self._engine.connect() as connection:
            ids = connection.scalars(due.order_by(Media.id).limit(limit)).all()
        for row_id in ids:
            self.fetch(row_id)
        return len(ids)

    @retry_conflicts
    def retry(self, actor: Actor, row_id: int) -> bool:
        """Let a file that could not be fetched be wanted again; False if it is not one of those."""
        with transaction(self._engine) as connection:
            changed = connection.execute(
                update(Media)
                .where(Media.id == row_id, Media.state == MediaState.FAILED)
                .values(state=MediaState.WANTED, attempts=0, tried_at=None, error="")
            )
            if changed.rowcount:
                audit.record(connection, actor, "media_retried", f"media:{row_id}")
            return changed.rowcount == 1

    def _outcome(self, claimed: Row[Any]) -> dict[str, Any]:
        """What becomes of a row: its file is fetched and kept, or not."""
        try:
            content = self._download(claimed).content
            kept = self._keep(content, check(claimed.kind, content, self._max_bytes))
        except RefusedMedia as refused:
            return {"state": MediaState.REFUSED, "error": refused.reason}
        except TooLarge:
            return {"state": MediaState.REFUSED, "error": RefusalReason.TOO_LARGE}
        except NotFound as error:
            return {"state": MediaState.EXPIRED, "error": str(error)[:255]}
        except (APIError, OSError) as error:
            last = isinstance(error, Forbidden) or claimed.attempts > len(RETRY_DELAYS)
            return {"state": MediaState.FAILED if last else MediaState.WANTED, "error": str(error)[:255]}
        stored_at = datetime.now(UTC)
        return {"state": MediaState.STORED, "error": "", "stored_at": stored_at, **asdict(kept)}

    def _download(self, claimed: Row[Any]) -> Download:
        """From the API, or else, for pictures, from where the push says."""
        try:
            return self._ask_api(claimed)
        except APIError as error:
            url = _text(claimed.payload, "PicUrl") if claimed.kind == "image" else ""
            try:
                return self._pictures.fetch(url, self._max_bytes)
            except APIError:
                raise error from None

    def _ask_api(self, claimed: Row[Any]) -> Download:
        if not self._client or not self._capabilities.allows(claimed.account_id, Feature.MEDIA):
            raise Forbidden(48001, "the account has no API for files")
        try:
            return self._client.media.download(claimed.media_id, self._max_bytes)
        except Forbidden:
            self._capabilities.learn(claimed.account_id, Feature.MEDIA, allowed=False)
            raise

    # What operators send

    def keep(self, content: bytes, kind: str) -> StoredFile:
        """Keep an image, voice or video as the platform takes it (section 7.7); RefusedMedia.

        Pictures that are too large are made smaller. With `asdict` it is a `STORED` row of the message.
        """
        format_ = check(kind, content, self._max_bytes)
        if kind == "image" and (len(content) > MAX_SENT[kind] or format_ is WEBP):
            if is_animated(content, format_.decoder):
                raise RefusedMedia(RefusalReason.FORMAT if format_ is WEBP else RefusalReason.TOO_LARGE)
            content = as_jpeg(content, format_.decoder, MAX_SENT_SIDE, MAX_SENT[kind])
            format_ = FORMATS["image/jpeg"]
        if len(content) > MAX_SENT[kind]:
            raise RefusedMedia(RefusalReason.TOO_LARGE)
        if kind == "voice":
            if format_ not in {AMR, MP3}:
                raise RefusedMedia(RefusalReason.FORMAT)
            if seconds(content, format_) > MAX_SENT_SECONDS:
                raise RefusedMedia(RefusalReason.TOO_LONG)
        return self._keep(content, format_)

    def read(self, digest: str) -> bytes:
        """A content as a whole; FileNotFoundError, OSError."""
        return b"".join(self.store.open(digest))

    # Both

    def convert(self) -> int:
        """Make what browsers play from voices that were stored without ffmpeg; how many."""
        silent = select(Media.id, Media.digest, Media.content_type).where(
            Media.state == MediaState.STORED, Media.kind == "voice", Media.playable == ""
        )
        with self._engine.connect() as connection:
            rows = connection.execute(silent).all()
        converted = 0
        for row in rows:
            playable = self._playable(self.read(row.digest), FORMATS[row.content_type])
            if playable:
                _note_playable(self._engine, row.id, playable)
                converted += 1
        return converted

    def _keep(self, content: bytes, format_: MediaFormat) -> StoredFile:
        thumbnail = self._thumbnail(content, format_)
        playable = self._playable(content, format_)
        return StoredFile(
            digest=self.store.put(content),
            content_type=format_.content_type,
            size=len(content),
            thumbnail=self.store.put(thumbnail) if thumbnail else "",
            playable=playable,
        )

    def _thumbnail(self, content: bytes, format_: MediaFormat) -> bytes:
        """A small JPEG; empty for voices, and for videos without a frame to show. RefusedMedia."""
        if format_.kind == "image":
            return as_jpeg(content, format_.decoder, THUMBNAIL_SIDE, MAX_THUMBNAIL_BYTES)
        poster = self.converter.poster(content, format_.decoder) if format_.kind == "video" else b""
        return as_jpeg(poster, "PNG", THUMBNAIL_SIDE, MAX_THUMBNAIL_BYTES) if poster else b""

    def _playable(self, content: bytes, format_: MediaFormat) -> str:
        """The digest of what browsers play; empty for pictures, and where there is nothing of that kind."""
        if format_.kind == "image":
            return ""
        if not format_.for_browsers:
            content = self.converter.mp3(content, format_.decoder)
        return self.store.put(content) if content else ""


def _has_its_turn(now: datetime) -> ColumnElement[bool]:
    later = [
        and_(Media.attempts == attempts, Media.tried_at <= now - pause)
        for attempts, pause in enumerate(RETRY_DELAYS, 1)
    ]
    interrupted = and_(Media.attempts > len(RETRY_DELAYS), Media.tried_at <= now - RETRY_DELAYS[-1])
    return or_(Media.tried_at.is_(None), *later, interrupted)


@retry_conflicts
def _claim(engine: Engine, row_id: int, now: datetime) -> Row[Any] | None:
    """A `WANTED` row that is the caller's to fetch; None if it is not its turn, or someone else's."""
    with transaction(engine) as connection:
        claimed = connection.execute(
            update(Media)
            .where(Media.id == row_id, Media.state == MediaState.WANTED, _has_its_turn(now))
            .values(attempts=Media.attempts + 1, tried_at=now)
        )
        if not claimed.rowcount:
            return None
        return connection.execute(
            select(
                Media.id,
                Media.kind,
                Media.media_id,
                Media.attempts,
                MessageLog.account_id,
                MessageLog.payload,
            )
            .join(MessageLog, MessageLog.id == Media.message_id)
            .where(Media.id == row_id)
        ).one()


@retry_conflicts
def _settle(engine: Engine, claimed: Row[Any], changes: dict[str, Any]) -> None:
    """Unless someone else tried meanwhile, as this one took too long."""
    still_mine = (Media.state == MediaState.WANTED, Media.attempts == claimed.attempts)
    with transaction(engine) as connection:
        connection.execute(update(Media).where(Media.id == claimed.id, *still_mine).values(changes))


@retry_conflicts
def _note_playable(engine: Engine, row_id: int, playable: str) -> None:
    with transaction(engine) as connection:
        connection.execute(update(Media).where(Media.id == row_id).values(playable=playable))
