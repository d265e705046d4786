"""The audit log of the console."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import LONG_TEXT, ROW_ID, UTCDateTime, exact


class AuditEntry(Model):
    """Something that an operator did, or that happened to one.

    Nobody changes a row. But the erasure of a follower blanks `before`, `after` and `detail` of those that
    are about the follower, and the retention policy deletes old ones (`services.personal_data`).
    """

    __tablename__ = "audit_entries"
    __table_args__ = (Index(None, "subject", "id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    operator_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    operator: Mapped[str] = mapped_column(String(64), default="")
    """The name at that time, or the one that was tried."""
    action: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(exact(128), default="")
    """What it was done to: ``follower:12``, ``message:34``, ``operator:5``."""
    before: Mapped[Any] = mapped_column(JSON)
    after: Mapped[Any] = mapped_column(JSON)
    address: Mapped[str] = mapped_column(String(64), default="")
    detail: Mapped[str] = mapped_column(LONG_TEXT, default="")
    """In words, such as the filter of an export."""
