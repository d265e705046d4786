"""Erasures of followers' data, and for how long each kind of data is kept."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import ROW_ID, UTCDateTime


class Erasure(Model):
    """The erasure of a follower's data: what is to be done, or was done. Nothing in it tells who it was."""

    __tablename__ = "erasures"
    __table_args__ = (Index(None, "account_id", "id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    follower_id: Mapped[int] = mapped_column(ROW_ID)
    """The follower, whose row is deleted last."""
    operator_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    operator: Mapped[str] = mapped_column(String(64))
    """The name of the operator who began it, at that time."""
    begun_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    total: Mapped[int] = mapped_column(default=0)
    """The number of messages when it was begun."""
    done: Mapped[int] = mapped_column(default=0)
    """The number of messages that are deleted."""
    copies: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """Texts of operators that repeat a message word for word, as the audit log names them: ``pair:12``."""


class StoredRetentionPolicy(Model):
    """The policy of an account (`services.personal_data.retention.RetentionPolicy`)."""

    __tablename__ = "retention_policies"

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    version: Mapped[int] = mapped_column(default=1)
    """Counts its changes, so that none is lost."""
