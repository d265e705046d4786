"""The message log: messages in either direction, and their states."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import LASTING_IDS, Model
from .columns import LONG_TEXT, ROW_ID, UTCDateTime, exact


class Direction(StrEnum):
    IN = "in"
    OUT = "out"


class Channel(StrEnum):
    """How an outgoing message travels."""

    REPLY = "reply"
    """In the answer to a push."""
    CUSTOMER = "customer"
    """As a customer-service message, through the API."""


class MessageState(StrEnum):
    """Where a message stands.

    Incoming: `RECEIVED` (a slow handler is to answer it, and pushes wait) → perhaps `LATE` (no push waits any
    more) → `ANSWERED` or `FAILED`. Most are `ANSWERED` from the start.

    Outgoing: `READY` (for the follower's next push or message) → `SENT`; `QUEUED` (for the API) → `SENDING`
    → `SENT`, `FAILED`, `UNKNOWN` (it may have arrived) or back to `READY`; `WITHDRAWN` (by its operator,
    before it was sent); `WITHHELD` (an answer of the bot, not sent because a person answers the follower).
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
    WITHDRAWN = "withdrawn"
    WITHHELD = "withheld"


UNSETTLED = text("state NOT IN ('answered', 'sent')")
"""Messages that are being worked on, wait, or failed. Literal, so that SQLite uses the index on these few."""

UNFINISHED = frozenset({MessageState.RECEIVED, MessageState.LATE})
"""The states of messages that a slow handler has not answered yet."""
IS_UNFINISHED = text("state IN ('received', 'late')")
"""The same as a condition; together with `UNSETTLED` it uses that index."""


TAP_FIELD = "bizmsgmenuid"
"""The field of a text that a tap on an entry of a menu message sent (``wechat-platform.md`` section 3.2)."""


class MessageLog(Model):
    """A message in either direction. Newest first is by `id`."""

    __tablename__ = "message_logs"
    __table_args__ = (
        Index(None, "follower_id", "id"),
        Index("ix_message_logs_unsettled", "state", sqlite_where=UNSETTLED, postgresql_where=UNSETTLED),
        LASTING_IDS,
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
    dedup_key: Mapped[str | None] = mapped_column(exact(40), unique=True)
    """Incoming: equal for all pushes of the message. Its reply has the same with a suffix, so that there
    can be one only."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """Incoming: platform time. Outgoing: when it was written."""
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """Our time."""
    state: Mapped[MessageState] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=1)
    """Incoming: pushes that waited for the answer. Outgoing: calls of the API."""
    owner: Mapped[str | None] = mapped_column(String(96))
    """Incoming, `UNFINISHED`: the process (`HandlerProcess.name`) that runs the slow handler; None while the
    message is queued."""
    runs: Mapped[int] = mapped_column(default=0, server_default="0")
    """Incoming: how often its slow handler was started. More than once after a process died."""
    reply_id: Mapped[int | None] = mapped_column(ROW_ID)
    """Incoming: the stored message that was shown in answer, where that is the answer to an earlier message.
    No foreign key: MariaDB would copy the table for one."""
    latency_ms: Mapped[int | None] = mapped_column(Integer)
    origin: Mapped[str] = mapped_column(String(128), default="")
    """Who answered: a handler's name."""
    operator_id: Mapped[int | None] = mapped_column(ROW_ID)
    """The operator who wrote an outgoing message. No foreign key: MariaDB would copy the table for one."""
    errcode: Mapped[int | None]
    """Outgoing: the platform's code for the error, if it gave one."""
    error: Mapped[str] = mapped_column(String(255), default="")
