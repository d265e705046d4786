"""Statements for the path that every push takes, executed by the database driver itself.

Preparing an execution costs SQLAlchemy more than running it costs the database (``docs/decisions/0002``).
Here it is done once, when the program starts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import count
from operator import itemgetter
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import JSON, Engine, Select
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql import Insert
from sqlalchemy.types import TypeDecorator, TypeEngine

from ..semaphore import Semaphore

Convert = Callable[[Any], Any]
Conversions = list[tuple[int, Convert]]
"""The positions of the values that have to be converted, and how."""
Statement = Select[*tuple[Any, ...]] | Insert


class CompiledStatement:
    """A statement that is compiled for one dialect. For an INSERT, `columns` names those that it sets."""

    def __init__(self, statement: Statement, dialect: Dialect, columns: Iterable[str] = ()) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(columns) or None)
        self.sql = compiled.string
        self._names = compiled.positiontup or list(compiled.binds)
        self._is_positional = compiled.positiontup is not None
        self._pick = _picker(self._names)
        self._conversions = _conversions(_bind(compiled.binds[name].type, dialect) for name in self._names)
        results = statement.selected_columns if isinstance(statement, Select) else ()
        self._result_conversions = _conversions(self._result(column.type, dialect) for column in results)

    def execute(self, cursor: DBAPICursor, values: Mapping[str, Any]) -> None:
        cursor.execute(self.sql, self._parameters(values))

    def fetch_one(self, cursor: DBAPICursor, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Execute it and return the only row of the result, or None."""
        rows = self.fetch_all(cursor, values)
        return rows[0] if rows else None

    def fetch_all(self, cursor: DBAPICursor, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Execute it and return the rows of the result."""
        self.execute(cursor, values)
        return [_converted(row, self._result_conversions) for row in cursor.fetchall()]

    def executemany(self, cursor: DBAPICursor, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each of `rows`."""
        cursor.executemany(self.sql, [self._parameters(row) for row in rows])

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        converted = _converted(self._pick(values), self._conversions)
        return converted if self._is_positional else dict(zip(self._names, converted, strict=True))

    def _result(self, kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
        return kind.dialect_impl(dialect).result_processor(dialect, None)


class PreparedStatement(CompiledStatement):
    """A statement of PostgreSQL whose parameters are texts and whole numbers.

    It is prepared in each connection and executed by libpq: psycopg's cursor takes three times as long. It is
    prepared again whenever the number of its executions has doubled, because the server keeps the plan that
    it made for smaller tables, at first for empty ones, until it gathers statistics.
    """

    _numbers = count()

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        of_libpq: Any = type(dialect)
        super().__init__(statement, of_libpq(paramstyle="numeric_dollar"))
        self._name = f"wechat_bot_{next(self._numbers)}".encode()
        self._executions: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        """How often it was executed in each connection."""

    def execute(self, cursor: DBAPICursor, values: Mapping[str, Any]) -> None:
        self._run(cursor, values)

    def fetch_all(self, cursor: DBAPICursor, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        result = self._run(cursor, values)
        positions = range(result.nfields)
        rows = ([result.get_value(row, position) for position in positions] for row in range(result.ntuples))
        return [_converted(row, self._result_conversions) for row in rows]

    def _run(self, cursor: Any, values: Mapping[str, Any]) -> Any:
        connection = cursor.connection
        executions = self._executions.get(connection, 0)
        if executions.bit_count() <= 1:  # 0, 1, 2, 4, 8 and so on
            if executions:
                execute_command(cursor, f"DEALLOCATE {self._name.decode()}")
            _check(connection.pgconn.prepare(self._name, self.sql.encode()))
        self._executions[connection] = executions + 1
        texts = [str(value).encode() for value in self._pick(values)]
        return _check(connection.pgconn.exec_prepared(self._name, texts))

    def _result(self, kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
        plain = kind.impl_instance if isinstance(kind, TypeDecorator) else kind
        return json.loads if isinstance(plain, JSON) else _FROM_TEXT[plain.python_type]


_SUCCESS = {1, 2}
"""PGRES_COMMAND_OK and PGRES_TUPLES_OK."""
_FROM_TEXT: Mapping[type, Convert] = {
    int: int,
    str: bytes.decode,
    bool: b"t".__eq__,
    datetime: lambda text: datetime.fromisoformat(text.decode()),
}
"""Conversions of PostgreSQL's text format, by the type of Python."""


def compile_select(statement: Select[*tuple[Any, ...]], dialect: Dialect) -> CompiledStatement:
    """Compile a query whose parameters are texts and whole numbers."""
    kind = PreparedStatement if dialect.driver == "psycopg" else CompiledStatement
    return kind(statement, dialect)


def execute_command(cursor: Any, sql: str) -> None:
    """Execute a command without parameters or a result, such as COMMIT; on PostgreSQL by libpq."""
    pgconn = getattr(cursor.connection, "pgconn", None)
    if pgconn is None:
        cursor.execute(sql)
    else:
        _check(pgconn.exec_(sql.encode()))


def _check(result: Any) -> Any:
    """Return a result of libpq, or raise the error that it is."""
    if result.status not in _SUCCESS:
        from psycopg.errors import error_from_result

        raise error_from_result(result)
    return result


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """Return a function that picks the values with these names."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: [values[name] for name in names]


def _bind(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _conversions(converts: Iterable[Convert | None]) -> Conversions:
    return [(position, convert) for position, convert in enumerate(converts) if convert]


def _converted(values: Sequence[Any], conversions: Conversions) -> Sequence[Any]:
    """Return `values`, converted where they are not None."""
    if not conversions:
        return values
    converted = list(values)
    for position, convert in conversions:
        if converted[position] is not None:
            converted[position] = convert(converted[position])
    return converted


class Connections:
    """A pool of at most `limit` driver connections, each with a cursor that stays open. Thread-safe.

    Transactions are begun and ended by the caller. An error of the driver closes its connection.
    """

    def __init__(self, engine: Engine, limit: int) -> None:
        self._engine = engine
        self._errors = engine.dialect.loaded_dbapi.Error
        self._idle: list[_OpenConnection] = []
        self._slots = Semaphore(limit)

    def borrow(self) -> _OpenConnection:
        """Return a connection for a ``with`` block, which gets the cursor and gives the connection back.

        Nobody else uses the connection meanwhile. Every error of the driver in the block becomes an
        `OperationalError`.

        :raises OperationalError: when there is no connection.
        """
        self._slots.acquire()
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _open(self) -> _OpenConnection:
        try:
            return _OpenConnection(self, self._engine)
        except BaseException:
            self._slots.release()
            raise

    def take_back(self, opened: _OpenConnection, error: BaseException | None) -> None:
        """Keep a connection for the next borrower, or close it after an error."""
        try:
            if error is None:
                self._idle.append(opened)
            else:
                opened.invalidate(error, self._errors)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close the idle connections and the pool of `engine`."""
        while self._idle:
            self._idle.pop().connection.close()
        self._engine.dispose()


class _OpenConnection:
    """A connection and its cursor, lent for the length of a ``with`` block."""

    def __init__(self, pool: Connections, engine: Engine) -> None:
        self._pool = pool
        self.connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._cursor = self.connection.connection.cursor()

    def __enter__(self) -> DBAPICursor:
        return self._cursor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.take_back(self, error)

    def invalidate(self, error: BaseException, driver_error: type[Exception]) -> None:
        """Close the connection because of `error`.

        :raises OperationalError: if it is an error of the driver.
        """
        # SQLite keeps a closed connection, and its locks, for as long as a cursor has a statement.
        with suppress(driver_error):
            self._cursor.close()
        self.connection.invalidate(error)
        if isinstance(error, driver_error):
            raise OperationalError(None, None, error, connection_invalidated=True) from error
