"""Heartbeats of the worker processes, and the election of a leader."""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import Engine, delete, insert, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction, write
from ...models import HandlerProcess, Worker

log = logging.getLogger(__name__)

RETENTION = timedelta(days=1)
"""Time after its last heartbeat at which a worker is deleted from the table."""
HEARTBEAT_TIMEOUT = timedelta(minutes=1)
"""Time without a heartbeat after which a worker counts as dead."""


@retry_conflicts
def heartbeat(engine: Engine, name: str) -> None:
    """Record that the worker `name` is alive."""
    with transaction(engine) as connection:
        now = database_now()
        if not connection.execute(update(Worker).where(Worker.name == name).values(seen_at=now)).rowcount:
            connection.execute(insert(Worker).values(name=name, started_at=now, seen_at=now))
            connection.execute(delete(Worker).where(Worker.seen_at < now - RETENTION))


def sign_off(engine: Engine, name: str) -> None:
    """Record that the worker `name` has ended, or let it be found dead if the database is away."""
    try:
        write(engine, delete(Worker).where(Worker.name == name))
    except SQLAlchemyError as error:
        log.warning("the worker could not sign off: %s", str(error).partition("\n")[0])


def is_leader(engine: Engine, name: str) -> bool:
    """Whether the worker `name` is the leader, which does the tasks that only one worker may do."""
    alive = select(Worker.name).where(Worker.seen_at > database_now() - HEARTBEAT_TIMEOUT)
    with engine.connect() as connection:
        return connection.scalar(alive.order_by(Worker.started_at, Worker.name).limit(1)) == name


def running(engine: Engine) -> list[str]:
    """Return the names of the processes that have sent a heartbeat within `HEARTBEAT_TIMEOUT`."""
    tables = inspect(engine).get_table_names()
    since = database_now() - HEARTBEAT_TIMEOUT
    with engine.connect() as connection:
        return [
            name
            for model in (Worker, HandlerProcess)
            if model.__tablename__ in tables
            for name in connection.scalars(select(model.name).where(model.seen_at > since))
        ]
