"""The timeline of a conversation: messages, events and internal notes in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import get_timezone
from sqlalchemy import Row, Select, null, select, union_all

from ....extensions import db
from ....models import HandoverEvent, Note, Operator
from ....services.conversations.handover import select_changes
from ....services.messages.history import MessagePage


@dataclass(frozen=True)
class TimelineEntry:
    """An entry of a timeline; `kind` is day, message, events, note, handover or change."""

    kind: str
    time: datetime
    value: Any


def timeline(rows: Iterable[Any], remarks: Iterable[Any]) -> list[TimelineEntry]:
    """Return messages and `remarks` by time, with an entry for each day in the operator's time zone.

    Consecutive events of one kind are one entry.
    """
    zone, entries, day = get_timezone(), [], None
    found = [(row.received_at, 0, row) for row in rows] + [(row.created_at, 1, row) for row in remarks]
    for time, is_remark, value in sorted(found, key=lambda each: (each[0], each[1], each[2].id)):
        if (local_date := time.astimezone(zone).date()) != day:
            day = local_date
            entries.append(TimelineEntry("day", time, day))
        if is_remark:
            entries.append(TimelineEntry("handover" if value.owner else "note", time, value))
        elif value.kind != "event":
            entries.append(TimelineEntry("message", time, value))
        elif entries[-1].kind == "events" and entries[-1].value[0].event == value.event:
            entries[-1].value.append(value)
        else:
            entries.append(TimelineEntry("events", time, [value]))
    return entries


def select_notes(follower_id: int) -> Select[*tuple[Any, ...]]:
    """Select the notes on a follower, with the columns of remarks."""
    return (
        select(
            Note.id,
            Note.created_at,
            Note.text,
            Operator.name.label("author"),
            null().label("owner"),
            null().label("reason"),
        )
        .join(Operator, Operator.id == Note.operator_id)
        .where(Note.follower_id == follower_id)
    )


def remarks(follower_id: int, page: MessagePage) -> Sequence[Row[Any]]:
    """Return the notes, and the changes of the owner, between the first and the last message of `page`.

    One statement reads both; notes have no `owner`.
    """
    first, last = _span(page)
    notes, changes = select_notes(follower_id), select_changes(follower_id)
    if first:
        notes, changes = notes.where(Note.created_at >= first), changes.where(HandoverEvent.at >= first)
    if last:
        notes, changes = notes.where(Note.created_at < last), changes.where(HandoverEvent.at < last)
    return db.session.execute(union_all(notes, changes)).all()


def _span(page: MessagePage) -> tuple[datetime | None, datetime | None]:
    """Return the times of the first and the last message of a page that is not the first, or the last."""
    times = [row.received_at for row in page.rows]
    return (min(times) if page.older and times else None, max(times) if page.newer and times else None)
