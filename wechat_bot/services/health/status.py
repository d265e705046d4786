"""How the program is: whether messages can be recorded just now, and what it is busy with."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Row, func, literal, select, text, union_all, update
from sqlalchemy.exc import SQLAlchemyError

from ...database.transactions import transaction
from ...models import (
    UNSETTLED,
    Account,
    CallbackOutcome,
    CallCount,
    Direction,
    Follower,
    Media,
    MediaState,
    MessageLog,
    MessageState,
    Worker,
)

MAX_PUSHES = 50
"""So many of the newest pushes are looked at."""
CALL_PERIOD = timedelta(days=1)
"""So far back calls of the API are looked at."""
HEARTBEAT_TIMEOUT = timedelta(minutes=1)
"""A worker that was seen so recently is alive."""


def check_database(engine: Engine, migrations: str) -> str:
    """ "ok", or in a few words what keeps messages from being recorded. Writes, as recording does."""
    try:
        with engine.connect() as connection:
            present, wanted = revisions(connection, migrations)
        if present != wanted:
            return "not migrated"
        with transaction(engine) as connection:
            connection.execute(update(Account).values(app_id=Account.app_id))
    except SQLAlchemyError as error:
        return describe(error)
    return "ok"


def revisions(connection: Connection, migrations: str) -> tuple[str | None, str | None]:
    """The revision of the database, and that of the program."""
    present = MigrationContext.configure(connection).get_current_revision()
    return present, ScriptDirectory(migrations).get_current_head()


def describe(error: Exception) -> str:
    """What is wrong with the database, in words that tell no details."""
    words = str(error).lower()
    for part, reason in (
        ("readonly", "read-only"),
        ("read-only", "read-only"),
        ("is full", "disk full"),
        ("no space", "disk full"),
        ("locked", "locked"),
        ("lock wait", "locked"),
        ("lock timeout", "locked"),
    ):
        if part in words:
            return reason
    return "unreachable"


@dataclass(frozen=True)
class LiveWorker:
    """A process that does background jobs."""

    name: str
    started_at: datetime
    seen_at: datetime

    def is_alive(self, now: datetime) -> bool:
        return now - self.seen_at < HEARTBEAT_TIMEOUT


def workers(connection: Connection) -> list[LiveWorker]:
    """Those that have not signed off, the last seen first."""
    found = select(Worker.name, Worker.started_at, Worker.seen_at).order_by(Worker.seen_at.desc())
    return [LiveWorker(*row) for row in connection.execute(found)]


@dataclass(frozen=True)
class Backlog:
    """How many rows are in each state that is not the end."""

    incoming: dict[str, int]
    outgoing: dict[str, int]
    media: dict[str, int]


def backlog(connection: Connection) -> Backlog:
    """What waits or has failed, in one statement."""
    messages = (
        select(MessageLog.direction.label("of"), MessageLog.state.label("state"), func.count().label("rows"))
        .where(UNSETTLED, MessageLog.state != MessageState.WITHDRAWN)
        .group_by(MessageLog.direction, MessageLog.state)
    )
    media = (
        select(literal("media"), Media.state, func.count())
        .where(Media.state.in_((MediaState.WANTED, MediaState.FAILED)))
        .group_by(Media.state)
    )
    counts: dict[str, dict[str, int]] = {}
    found: Any = union_all(messages, media)
    for row in connection.execute(found):
        counts.setdefault(row.of, {})[str(row.state)] = row.rows
    return Backlog(counts.get(Direction.IN, {}), counts.get(Direction.OUT, {}), counts.get("media", {}))


@dataclass(frozen=True)
class Snapshot:
    """What the database knows of how it goes."""

    pushes: Sequence[Row[Any]]
    """The newest, see `last_pushes`."""
    requests: Mapping[str, CallbackOutcome]
    calls: Sequence[Row[Any]]
    """Of the last day, see `calls`."""
    backlog: Backlog
    workers: Sequence[LiveWorker]


def snapshot(engine: Engine, account_id: int) -> Snapshot:
    """The facts, in five statements."""
    with engine.connect() as connection:
        return Snapshot(
            last_pushes(connection, account_id, MAX_PUSHES),
            requests(connection),
            calls(connection, account_id, datetime.now(UTC) - CALL_PERIOD),
            backlog(connection),
            workers(connection),
        )


def last_pushes(connection: Connection, account_id: int, limit: int) -> Sequence[Row[Any]]:
    """The newest messages of followers and how they were answered, newest first."""
    found: Any = (
        select(
            MessageLog.id,
            MessageLog.kind,
            MessageLog.event,
            MessageLog.state,
            MessageLog.attempts,
            MessageLog.latency_ms,
            MessageLog.received_at,
        )
        .where(MessageLog.account_id == account_id, MessageLog.direction == Direction.IN)
        .order_by(MessageLog.id.desc())
        .limit(limit)
    )
    rows: Sequence[Row[Any]] = connection.execute(found).all()
    return rows


def requests(connection: Connection) -> dict[str, CallbackOutcome]:
    """By outcome, the requests to the callback that left no message."""
    found = select(CallbackOutcome.__table__)
    return {row.outcome: CallbackOutcome(**row._mapping) for row in connection.execute(found)}


def calls(connection: Connection, account_id: int, since: datetime) -> Sequence[Row[Any]]:
    """Calls of the API by path and errcode, in the hours from that of `since` on; failures first."""
    # The last message of an hour is that of the newest row: messages of one errcode hardly differ.
    total = func.sum(CallCount.calls)
    found: Any = (
        select(
            CallCount.path,
            CallCount.errcode,
            total.label("calls"),
            (func.sum(CallCount.milliseconds) / total).label("average"),
            func.max(CallCount.slowest).label("slowest"),
            func.max(CallCount.last_at).label("last_at"),
            func.max(CallCount.last_message).label("last_message"),
        )
        .where(CallCount.account_id == account_id, CallCount.hour >= int(since.timestamp()) // 3600)
        .group_by(CallCount.path, CallCount.errcode)
        .order_by(CallCount.errcode == 0, total.desc(), CallCount.path, CallCount.errcode)
    )
    rows: Sequence[Row[Any]] = connection.execute(found).all()
    return rows


def unsent(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Outgoing messages that failed or may have arrived, newest first."""
    found: Any = (
        select(
            MessageLog.id,
            MessageLog.follower_id,
            MessageLog.text,
            MessageLog.state,
            MessageLog.error,
            MessageLog.origin,
            MessageLog.received_at,
            Follower.openid,
            Follower.alias,
        )
        .join(Follower, Follower.id == MessageLog.follower_id)
        .where(
            UNSETTLED,
            MessageLog.direction == Direction.OUT,
            MessageLog.state.in_((MessageState.FAILED, MessageState.UNKNOWN)),
        )
        .order_by(MessageLog.id.desc())
        .limit(limit)
    )
    rows: Sequence[Row[Any]] = connection.execute(found).all()
    return rows


def unfetched(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Files of followers that could not be fetched, newest first."""
    found: Any = (
        select(Media.id, Media.message_id, Media.kind, Media.error, Media.tried_at)
        .where(Media.state == MediaState.FAILED)
        .order_by(Media.id.desc())
        .limit(limit)
    )
    rows: Sequence[Row[Any]] = connection.execute(found).all()
    return rows


_SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
    "mysql": "SELECT SUM(data_length + index_length) FROM information_schema.tables"
    " WHERE table_schema = DATABASE()",
}
_SIZE["mariadb"] = _SIZE["mysql"]


def database_size(connection: Connection) -> int:
    """Bytes that the database takes."""
    return int(connection.scalar(text(_SIZE[connection.dialect.name])) or 0)


def free_space(path: Path) -> int:
    """Bytes that are free where `path` is or will be; OSError."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
