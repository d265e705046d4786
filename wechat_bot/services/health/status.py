"""The state of the program: the database, pushes, API calls, slow handlers, the backlog, and the workers."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, and_, case, func, literal, select, text, true, union_all, update
from sqlalchemy.exc import SQLAlchemyError

from ...database.clock import database_now
from ...database.transactions import transaction
from ...models import (
    IS_UNFINISHED,
    UNSETTLED,
    Account,
    AuditEntry,
    CallbackOutcome,
    CallCount,
    Direction,
    Follower,
    HandlerProcess,
    Media,
    MediaState,
    MessageLog,
    MessageState,
    Worker,
)
from ...models.projections import hour_of
from .heartbeats import HEARTBEAT_TIMEOUT

MAX_PUSHES = 50
"""Number of the latest pushes in a snapshot."""
CALL_PERIOD = timedelta(days=1)
"""Period of the API calls in a snapshot."""
FIGURES_TIMEOUT = timedelta(seconds=10)
"""Time after which the figures of a process that runs slow handlers no longer count."""
BACKUP_SUBJECT, BACKUP_TAKEN = "backup", "backup_taken"
"""Subject and action of the entry in the audit log that records a backup."""


_REASONS = {
    "readonly": "read-only",
    "read-only": "read-only",
    "is full": "disk full",
    "no space": "disk full",
    "locked": "locked",
    "lock wait": "locked",
    "lock timeout": "locked",
}
"""Reasons by parts of the databases' error messages."""


NEWER = "newer than this program"
"""The state of a database that a later release has upgraded.

It can be used, because an upgrade keeps what the release before needs (``docs/upgrades.md``).
"""
READY = {"ok", NEWER}
"""The states in which the database can be used."""


def check_database(engine: Engine, migrations: str) -> str:
    """Return one of `READY`, or a short reason why messages cannot be recorded.

    Writes to the database as a test.
    """
    state = check_schema(engine, migrations)
    if state not in READY:
        return state
    try:
        with transaction(engine) as connection:
            connection.execute(update(Account).values(app_id=Account.app_id))
    except SQLAlchemyError as error:
        return describe(error)
    return state


def check_schema(engine: Engine, migrations: str) -> str:
    """Return one of `READY`, or a short reason why the database cannot be used. Writes nothing."""
    try:
        with engine.connect() as connection:
            present, wanted = revisions(connection, migrations)
    except SQLAlchemyError as error:
        return describe(error)
    if present == wanted:
        return "ok"
    return NEWER if present and present not in _revisions(migrations) else "not migrated"


def revisions(connection: Connection, migrations: str) -> tuple[str | None, str | None]:
    """Return the schema revision of the database, and the one that the program requires."""
    present = MigrationContext.configure(connection).get_current_revision()
    return present, next(iter(_revisions(migrations)), None)


@cache
def _revisions(migrations: str) -> tuple[str, ...]:
    """Return all schema revisions that the program knows, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(migrations).walk_revisions())


def describe(error: Exception) -> str:
    """Return a short reason for an error of the database, which discloses no details."""
    message = str(error).lower()
    return next((reason for part, reason in _REASONS.items() if part in message), "unreachable")


@dataclass(frozen=True)
class Backlog:
    """Numbers of rows that are unfinished or have failed, by state."""

    incoming: dict[str, int]
    outgoing: dict[str, int]
    media: dict[str, int]


_ENDED = (MessageState.WITHDRAWN, MessageState.WITHHELD)
"""States of messages that nobody waits for."""


def backlog(connection: Connection, account_id: int | None) -> Backlog:
    """Count unfinished and failed messages and files of an account, None: of all, in one statement."""
    counted = true() if account_id is None else MessageLog.account_id == account_id
    messages = (
        select(MessageLog.direction, MessageLog.state, func.count())
        .where(counted, UNSETTLED, MessageLog.state.not_in(_ENDED))
        .group_by(MessageLog.direction, MessageLog.state)
    )
    media = (
        select(literal("media"), Media.state, func.count())
        .join(MessageLog, MessageLog.id == Media.message_id)
        .where(counted, Media.state.in_((MediaState.WANTED, MediaState.FAILED)))
        .group_by(Media.state)
    )
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    found: Any = union_all(messages, media)
    for source, state, rows in connection.execute(found):
        counts[source][str(state)] = rows
    return Backlog(counts[Direction.IN], counts[Direction.OUT], counts["media"])


@dataclass(frozen=True)
class SlowHandlers:
    """The slow handlers of all processes, and the messages that they have not answered yet."""

    processes: Sequence[HandlerProcess]
    """Those that have sent a heartbeat within `FIGURES_TIMEOUT`."""
    queued: int
    """Messages that no process handles."""
    oldest: float
    """Seconds since the oldest unanswered message was received; 0 if there is none."""
    oldest_queued: float
    """The same of the queued messages whose followers have no other message that is being handled."""

    @property
    def running(self) -> int:
        return sum(process.running for process in self.processes)

    @property
    def max_running(self) -> int:
        return sum(process.max_running for process in self.processes)

    @property
    def waiting(self) -> int:
        """Messages whose pushes wait for an answer."""
        return sum(process.waiting for process in self.processes)

    @property
    def max_waiting(self) -> int:
        return sum(process.max_waiting for process in self.processes)

    @property
    def fullest(self) -> HandlerProcess | None:
        """The process whose places for waiting messages are taken most: each has its own."""
        found = [process for process in self.processes if process.max_waiting]
        return max(found, key=lambda process: process.waiting / process.max_waiting, default=None)

    @property
    def p95_ms(self) -> int | None:
        """The largest of all processes; None before the first run."""
        return max((process.p95_ms for process in self.processes if process.p95_ms is not None), default=None)

    @property
    def is_unused(self) -> bool:
        """Whether no slow handler has run, runs, or will run."""
        return self.p95_ms is None and not self.running and not self.oldest


def slow_handlers(connection: Connection) -> SlowHandlers:
    """Read the figures of slow handlers, in two statements."""
    now = database_now()
    alive = select(HandlerProcess.__table__).where(HandlerProcess.seen_at > now - FIGURES_TIMEOUT)
    processes = [
        HandlerProcess(**row._mapping) for row in connection.execute(alive.order_by(HandlerProcess.name))
    ]
    unfinished, is_queued = (UNSETTLED, IS_UNFINISHED), MessageLog.owner.is_(None)
    busy = select(MessageLog.follower_id).where(*unfinished, ~is_queued, MessageLog.follower_id.is_not(None))
    is_next = and_(is_queued, func.coalesce(MessageLog.follower_id, 0).not_in(busy))
    queued, oldest, oldest_queued = connection.execute(
        select(
            func.count(case((is_queued, 1))),
            func.min(MessageLog.received_at),
            func.min(case((is_next, MessageLog.received_at))),
        ).where(*unfinished)
    ).one()
    return SlowHandlers(processes, queued, _age(oldest, now), _age(oldest_queued, now))


def _age(at: datetime | None, now: datetime) -> float:
    return max((now - at).total_seconds(), 0.0) if at else 0.0


@dataclass(frozen=True)
class Snapshot:
    """What the database knows about the state of the program."""

    pushes: Sequence[Any]
    """See `last_pushes`."""
    requests: Mapping[str, CallbackOutcome]
    """See `callback_outcomes`."""
    calls: Sequence[Any]
    """Calls of the API within `CALL_PERIOD`, see `api_calls`."""
    slow_handlers: SlowHandlers
    backlog: Backlog
    workers: Sequence[Worker]


def snapshot(engine: Engine, account_id: int) -> Snapshot:
    """Read a snapshot, in seven statements."""
    with engine.connect() as connection:
        return Snapshot(
            last_pushes(connection, account_id, MAX_PUSHES),
            callback_outcomes(connection),
            api_calls(connection, account_id, database_now() - CALL_PERIOD),
            slow_handlers(connection),
            backlog(connection, account_id),
            workers(connection),
        )


def workers(connection: Connection) -> list[Worker]:
    """Return the workers that have not signed off, some of which may be dead, latest heartbeat first."""
    found = select(Worker.__table__).order_by(Worker.seen_at.desc())
    return [Worker(**row._mapping) for row in connection.execute(found)]


def is_alive(worker: Worker) -> bool:
    return database_now() - worker.seen_at < HEARTBEAT_TIMEOUT


def last_pushes(connection: Connection, account_id: int, limit: int) -> Sequence[Any]:
    """Return the latest `limit` messages of followers and how they were answered, newest first."""
    return connection.execute(
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
    ).all()


def callback_outcomes(connection: Connection) -> dict[str, CallbackOutcome]:
    """Return the counts of requests to the callback that were no ordinary push, by outcome."""
    found = select(CallbackOutcome.__table__)
    return {row.outcome: CallbackOutcome(**row._mapping) for row in connection.execute(found)}


def api_calls(connection: Connection, account_id: int, since: datetime) -> Sequence[Any]:
    """Return the calls of the API by path and errcode since the hour of `since`, failures first."""
    # The maximum stands for the latest message: messages with the same errcode hardly differ.
    total = func.sum(CallCount.calls)
    return connection.execute(
        select(
            CallCount.path,
            CallCount.errcode,
            total.label("calls"),
            (func.sum(CallCount.milliseconds) / total).label("average"),
            func.max(CallCount.slowest).label("slowest"),
            func.max(CallCount.last_at).label("last_at"),
            func.max(CallCount.last_message).label("last_message"),
        )
        .where(CallCount.account_id == account_id, CallCount.hour >= hour_of(since))
        .group_by(CallCount.path, CallCount.errcode)
        .order_by(CallCount.errcode == 0, total.desc(), CallCount.path, CallCount.errcode)
    ).all()


def unsent(connection: Connection, account_id: int, limit: int) -> Sequence[Any]:
    """Return outgoing messages that failed or whose delivery is unknown, newest first."""
    return connection.execute(
        select(
            MessageLog.id,
            MessageLog.follower_id,
            MessageLog.text,
            MessageLog.state,
            MessageLog.errcode,
            MessageLog.error,
            MessageLog.operator_id,
            MessageLog.origin,
            MessageLog.received_at,
            Follower.openid,
            Follower.alias,
        )
        .join(Follower, Follower.id == MessageLog.follower_id)
        .where(
            MessageLog.account_id == account_id,
            UNSETTLED,
            MessageLog.direction == Direction.OUT,
            MessageLog.state.in_((MessageState.FAILED, MessageState.UNKNOWN)),
        )
        .order_by(MessageLog.id.desc())
        .limit(limit)
    ).all()


def failed_downloads(connection: Connection, account_id: int, limit: int) -> Sequence[Any]:
    """Return files of followers whose download failed, newest first."""
    return connection.execute(
        select(Media.id, Media.message_id, Media.kind, Media.error, Media.tried_at)
        .join(MessageLog, MessageLog.id == Media.message_id)
        .where(MessageLog.account_id == account_id, Media.state == MediaState.FAILED)
        .order_by(Media.id.desc())
        .limit(limit)
    ).all()


def last_backup(connection: Connection) -> datetime | None:
    """Return when the last backup was taken, or None if none ever was."""
    taken = AuditEntry.subject == BACKUP_SUBJECT, AuditEntry.action == BACKUP_TAKEN
    return connection.scalar(select(AuditEntry.at).where(*taken).order_by(AuditEntry.id.desc()).limit(1))


_SIZE_QUERIES = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
    "mysql": "SELECT SUM(data_length + index_length) FROM information_schema.tables"
    " WHERE table_schema = DATABASE()",
}
_SIZE_QUERIES["mariadb"] = _SIZE_QUERIES["mysql"]


def database_size(connection: Connection) -> int:
    """Return the size of the database in bytes."""
    return int(connection.scalar(text(_SIZE_QUERIES[connection.dialect.name])) or 0)


def free_space(path: Path) -> int:
    """Return the number of free bytes on the disk of `path`, which need not exist.

    :raises OSError: if the disk cannot be read.
    """
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
