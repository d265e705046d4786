"""Writing transactions: one at a time in a thread, queued on SQLite, and run again after a conflict."""

from __future__ import annotations

import fcntl
import functools
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, UpdateBase, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

P = ParamSpec("P")
R = TypeVar("R")


class WriteLock:
    """A lock that the processes which write to one SQLite file queue for; it guards nothing.

    SQLite's own busy handler polls with growing pauses, so that a writer can wait while later ones get the
    lock. `flock` blocks instead, and the kernel wakes the next waiter.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[int] = []
        """Open file descriptors. Two threads must not use one at once, as they would share the lock."""
        self._held = -1
        """The file descriptor of the thread that has the lock."""

    def __enter__(self) -> None:
        try:
            file = self._idle.pop()
        except IndexError:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except BaseException:
            os.close(file)
            raise
        self._held = file

    def __exit__(self, *error: object) -> None:
        file = self._held
        fcntl.flock(file, fcntl.LOCK_UN)
        self._idle.append(file)

    def close(self) -> None:
        """Close the files that nobody uses."""
        while self._idle:
            os.close(self._idle.pop())


_write_locks: WeakKeyDictionary[Engine, WriteLock] = WeakKeyDictionary()


def write_lock(engine: Engine) -> AbstractContextManager[None]:
    """Return the lock of an engine for SQLite. Other databases queue writers themselves."""
    if engine.dialect.name != "sqlite":
        return nullcontext()
    return _write_locks.get(engine) or _write_locks.setdefault(
        engine, WriteLock(f"{engine.url.database}-turn")
    )


@event.listens_for(Engine, "engine_disposed")
def _close_lock(engine: Engine) -> None:
    if lock := _write_locks.get(engine):
        lock.close()


in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)
"""Whether the current thread is inside a `transaction`."""


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A writing transaction: committed at the end, rolled back on an error. It makes no network calls.

    :raises RuntimeError: inside another transaction of the same thread.
    """
    if in_transaction.get():
        raise RuntimeError("transactions do not nest")
    token = in_transaction.set(True)
    try:
        writer = engine.execution_options(writes=True)
        with write_lock(engine), writer.begin() as connection:
            yield connection
    finally:
        in_transaction.reset(token)


MAX_PAUSE = 2.0
"""Longest time between two attempts of a transaction, in seconds."""


def retry_conflicts(function: Callable[P, R], attempts: int = 5) -> Callable[P, R]:
    """Run a function, which is one transaction, again after a conflict or a short loss of the database.

    After so many attempts the last error is raised.
    """

    @functools.wraps(function)
    def retried(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(1, attempts + 1):
            try:
                return function(*args, **kwargs)
            except (DBAPIError, NoConnection) as error:
                if attempt == attempts or not (is_transient(error) or isinstance(error, IntegrityError)):
                    raise
                time.sleep(min(random.uniform(0, 0.02) * 2**attempt, MAX_PAUSE))  # noqa: S311
        raise AssertionError("unreachable")

    return retried


def retry_outages(function: Callable[P, R]) -> Callable[P, R]:
    """Like `retry_conflicts`, for a transaction about what cannot be undone: for at least a minute."""
    return retry_conflicts(function, attempts=80)


@retry_conflicts
def write(engine: Engine, statement: UpdateBase) -> int:
    """Execute one statement in a transaction of its own, and return the number of rows that it changed."""
    with transaction(engine) as connection:
        return connection.execute(statement).rowcount


def is_transient(error: DBAPIError | NoConnection) -> bool:
    """Whether the same transaction may succeed later: the database was locked, lost, restarted or busy."""
    return isinstance(error, OperationalError | NoConnection) or error.connection_invalidated


def is_unavailable(error: Exception) -> bool:
    """Whether the database is at fault: locked, full, read-only, lost, or without a free connection.

    Other errors, such as a missing value, are faults of the program, which repeating does not cure.
    """
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | InternalError | NoConnection)
