"""What asynchronous projections of the message log keep: their progress, and an index of hours."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Model
from .columns import ROW_ID, exact


class Progress(Model):
    """How far something that is derived from a table has come."""

    __tablename__ = "progress"

    name: Mapped[str] = mapped_column(exact(32), primary_key=True)
    watermark: Mapped[int] = mapped_column(ROW_ID, default=0)
    """All ids up to here are done, but for `gaps`."""
    gaps: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """Ids below the watermark that were not there yet: ``[first, last, Unix time of the row after them]``.
    Ids are given before they are committed, so a smaller one may show up later."""


class HourIndex(Model):
    """The first message of an hour: ids follow time, so that dates become ranges of ids."""

    __tablename__ = "hour_index"

    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Hours since 1970, UTC."""
    first_id: Mapped[int] = mapped_column(ROW_ID)


def hour_of(moment: datetime) -> int:
    return int(moment.timestamp()) // 3600
