"""The columns of tables that keep every version of what operators edit."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from .columns import ROW_ID, UTCDateTime


class Change(StrEnum):
    """What was done to something that has versions."""

    CREATED = "created"
    EDITED = "edited"
    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"
    RESTORED = "restored"
    IMPORTED = "imported"


class VersionColumns:
    """A version: who made it, when, and what it is. Rows are added, never changed."""

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    operator_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    operator: Mapped[str] = mapped_column(String(64), default="")
    """The name at that time."""
    change: Mapped[Change] = mapped_column(String(16))
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
