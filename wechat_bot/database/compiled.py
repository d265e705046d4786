"""Statements for the path that every push takes, run by the driver itself.

Preparing an execution costs SQLAlchemy more than running it costs the database: 150 µs against 20 for the
read that begins a push (``docs/decisions/0002``). Here that is done once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Semaphore
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql import Insert, Update
from sqlalchemy.types import TypeEngine

Convert = Callable[[Any], Any]


class CompiledStatement:
    """`statement`, compiled for `dialect`. An INSERT names its `columns`."""

    def __init__(
        self, statement: Select[Any] | Insert | Update, dialect: Dialect, columns: Iterable[str] = ()
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(columns) or None)
        self.sql = compiled.string
        binds = {name: _bind(bind.type, dialect) for name, bind in compiled.binds.items()}
        self._positional = compiled.positiontup is not None
        self._binds = [(name, binds[name]) for name in compiled.positiontup or binds]
        results = statement.selected_columns if isinstance(statement, Select) else ()
        self._results = [_result(column.type, dialect) for column in results]

    def run(self, cursor: DBAPICursor, values: Mapping[str, Any]) -> None:
        """Run it once."""
        cursor.execute(self.sql, self._bound(values))

    def one(self, cursor: DBAPICursor, values: Mapping[str, Any]) -> list[Any] | None:
        """The only row of the result."""
        self.run(cursor, values)
        row = cursor.fetchone()
        if row is None:
            return None
        return [
            value if convert is None or value is None else convert(value)
            for value, convert in zip(row, self._results, strict=True)
        ]

    def many(self, cursor: DBAPICursor, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each of `rows`."""
        cursor.executemany(self.sql, [self._bound(row) for row in rows])

    def _bound(self, values: Mapping[str, Any]) -> Any:
        if self._positional:
            return [convert(values[name]) if convert else values[name] for name, convert in self._binds]
        return {name: convert(values[name]) if convert else values[name] for name, convert in self._binds}


def _bind(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _result(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


class _Kept(NamedTuple):
    connection: Connection
    cursor: DBAPICursor


class Connections:
    """At most `limit` connections of the driver, each kept open with its cursor. Thread-safe.

    No transaction begins or ends by itself. The driver's errors become OperationalError, and close the
    connection.
    """

    def __init__(self, engine: Engine, limit: int) -> None:
        self._engine = engine
        self._errors = engine.dialect.loaded_dbapi.Error
        self._slots = Semaphore(limit)
        self._idle: list[_Kept] = []

    @contextmanager
    def borrow(self) -> Iterator[DBAPICursor]:
        """A cursor that has a connection to itself; OperationalError when there is none."""
        with self._slots:
            try:
                kept = self._idle.pop()
            except IndexError:
                kept = self._open()
            try:
                yield kept.cursor
            except BaseException as error:
                kept.connection.invalidate(error)
                if isinstance(error, self._errors):
                    raise OperationalError(None, None, error, connection_invalidated=True) from error
                raise
            self._idle.append(kept)

    def _open(self) -> _Kept:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        return _Kept(connection, connection.connection.cursor())

    def close(self) -> None:
        """Close what is idle, and what `engine` keeps."""
        while self._idle:
            self._idle.pop().connection.close()
        self._engine.dispose()
