"""The tables. What is written to them is decided in `services`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from .extensions import Model


class UTCDateTime(TypeDecorator[datetime]):
    """A point in time: aware, in UTC, with microseconds, in every database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value if value.tzinfo is UTC else value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,
    ) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


ROW_ID = BigInteger().with_variant(Integer, "sqlite")
LONG_TEXT = Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def _exact(length: int) -> Any:
    """Text that is compared byte by byte, also where the database would fold case."""
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(binary, "mysql", "mariadb")


class Direction(StrEnum):
    IN = "in"
    OUT = "out"


class Channel(StrEnum):
    """How an outgoing message travels."""

    REPLY = "reply"
    """In the answer to a push."""
    CUSTOMER = "customer"
    """As a customer-service message, through the API."""


class State(StrEnum):
    """Where a message stands.

    Incoming: `RECEIVED` (a slow handler works on it) → perhaps `LATE` (the platform no longer waits for it)
    → `ANSWERED` or `FAILED`. Most are `ANSWERED` from the start.

    Outgoing: `READY` (for the follower's next push or message) → `SENT`; `QUEUED` (for the API) → `SENDING`
    → `SENT`, `FAILED`, `UNKNOWN` (it may have arrived) or back to `READY`.
    """

    RECEIVED = "received"
    ANSWERED = "answered"
    LATE = "late"
    FAILED = "failed"
    READY = "ready"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    UNKNOWN = "unknown"


OPEN = text("state IN ('received', 'late', 'queued', 'sending')")
"""Somebody works on these messages, or has crashed. Literal, so that SQLite uses the index on them."""


class Account(Model):
    """An Official Account. The one of the environment has its app id, or none."""

    __tablename__ = "accounts"
    __table_args__ = MYSQL

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    app_id: Mapped[str] = mapped_column(_exact(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    customer_service_refused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the platform last said that this account may not send customer-service messages (48001)."""


class Follower(Model):
    """Someone who follows or followed an account."""

    __tablename__ = "followers"
    __table_args__ = (UniqueConstraint("account_id", "openid"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    openid: Mapped[str] = mapped_column(_exact(64))
    subscribed: Mapped[bool] = mapped_column(default=True)
    status_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Platform time of the follow or unfollow that `subscribed` tells; older ones change nothing."""
    follow_count: Mapped[int] = mapped_column(default=0)
    scene: Mapped[str] = mapped_column(_exact(128), default="")
    """The scene of the QR code of the last follow."""
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Conversation(Model):
    """The dialogue with a follower: its session, and where it stands."""

    __tablename__ = "conversations"
    __table_args__ = MYSQL

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"), unique=True)
    state: Mapped[str | None] = mapped_column(String(64))
    session: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When `state` and `session` are forgotten."""
    version: Mapped[int] = mapped_column(default=0)
    """Counts the changes of `state` and `session`, so that none is lost."""
    ready_id: Mapped[int | None] = mapped_column(ROW_ID)
    """The oldest outgoing message that is `READY`."""


class MessageLog(Model):
    """A message in either direction. Newest first is by `id`."""

    __tablename__ = "message_logs"
    __table_args__ = (
        Index(None, "follower_id", "id"),
        Index("ix_message_logs_open", "state", sqlite_where=OPEN, postgresql_where=OPEN),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    follower_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("followers.id"))
    direction: Mapped[Direction] = mapped_column(String(3))
    channel: Mapped[Channel | None] = mapped_column(String(8))
    kind: Mapped[str] = mapped_column(String(64))
    event: Mapped[str] = mapped_column(String(64), default="")
    text: Mapped[str] = mapped_column(LONG_TEXT, default="")
    """What there is to read and to search."""
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Incoming: every field as received. Outgoing: the fields of the reply."""
    platform_id: Mapped[str] = mapped_column(String(64), default="")
    dedup_key: Mapped[str | None] = mapped_column(_exact(40), unique=True)
    """Incoming: equal for all pushes of the message. Its reply has the same with a suffix, so that there
    can be one only."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """Incoming: platform time. Outgoing: when it was written."""
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """Our time."""
    state: Mapped[State] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=1)
    """Incoming: pushes that waited for the answer. Outgoing: calls of the API."""
    latency_ms: Mapped[int | None] = mapped_column(Integer)
    origin: Mapped[str] = mapped_column(String(128), default="")
    """Who answered: a handler's name."""
    error: Mapped[str] = mapped_column(String(255), default="")
