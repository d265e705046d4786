"""The timeline of a conversation: messages, events and internal notes in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import get_timezone
from sqlalchemy import Row, Select, select

from ....extensions import db
from ....models import Note, Operator
from ....services.messages.history import MessagePage


@dataclass(frozen=True)
class TimelineEntry:
    """An entry of a timeline; `kind` is day, message, events, note or change."""

    kind: str
    time: datetime
    value: Any


def timeline(rows: Iterable[Any], notes: Iterable[Any]) -> list[TimelineEntry]:
    """Return messages and notes by time, with an entry for each day in the operator's time zone.

    Consecutive events of one kind are one entry.
    """
    zone, entries, day = get_timezone(), [], None
    found = [(row.received_at, 0, row) for row in rows] + [(note.created_at, 1, note) for note in notes]
    for time, is_note, value in sorted(found, key=lambda each: (each[0], each[1], each[2].id)):
        if (local_date := time.astimezone(zone).date()) != day:
            day = local_date
            entries.append(TimelineEntry("day", time, day))
        if is_note:
            entries.append(TimelineEntry("note", time, value))
        elif value.kind != "event":
            entries.append(TimelineEntry("message", time, value))
        elif entries[-1].kind == "events" and entries[-1].value[0].event == value.event:
            entries[-1].value.append(value)
        else:
            entries.append(TimelineEntry("events", time, [value]))
    return entries


def select_notes(follower_id: int) -> Select[Any]:
    return (
        select(Note.__table__, Operator.name.label("author"))
        .join(Operator, Operator.id == Note.operator_id)
        .where(Note.follower_id == follower_id)
    )


def notes_of(follower_id: int, page: MessagePage) -> Sequence[Row[Any]]:
    """Return the notes that were written between the first and the last message of `page`."""
    found = select_notes(follower_id)
    times = [row.received_at for row in page.rows]
    if page.older and times:
        found = found.where(Note.created_at >= min(times))
    if page.newer and times:
        found = found.where(Note.created_at < max(times))
    return db.session.execute(found.order_by(Note.created_at)).all()
