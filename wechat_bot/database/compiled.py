"""Statements for the path that every push takes, executed by the database driver itself.

Preparing an execution costs SQLAlchemy more than running it costs the database: 150 µs against 20 µs for the
read that begins a push (``docs/decisions/0002``). Here it is done once, when the program starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
    """A statement that is compiled for one dialect. For an INSERT, `columns` names those that it sets."""

    def __init__(
        self,
        statement: Select[*tuple[Any, ...]] | Insert | Update,
        dialect: Dialect,
        columns: Iterable[str] = (),
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(columns) or None)
        self.sql = compiled.string
        binds = {name: _bind(bind.type, dialect) for name, bind in compiled.binds.items()}
        self._positional = compiled.positiontup is not None
        self._binds = [(name, binds[name]) for name in compiled.positiontup or binds]
        results = statement.selected_columns if isinstance(statement, Select) else ()
        self._results = [_result(column.type, dialect) for column in results]

    def execute(self, cursor: DBAPICursor, values: Mapping[str, Any]) -> None:
        cursor.execute(self.sql, self._bound(values))

    def fetch_one(self, cursor: DBAPICursor, values: Mapping[str, Any]) -> list[Any] | None:
        """Execute it and return the only row of the result, or None."""
        self.execute(cursor, values)
        row = cursor.fetchone()
        if row is None:
            return None
        return [
            value if convert is None or value is None else convert(value)
            for value, convert in zip(row, self._results, strict=True)
        ]

    def executemany(self, cursor: DBAPICursor, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each of `rows`."""
        cursor.executemany(self.sql, [self._bound(row) for row in rows])

    def _bound(self, values: Mapping[str, Any]) -> Any:
        if self._positional:
            return [convert(values[name]) if convert else values[name] for name, convert in self._binds]
        return {name: convert(values[name]) if convert else values[name] for name, convert in self._binds}


def _bind(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _result(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


class _OpenConnection(NamedTuple):
    connection: Connection
    cursor: DBAPICursor


class Connections:
    """A pool of at most `limit` driver connections, each with a cursor that stays open. Thread-safe.

    Transactions are begun and ended by the caller. An error of the driver closes its connection.
    """

    def __init__(self, engine: Engine, limit: int) -> None:
        self._engine = engine
        self._errors = engine.dialect.loaded_dbapi.Error
        self._slots = Semaphore(limit)
        self._idle: list[_OpenConnection] = []

    @contextmanager
    def borrow(self) -> Iterator[DBAPICursor]:
        """Yield the cursor of a connection that nobody else uses meanwhile.

        :raises OperationalError: for every error of the driver, and when there is no connection.
        """
        with self._slots:
            try:
                opened = self._idle.pop()
            except IndexError:
                opened = self._open()
            try:
                yield opened.cursor
            except BaseException as error:
                # SQLite keeps a closed connection, and its locks, for as long as a cursor has a statement.
                with suppress(self._errors):
                    opened.cursor.close()
                opened.connection.invalidate(error)
                if isinstance(error, self._errors):
                    raise OperationalError(None, None, error, connection_invalidated=True) from error
                raise
            self._idle.append(opened)

    def _open(self) -> _OpenConnection:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        return _OpenConnection(connection, connection.connection.cursor())

    def close(self) -> None:
        """Close the idle connections and the pool of `engine`."""
        while self._idle:
            self._idle.pop().connection.close()
        self._engine.dispose()
