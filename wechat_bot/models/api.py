"""What is known of the platform's API: tokens, what the account may use, how calls went."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Model
from .columns import LONG_TEXT, MYSQL, ROW_ID, UTCDateTime, exact


class AccessToken(Model):
    """A token or ticket of the API that all processes share."""

    __tablename__ = "access_tokens"
    __table_args__ = MYSQL

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(exact(32), primary_key=True)
    value: Mapped[str] = mapped_column(exact(1024), default="")
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    refreshing_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Until then the process that set it may fetch a new one alone."""


class Capability(Model):
    """Whether the account may use a feature of the platform, as the platform or an operator said."""

    __tablename__ = "capabilities"
    __table_args__ = MYSQL

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    feature: Mapped[str] = mapped_column(exact(32), primary_key=True)
    allowed: Mapped[bool]
    by_operator: Mapped[bool] = mapped_column(default=False)
    """An operator decided it; the platform's answers do not change it."""
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class CallCount(Model):
    """Calls of one path of the API in one hour that ended with the same errcode."""

    __tablename__ = "call_counts"
    __table_args__ = MYSQL

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Hours since 1970, UTC."""
    path: Mapped[str] = mapped_column(exact(96), primary_key=True)
    errcode: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """0: done."""
    calls: Mapped[int] = mapped_column(default=0)
    milliseconds: Mapped[int] = mapped_column(ROW_ID, default=0)
    """Of all calls together."""
    slowest: Mapped[int] = mapped_column(default=0)
    """Milliseconds."""
    last_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_message: Mapped[str] = mapped_column(String(255), default="")


class CallbackOutcome(Model):
    """How often requests to the callback ended in a certain way that leaves no message."""

    __tablename__ = "callback_outcomes"
    __table_args__ = MYSQL

    outcome: Mapped[str] = mapped_column(exact(32), primary_key=True)
    times: Mapped[int] = mapped_column(default=0)
    first_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_at: Mapped[datetime] = mapped_column(UTCDateTime)
    detail: Mapped[str] = mapped_column(String(255), default="")
    """What the last one looked like."""


class Worker(Model):
    """A process that does background jobs."""

    __tablename__ = "workers"
    __table_args__ = MYSQL

    name: Mapped[str] = mapped_column(exact(128), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SyncState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """It stopped with an error and goes on from `cursor` when it is started again."""


class FollowerSync(Model):
    """A run through the platform's list of followers."""

    __tablename__ = "syncs"
    __table_args__ = MYSQL

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
    error: Mapped[str] = mapped_column(String(255), default="")


class PendingUpdate(Model):
    """A change of an operator that the platform does not know yet."""

    __tablename__ = "writebacks"
    __table_args__ = (Index(None, "follower_id", "id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"))
    what: Mapped[str] = mapped_column(String(16))
    """"remark", "tag" or "untag"."""
    value: Mapped[str] = mapped_column(LONG_TEXT)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(String(255), default="")
