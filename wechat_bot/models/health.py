"""Statistics of API calls and of requests to the callback, and the processes of the program."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Model
from .columns import ROW_ID, UTCDateTime, exact


class CallCount(Model):
    """Calls of one path of the API in one hour that ended with the same errcode."""

    __tablename__ = "call_counts"

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
    """How often requests to the callback, which were no ordinary push, ended in a certain way."""

    __tablename__ = "callback_outcomes"

    outcome: Mapped[str] = mapped_column(exact(32), primary_key=True)
    times: Mapped[int] = mapped_column(default=0)
    first_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_at: Mapped[datetime] = mapped_column(UTCDateTime)
    detail: Mapped[str] = mapped_column(String(255), default="")
    """What the last one looked like."""


SLOT_SECONDS = 300


class PushCount(Model):
    """How many pushes of an account there were in a slot of five minutes, and how they went."""

    __tablename__ = "push_counts"

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Slots since 1970, UTC."""
    pushes: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    """Those that the program could not take, so that the platform pushes again or gives up."""
    slow: Mapped[int] = mapped_column(default=0)
    """Those that took longer than 4 seconds without waiting for a slow handler."""


def slot_of(moment: datetime) -> int:
    return int(moment.timestamp()) // SLOT_SECONDS


class Worker(Model):
    """A process that does background jobs."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(exact(128), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)


class HandlerProcess(Model):
    """A process that runs slow handlers, with its figures as of `seen_at`."""

    __tablename__ = "handler_processes"

    name: Mapped[str] = mapped_column(exact(96), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    running: Mapped[int] = mapped_column(default=0)
    """Slow handlers that run now."""
    max_running: Mapped[int] = mapped_column(default=0)
    waiting: Mapped[int] = mapped_column(default=0)
    """Messages whose pushes wait for an answer now."""
    max_waiting: Mapped[int] = mapped_column(default=0)
    p95_ms: Mapped[int | None]
    """How long 19 of 20 recent runs of slow handlers took at most; None before the first."""
