"""Alerts: the channels through which operators hear of followers while no browser is open."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import LONG_TEXT, ROW_ID, UTCDateTime, exact


class Occasion(StrEnum):
    """What a channel is told of."""

    WAITING = "waiting"
    """A follower waits for a person."""
    UNANSWERED = "unanswered"
    """A follower has waited for as many minutes as the channel names."""
    DIGEST = "digest"
    """A week is over."""
    STOPPED = "stopped"
    """No pushes come although some always do at this time."""
    FAILING = "failing"
    """Many pushes fail."""
    LATE = "late"
    """Many pushes take longer than 4 seconds."""


class AlertFailure(StrEnum):
    """Why an alert did not arrive."""

    UNREACHABLE = "unreachable"
    """No connection."""
    TIMEOUT = "timeout"
    PRIVATE = "private"
    """The host has an address that is not public."""
    REDIRECTED = "redirected"
    STATUS = "status"
    """An HTTP status other than 2xx."""
    UNREADABLE = "unreadable"
    """A robot's answer is not understood."""
    REFUSED = "refused"
    """The robot or the mail server said no."""
    SEALED = "sealed"
    """The address was sealed with a key that is gone."""
    NO_MAIL_SERVER = "no_mail_server"
    """The settings name none."""


class AlertChannel(Model):
    """A channel of an account, and what became of its last message."""

    __tablename__ = "alert_channels"
    __table_args__ = (Index(None, "account_id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`services.alerts.definitions.Channel`."""
    version: Mapped[int] = mapped_column(default=1)
    """Counts the changes by operators, so that none is lost."""
    sealed_url: Mapped[str] = mapped_column(LONG_TEXT, default="")
    """The address of a robot or webhook, which is a secret; empty for mail."""
    sealed_secret: Mapped[str] = mapped_column(LONG_TEXT, default="")
    """The secret of a robot's signatures; empty if it has none."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """Whoever began to wait before is no occasion."""
    next_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """No alert is sent before. Who moves it on sends the next one."""
    digest_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the last digest was sent."""
    troubles: Mapped[list[str] | None] = mapped_column(JSON)
    """The troubles with pushes (`Occasion`) that the channel was told of, and not yet that they are over."""
    failures: Mapped[int] = mapped_column(default=0)
    """The number of messages in a row that did not arrive."""
    failing_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the first of them was sent."""
    last_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the last message was sent, alerts and tests alike."""
    last_failure: Mapped[AlertFailure | None] = mapped_column(String(16))
    """Why it did not arrive; None if it did."""
    last_code: Mapped[int] = mapped_column(default=0)
    """The errcode or status of that answer."""
    last_detail: Mapped[str] = mapped_column(String(255), default="")
    """What the robot or the server said."""


class Alert(Model):
    """What a channel was told of a follower last, for each occasion."""

    __tablename__ = "alerts"

    channel_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("alert_channels.id"), primary_key=True)
    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"), primary_key=True)
    occasion: Mapped[Occasion] = mapped_column(exact(16), primary_key=True)
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    """Since when the follower waited."""
