"""Followers, their tags, and the synchronisation with the platform."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import LASTING_IDS, MYSQL, Model
from .columns import LONG_TEXT, ROW_ID, UTCDateTime, exact

HAS_SCENE = text("scene != ''")
"""Followers who came by a QR code that says where."""


class Follower(Model):
    """Someone who follows or followed an account."""

    __tablename__ = "followers"
    __table_args__ = (
        UniqueConstraint("account_id", "openid"),
        Index(None, "account_id", "last_seen_at", "id"),
        Index(None, "account_id", "subscribed", "status_at", "id"),
        Index(None, "account_id", "alias", "id"),
        Index(
            "ix_followers_scene",
            *("account_id", "scene", "last_seen_at", "id"),
            sqlite_where=HAS_SCENE,
            postgresql_where=HAS_SCENE,
        ),
        Index(
            "ix_followers_silent",
            *("account_id", "has_spoken", "last_seen_at", "id"),
            sqlite_where=text("has_spoken = 0"),
            postgresql_where=text("NOT has_spoken"),
        ),
        LASTING_IDS,
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    openid: Mapped[str] = mapped_column(exact(64))
    subscribed: Mapped[bool] = mapped_column(default=True)
    status_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Platform time of what `subscribed` tells: the last follow, unfollow, or act after an unfollow."""
    follow_count: Mapped[int] = mapped_column(default=0)
    scene: Mapped[str] = mapped_column(exact(128), default="")
    """The scene of the QR code of the last follow."""
    alias: Mapped[str] = mapped_column(String(64), default="")
    """What operators call the follower; the platform tells no names."""
    remark: Mapped[str] = mapped_column(String(64), default="")
    """What the account calls the follower at the platform, as of `synced_at`."""
    unionid: Mapped[str] = mapped_column(exact(64), default="")
    source: Mapped[str] = mapped_column(String(48), default="")
    """How the follower found the account, in the platform's words (subscribe_scene)."""
    subscribed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the follower last followed, as the platform tells."""
    synced_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """When the last push arrived, as far as the projections have come."""
    has_spoken: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether the follower ever sent a message, events not counted, as far as the projections have come."""


class Tag(Model):
    """A word that operators put on followers."""

    __tablename__ = "tags"
    __table_args__ = (UniqueConstraint("account_id", "name"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    name: Mapped[str] = mapped_column(exact(32))
    colour: Mapped[str] = mapped_column(String(16))
    platform_id: Mapped[int | None]
    """The platform's number of the tag of this name."""


class FollowerTag(Model):
    """A follower has a tag."""

    __tablename__ = "follower_tags"
    __table_args__ = (Index(None, "tag_id", "follower_id"), MYSQL)

    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("tags.id"), primary_key=True)


class SyncState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """It stopped with an error and goes on from `cursor` when it is started again."""


class FollowerSync(Model):
    """A run through the platform's list of followers."""

    __tablename__ = "follower_syncs"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    state: Mapped[SyncState] = mapped_column(String(8), default=SyncState.RUNNING)
    started_by: Mapped[str] = mapped_column(String(64), default="")
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """When it last got on."""
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cursor: Mapped[str] = mapped_column(exact(64), default="")
    """The last openid that is done."""
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    errcode: Mapped[int | None]
    error: Mapped[str] = mapped_column(String(255), default="")
    """Why it failed; until then, the names of the platform's records that make no sense."""


class UpdateKind(StrEnum):
    """What operators change of followers and the platform has to be told."""

    REMARK = "remark"
    TAG = "tag"
    UNTAG = "untag"


class PendingUpdate(Model):
    """A change of an operator that the platform does not know yet."""

    __tablename__ = "pending_updates"
    __table_args__ = (Index(None, "follower_id", "id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"))
    kind: Mapped[UpdateKind] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(LONG_TEXT)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    errcode: Mapped[int | None]
    error: Mapped[str] = mapped_column(String(255), default="")
