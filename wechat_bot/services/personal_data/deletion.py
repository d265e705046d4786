"""Deletes messages with all that is made of them: files, search index, unanswered questions, and the like."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, inspect, select, tuple_, update

from ...database.transactions import retry_conflicts, transaction
from ...extensions import Model
from ...models import Conversation, Media, MessageLog, Progress
from ..media.discarding import contents_of, discard
from ..projections.projector import PROJECTED, index_tokens
from ..questions.forgetting import forget_messages
from ..search.index import MESSAGES

BATCH_SIZE = 100
"""Rows of one transaction. Pushes on SQLite wait while they are deleted."""


@retry_conflicts
def delete_messages(engine: Engine, *which: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Delete some messages, the oldest first, and return them with the columns of `PROJECTED`.

    Messages that a projection has still to process are left: it would store again what is deleted here.
    """
    with transaction(engine) as connection:
        overwrite_deleted(connection)
        first, last = _processed(connection)
        found = PROJECTED.where(*which, MessageLog.id.between(first, last))
        rows = connection.execute(found.order_by(MessageLog.id).limit(BATCH_SIZE)).all()
        if not rows:
            return []
        ids = [row.id for row in rows]
        discard(connection, contents_of(connection, ids))
        connection.execute(delete(Media).where(Media.message_id.in_(ids)))
        forget_messages(connection, ids)
        MESSAGES.withdraw(connection, index_tokens(rows))
        _leave_conversations(connection, {row.follower_id for row in rows} - {None}, ids)
        connection.execute(delete(MessageLog).where(MessageLog.id.in_(ids)))
    return rows


def overwrite_deleted(connection: Connection) -> None:
    """Let SQLite overwrite what the transaction deletes, in the database file, with zeros."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")


def _processed(connection: Connection) -> tuple[int, int]:
    """Return the first and the last id that all projections have processed, and keep them from going on."""
    found = select(Progress.name, Progress.watermark, Progress.gaps).order_by(Progress.name)
    found = found.where(Progress.name.in_(("messages", "questions", "rebuild")))
    rows = {row.name: row for row in connection.execute(found.with_for_update())}
    gaps = (gap[0] - 1 for gap in rows["messages"].gaps)
    return rows["rebuild"].watermark + 1, min(rows["messages"].watermark, rows["questions"].watermark, *gaps)


def _leave_conversations(
    connection: Connection, follower_ids: Collection[int], message_ids: Sequence[int]
) -> None:
    """Let conversations refer to deleted messages no more. One without messages is deleted."""
    of_followers = Conversation.follower_id.in_(follower_ids)
    connection.execute(delete(Conversation).where(of_followers, Conversation.last_id.in_(message_ids)))
    for column, nothing in ((Conversation.last_in_id, 0), (Conversation.waiting_id, None)):
        connection.execute(
            update(Conversation).where(of_followers, column.in_(message_ids)).values({column: nothing})
        )


@retry_conflicts
def delete_rows(engine: Engine, model: type[Model], which: ColumnElement[bool]) -> int:
    """Delete some of the rows that meet a condition, and return how many; 0 if there are none."""
    columns = inspect(model).primary_key
    with transaction(engine) as connection:
        overwrite_deleted(connection)
        found = select(*columns).where(which).limit(BATCH_SIZE)
        keys = [tuple(row) for row in connection.execute(found)]
        if keys:
            connection.execute(delete(model).where(tuple_(*columns).in_(keys)))
    return len(keys)


@retry_conflicts
def blank_rows(
    engine: Engine, model: Any, which: ColumnElement[bool], values: Mapping[str, Any], after: int
) -> int | None:
    """Change some of the rows that meet a condition and have ids beyond `after`.

    Returns the last of the ids; None if there are none.
    """
    with transaction(engine) as connection:
        overwrite_deleted(connection)
        found = select(model.id).where(which, model.id > after).order_by(model.id).limit(BATCH_SIZE)
        ids = connection.scalars(found).all()
        if ids:
            connection.execute(update(model).where(model.id.in_(ids)).values(**values))
    return ids[-1] if ids else None
