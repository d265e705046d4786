"""Pictures, voices and videos, which the platform keeps three days and we for good."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import ROW_ID, UTCDateTime, exact
from .imports import ImportColumns


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
    DELETED = "deleted"
    """It was deleted, as the account keeps files for a limited time."""


WANTED = text("state = 'wanted'")


class Media(Model):
    """A file that belongs to a message. What it contains is stored under the hash of its content."""

    __tablename__ = "media"
    __table_args__ = (
        UniqueConstraint("message_id", "kind"),
        Index("ix_media_wanted", "state", sqlite_where=WANTED, postgresql_where=WANTED),
        Index(None, "digest"),
        Index(None, "thumbnail"),
        Index(None, "playable"),
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
    seconds: Mapped[int] = mapped_column(default=0)
    """The duration of a voice; 0 where it is not known."""
    attempts: Mapped[int] = mapped_column(default=0)
    tried_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error: Mapped[str] = mapped_column(String(255), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    stored_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class DiscardedFile(Model):
    """A content of the store that a deleted row named. It is deleted, too, unless another row names it."""

    __tablename__ = "discarded_files"

    digest: Mapped[str] = mapped_column(exact(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class LibraryFile(Model):
    """A file with which the account answers. The row of a deleted file stays, for what still names it."""

    __tablename__ = "library_files"
    __table_args__ = (UniqueConstraint("account_id", "digest"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    kind: Mapped[str] = mapped_column(String(16))
    """image, voice or video."""
    name: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(exact(64))
    """SHA-256 of the content, as it is uploaded to the platform, in hexadecimal digits."""
    content_type: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    """Bytes."""
    thumbnail: Mapped[str] = mapped_column(exact(64), default="")
    """The digest of a small picture of it."""
    playable: Mapped[str] = mapped_column(exact(64), default="")
    """The digest of a form that browsers play."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class LibraryMediaId(Model):
    """The platform's copy of a file of the library: permanent material, or temporary, which expires."""

    __tablename__ = "library_media_ids"

    file_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("library_files.id"), primary_key=True)
    permanent: Mapped[bool] = mapped_column(primary_key=True)
    media_id: Mapped[str] = mapped_column(exact(128), default="")
    """Empty if no upload has succeeded."""
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """None for permanent material."""
    tried_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """When it was last uploaded, or could not be."""
    error: Mapped[str] = mapped_column(String(255), default="")
    """Why the last upload failed."""


class Material(Model):
    """A piece of the platform's permanent material that an import has seen: a file, or an article."""

    __tablename__ = "materials"
    __table_args__ = (UniqueConstraint("account_id", "media_id", "number"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    media_id: Mapped[str] = mapped_column(exact(128))
    """The platform's name for it."""
    number: Mapped[int] = mapped_column(default=0)
    """Counts the articles of the same material."""
    kind: Mapped[str] = mapped_column(String(16))
    """image, voice, video or news."""
    name: Mapped[str] = mapped_column(String(64))
    """The platform's name of a file, or the title of an article."""
    url: Mapped[str] = mapped_column(String(1024), default="")
    """The address of an article."""
    file_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("library_files.id"))
    """The file that it has become."""
    reason: Mapped[str] = mapped_column(String(255), default="")
    """Why it has become none: a reason of ours, or the platform's error."""


class MaterialImport(ImportColumns, Model):
    """A run through the platform's permanent material."""

    __tablename__ = "material_imports"
    __table_args__ = (MYSQL,)
