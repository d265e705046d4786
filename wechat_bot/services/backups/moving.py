"""Moving of a SQLite database to PostgreSQL or MariaDB."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    Connection,
    Engine,
    Table,
    create_engine,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from ...database.engine import engine_options
from ...database.transactions import transaction
from ...extensions import Model
from ...models import Progress as StoredProgress
from ...settings import Settings
from ...terminal import gettext as _
from . import BackupError, Progress
from .restoring import is_empty, refuse_running

BATCH_SIZE = 2000
"""Rows of one transaction."""
POSITION = "migrate-data"
"""The row of `progress` in the target that says how many rows of which table are there."""

TABLES = [table for table in Model.metadata.sorted_tables if table is not StoredProgress.__table__]
"""The tables that are copied, each after those that it refers to; the progress of projections comes last."""


def open_engine(url: URL | str, settings: Settings) -> Engine:
    """Return an engine that leaves JSON as the text that it is, so that a NULL is told from a JSON null."""
    as_text = {"json_serializer": _same, "json_deserializer": _same}
    return create_engine(url, **engine_options(settings) | as_text)


def _same(value: Any) -> Any:
    return value


def total_rows(source: Engine) -> int:
    """Return the amount of work of `move`, whose progress counts each row three times."""
    with source.connect() as connection:
        return 3 * sum(_count(connection, table) for table in TABLES)


def move(source: Engine, target: Engine, progress: Progress) -> None:
    """Copy all rows from `source`, a SQLite database, to the empty tables of `target`, and compare them.

    Both engines are those of `open_engine`, and both databases have the schema of the program. Nobody can
    write to the source meanwhile. After an interruption it continues where it was. The search index of the
    target is to be built afterwards.

    :raises BackupError: when the program runs, the target has other rows, or it differs at the end.
    """
    refuse_running(source)
    name = str(source.url.database)
    # Nobody else can write during an immediate transaction of SQLite.
    with source.execution_options(writes=True).begin() as reader:
        table_name, done = _position(target, name)
        start = next((number for number, table in enumerate(TABLES) if table.name == table_name), 0)
        for table in TABLES[:start]:
            progress(_count(reader, table))
        for table in TABLES[start:]:
            _copy(reader, target, table, done, progress, name)
            done = 0
        with target.connect() as copy:
            for table in TABLES:
                if _digest(reader, table, progress) != _digest(copy, table, progress):
                    raise BackupError(
                        _("表 %(table)s 和原来的不一样：清空目标数据库，重新来。", table=table.name)
                    )
        _finish(reader, target)


def _position(target: Engine, source: str) -> tuple[str, int]:
    """Return the table that is being copied, and the number of its rows that are in `target`.

    :raises BackupError: when the target has rows that do not come from an interrupted move of `source`.
    """
    found = select(StoredProgress.watermark, StoredProgress.gaps).where(StoredProgress.name == POSITION)
    with target.connect() as connection:
        row = connection.execute(found).one_or_none()
    if row:
        copied_from, table = json.loads(row.gaps)
        if copied_from == source:
            return table, row.watermark
    elif is_empty(target):
        values = {"name": POSITION, "watermark": 0, "gaps": json.dumps([source, TABLES[0].name])}
        with transaction(target) as connection:
            connection.execute(insert(StoredProgress).values(values))
        return TABLES[0].name, 0
    raise BackupError(_("目标数据库里有别的数据：用一个空的数据库。"))


def _copy(
    reader: Connection, target: Engine, table: Table, done: int, progress: Progress, source: str
) -> None:
    """Copy the rows of a table, but for the first `done`. The position is committed with the rows."""
    progress(done)
    rows = reader.execute(
        select(table).order_by(*table.primary_key).offset(done), execution_options={"yield_per": BATCH_SIZE}
    )
    this = update(StoredProgress).where(StoredProgress.name == POSITION)
    for batch in rows.mappings().partitions():
        done += len(batch)
        position = {"watermark": done, "gaps": json.dumps([source, table.name])}
        try:
            with transaction(target) as connection:
                connection.execute(insert(table), [dict(row) for row in batch])
                connection.execute(this.values(position))
        except DBAPIError as error:
            first = batch[0][table.primary_key.columns[0].name]
            problem = _(
                "表 %(table)s 从 %(first)s 起的行写不进去（%(reason)s）。再运行一次会接着来。",
                table=table.name,
                first=first,
                reason=str(error.orig).partition("\n")[0],
            )
            raise BackupError(problem) from error
        progress(len(batch))


def _finish(reader: Connection, target: Engine) -> None:
    """Copy the progress of the projections in place of the position, and let new rows get new ids."""
    rows = [dict(row) for row in reader.execute(select(StoredProgress.__table__)).mappings()]
    with transaction(target) as connection:
        connection.execute(delete(StoredProgress))
        connection.execute(insert(StoredProgress), rows)
        # The search index is built from the start, also where the source was just building its own.
        connection.execute(update(StoredProgress).where(StoredProgress.name == "rebuild").values(watermark=0))
        if connection.dialect.name == "postgresql":
            for table in TABLES:
                if (column := table.autoincrement_column) is not None:
                    highest = f"(SELECT max({column.name}) FROM {table.name})"  # noqa: S608
                    connection.execute(
                        text(f"SELECT setval(pg_get_serial_sequence(:table, :column), {highest})"),
                        {"table": table.name, "column": column.name},
                    )


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _digest(connection: Connection, table: Table, progress: Progress) -> tuple[int, int]:
    """Return the number of rows, and the sum of their hashes, which does not depend on their order."""
    count = total = 0
    for rows in connection.execute(select(table), execution_options={"yield_per": BATCH_SIZE}).partitions():
        for row in rows:
            canonical = repr(tuple(_canonical(table, row)))
            total += int.from_bytes(hashlib.sha256(canonical.encode()).digest())
        count += len(rows)
        progress(len(rows))
    return count, total % (1 << 256)


def _canonical(table: Table, row: Any) -> Iterator[Any]:
    """Yield the values of a row, which are of the same types in every database."""
    for column, value in zip(table.columns, row, strict=True):
        if isinstance(column.type, JSON) and value is not None:
            yield json.dumps(json.loads(value), sort_keys=True)
        else:
            yield value
