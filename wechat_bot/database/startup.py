"""Before a program works with its database: waiting until it is there, and one upgrade at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from .transactions import write_lock

WAIT_SECONDS = 60.0
"""Seconds for which a database server that does not answer yet is waited for."""
RETRY_SECONDS = 1.0
"""Seconds between two attempts to reach it."""
LOCK_SECONDS = 0.2
"""Seconds between two attempts to get the lock of the upgrade."""

_PERMANENT = ("authentication failed", "access denied", "does not exist", "unknown database")
"""Parts of the messages of servers that answer, but refuse what DATABASE_URL asks for."""
_LOCK = {
    "postgresql": text("SELECT pg_try_advisory_lock(20260128)"),
    # These locks belong to the server, so that the name has that of the database, in 64 characters at most.
    "mysql": text("SELECT GET_LOCK(SHA1(CONCAT('wechat_bot ', DATABASE())), 0)"),
    "mariadb": text("SELECT GET_LOCK(SHA1(CONCAT('wechat_bot ', DATABASE())), 0)"),
}


def wait_until_reachable(
    engine: Engine,
    on_wait: Callable[[OperationalError], object],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait for the server of the database, which may be starting, for at most `WAIT_SECONDS`.

    `on_wait` is called once if that takes time, with the error. `clock` and `sleep` are replaced in tests.

    :raises OperationalError: the last error; at once if waiting does not help, as with a wrong password or a
        file of SQLite.
    """
    deadline, is_told = clock() + WAIT_SECONDS, False
    while True:
        try:
            engine.connect().close()
            return
        except OperationalError as error:
            message = str(error).lower()
            is_permanent = engine.dialect.name == "sqlite" or any(part in message for part in _PERMANENT)
            if is_permanent or clock() >= deadline:
                raise
            if not is_told:
                on_wait(error)
                is_told = True
        sleep(RETRY_SECONDS)


@contextmanager
def migration_lock(connection: Connection) -> Iterator[None]:
    """Let one process at a time change the tables, through `connection`. The others wait for it."""
    if connection.dialect.name == "sqlite":
        with write_lock(connection.engine):
            yield
        return
    connection.detach()  # the server ends the lock with the connection, which is closed instead of kept
    while not connection.scalar(_LOCK[connection.dialect.name]):
        time.sleep(LOCK_SECONDS)
    connection.commit()
    yield
