"""The index of hours: the first message of each, by which dates become ranges of ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ...models import HourIndex
from ...models.projections import hour_of


def update_hours(connection: Connection, messages: Iterable[Row[Any]]) -> None:
    """Add the hours of new messages, which are in the order of their ids, to the index."""
    first: dict[int, int] = {}
    for message in messages:
        first.setdefault(hour_of(message.received_at), message.id)
    if not first:
        return
    existing = connection.execute(select(HourIndex.hour, HourIndex.first_id).where(HourIndex.hour.in_(first)))
    known = {row.hour: row.first_id for row in existing}
    new = [{"hour": hour, "first_id": row_id} for hour, row_id in first.items() if hour not in known]
    if new:
        connection.execute(insert(HourIndex), new)
    for hour, row_id in known.items():
        if first[hour] < row_id:
            connection.execute(update(HourIndex).where(HourIndex.hour == hour).values(first_id=first[hour]))
