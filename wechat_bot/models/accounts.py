"""Official Accounts, their access tokens and their API permissions."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Model
from .columns import ROW_ID, UTCDateTime, exact


class Account(Model):
    """An Official Account. The one of the environment has its app id, or none."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    app_id: Mapped[str] = mapped_column(exact(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    refused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the platform last refused messages because of the account, such as its token; None since it has
    taken one."""
    quota_cleared_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the quotas of the API were last cleared, or could not be cleared again that month."""
    quota_clears: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often they were cleared in that month."""


class AccessToken(Model):
    """A token or ticket of the API that all processes share."""

    __tablename__ = "access_tokens"

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(exact(32), primary_key=True)
    value: Mapped[str] = mapped_column(exact(1024), default="")
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    refreshing_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Until then the process that set it may fetch a new one alone."""


class Capability(Model):
    """Whether the account may use a feature of the platform, as the platform or an operator said."""

    __tablename__ = "capabilities"

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    feature: Mapped[str] = mapped_column(exact(32), primary_key=True)
    allowed: Mapped[bool]
    by_operator: Mapped[bool] = mapped_column(default=False)
    """An operator decided it; the platform's answers do not change it."""
    kind: Mapped[str | None] = mapped_column(String(32))
    """The kind of the account (`AccountKind`) about which the platform said it; None: any."""
    at: Mapped[datetime] = mapped_column(UTCDateTime)
