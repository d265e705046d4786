"""The columns of tables of runs that import what an account has at the platform."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from .columns import ROW_ID, UTCDateTime


class ImportState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ImportColumns:
    """A run: who started it, how far it is, and how it ended."""

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), index=True)
    state: Mapped[ImportState] = mapped_column(String(8), default=ImportState.RUNNING)
    operator_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    operator: Mapped[str] = mapped_column(String(64))
    """The name of the operator who started it."""
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """When it last got on, or ended."""
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    """What is new here, or has changed."""
    errcode: Mapped[int | None]
    error: Mapped[str] = mapped_column(String(255), default="")
