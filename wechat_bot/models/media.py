"""Pictures, voices and videos, which the platform keeps three days and we for good."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import ROW_ID, UTCDateTime, exact


class MediaState(StrEnum):
    WANTED = "wanted"
    """To be fetched from the platform."""
    STORED = "stored"
    EXPIRED = "expired"
    """The platform no longer has it."""
    REFUSED = "refused"
    """Not what it says it is, or too large; nothing is kept."""
    FAILED = "failed"
    """It could not be fetched; operators may try again."""


WANTED = text("state = 'wanted'")


class Media(Model):
    """A file that belongs to a message. What it contains is stored under the hash of its content."""

    __tablename__ = "media"
    __table_args__ = (
        UniqueConstraint("message_id", "kind"),
        Index("ix_media_wanted", "state", sqlite_where=WANTED, postgresql_where=WANTED),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    message_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("message_logs.id"))
    kind: Mapped[str] = mapped_column(String(16))
    """image, voice, video or thumb."""
    media_id: Mapped[str] = mapped_column(exact(128), default="")
    """The platform's name for it; of a file that an operator sends, empty until it is uploaded."""
    state: Mapped[MediaState] = mapped_column(String(8), default=MediaState.WANTED)
    digest: Mapped[str] = mapped_column(exact(64), default="")
    """SHA-256 of the content, in hexadecimal digits."""
    content_type: Mapped[str] = mapped_column(String(64), default="")
    """As the content shows."""
    size: Mapped[int] = mapped_column(default=0)
    """Bytes."""
    thumbnail: Mapped[str] = mapped_column(exact(64), default="")
    """The digest of a small picture of it."""
    playable: Mapped[str] = mapped_column(exact(64), default="")
    """The digest of a form that browsers play."""
    attempts: Mapped[int] = mapped_column(default=0)
    tried_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error: Mapped[str] = mapped_column(String(255), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    stored_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
