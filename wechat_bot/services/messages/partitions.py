"""The message log in partitions, one for each month, on PostgreSQL (``docs/decisions/0017``).

Partitions are ranges of ids, so that the id stays the primary key. The ids of each month begin at a number of
their own, to which `advance` sets the sequence when the month begins. Months are those of UTC.
"""

# ruff: noqa: S608 (what is put into statements are names of tables, and numbers)

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import OperationalError

from ...database.transactions import transaction

T = TypeVar("T")

TABLE = "message_logs"
PAST = f"{TABLE}_past"
"""The partition of the messages that were there before there were partitions."""
MONTH_IDS = 10**11
"""Ids of a month, which no account uses up. The largest have 13 digits, of which spreadsheets show 15."""
_EPOCH = 2020
LOCK_TIMEOUT = "300ms"
"""For how long pushes may wait because a change of the table waits for other transactions."""
ATTEMPTS = 300
"""How often such a change is tried, about once a second."""


def first_id(month: datetime) -> int:
    """Return the id with which the month of a time begins."""
    return ((month.year - _EPOCH) * 12 + month.month - 1) * MONTH_IDS


def month_of(message_id: int) -> int:
    """Return the id with which the month of a message begins, 0 before there are partitions."""
    return message_id - message_id % MONTH_IDS


def is_partitioned(connection: Connection) -> bool:
    """Whether the message log of a database has partitions."""
    if connection.dialect.name != "postgresql":
        return False
    kind = connection.exec_driver_sql(f"SELECT relkind FROM pg_class WHERE oid = '{TABLE}'::regclass")
    return bool(kind.scalar_one() == "p")


def convert(engine: Engine, now: datetime) -> None:
    """Give the message log of a database partitions, while the program runs.

    The table becomes the partition of the past as it is; no row is copied. Interrupted, it goes on when it is
    called again.

    :raises OperationalError: if another transaction uses the table for minutes.
    """
    with engine.connect() as connection:
        is_converted = is_partitioned(connection)
    if not is_converted:
        # Checked beforehand, since the table is locked while it becomes a partition.
        check = f"CHECK (id < {first_id(now)}) NOT VALID"
        for change in (f"{_DROP_CHECK}, ADD CONSTRAINT {_CHECK} {check}", f"VALIDATE CONSTRAINT {_CHECK}"):
            _patiently(partial(_change, engine, f"ALTER TABLE {TABLE} {change}"))
        _patiently(partial(_replace_table, engine, now))
    _validate_references(engine)
    _patiently(partial(advance, engine, now))


_CHECK = f"ck_{PAST}"
_DROP_CHECK = f"DROP CONSTRAINT IF EXISTS {_CHECK}"


def advance(engine: Engine, now: datetime) -> None:
    """Create the partitions of this month and the next, and let the ids of this month begin.

    Does nothing where there are no partitions. If it is not called for a while, the messages of a new month
    are stored with those of the month before.

    :raises OperationalError: while another transaction uses the table.
    """
    following = (now.replace(day=1) + timedelta(days=31)).replace(day=1)
    with engine.connect() as connection:
        if not is_partitioned(connection):
            return
        there = {name for _, name in _partitions(connection)}
        last_id = _last_id(connection)
    missing = [month for month in (now, following) if _name(month) not in there]
    for month in missing:
        _create(engine, month, last_id)
    if last_id < first_id(now):
        _begin(engine, now)
    if missing:  # PostgreSQL gathers statistics of partitions by itself, but not of the whole
        _change(engine, f"ANALYZE {TABLE}")


def drop_empty(engine: Engine) -> list[str]:
    """Drop the partitions of past months that have no messages any more, and return their names.

    :raises OperationalError: while another transaction uses the table.
    """
    with engine.connect() as connection:
        if not is_partitioned(connection):
            return []
        last_id = _last_id(connection)
        begun = [name for first, name in _partitions(connection) if first <= last_id]
    dropped = [name for name in begun[:-1] if _drop(engine, name)]
    _validate_references(engine)
    return dropped


def _patiently(action: Callable[[], T]) -> T:
    """Do what needs a lock that others may have for a while. Pushes go on between the attempts."""
    for _ in range(ATTEMPTS - 1):
        try:
            return action()
        except OperationalError:
            time.sleep(1)
    return action()


@contextmanager
def _changing(engine: Engine) -> Iterator[Connection]:
    """A transaction that changes tables, and gives up soon if it has to wait for others."""
    with transaction(engine) as connection:
        # This lets pushes pass, and waits until PostgreSQL has ended what autovacuum does to the tables.
        _lock(connection, "SHARE UPDATE EXCLUSIVE")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        yield connection


def _lock(connection: Connection, mode: str) -> None:
    """Lock the message log, and the tables of its foreign keys either way."""
    tables = ", ".join(connection.exec_driver_sql(_TABLES).scalars())
    connection.exec_driver_sql(f"LOCK TABLE {tables} IN {mode} MODE")


_TABLES = f"""
SELECT DISTINCT unnest(ARRAY[conrelid, confrelid])::regclass::text AS name FROM pg_constraint
WHERE contype = 'f' AND '{TABLE}'::regclass IN (conrelid, confrelid) ORDER BY name
"""


def _change(engine: Engine, statement: str) -> None:
    with _changing(engine) as connection:
        connection.exec_driver_sql(statement)


def _replace_table(engine: Engine, now: datetime) -> None:
    """Put a table with partitions in the place of the table, which becomes its first partition."""
    with _changing(engine) as connection:
        run = connection.exec_driver_sql
        _lock(connection, "ACCESS EXCLUSIVE")
        references = run(_REFERENCES).all()
        constraints, indexes = run(_CONSTRAINTS).all(), run(_INDEXES).all()
        _drop_references(connection, references)
        run(f"ALTER TABLE {TABLE} RENAME TO {PAST}")
        for found in (*constraints, *indexes):
            run(found.rename)
        run(f"CREATE TABLE {TABLE} (LIKE {PAST} INCLUDING DEFAULTS) PARTITION BY RANGE (id)")
        for found in constraints:
            if found.contype != "u":  # each partition has a unique key of its own
                run(f"ALTER TABLE {TABLE} ADD CONSTRAINT {found.name} {found.definition}")
        for found in indexes:
            run(found.definition)
        run(f"ALTER SEQUENCE {_SEQUENCE} OWNED BY {TABLE}.id")
        run(f"ALTER TABLE {TABLE} ATTACH PARTITION {PAST} FOR VALUES FROM (MINVALUE) TO ({first_id(now)})")
        run(f"ALTER TABLE {PAST} {_DROP_CHECK}")
        _add_references(connection, references)


_SEQUENCE = f"{TABLE}_id_seq"
_CONSTRAINTS = f"""
SELECT conname AS name, contype, pg_get_constraintdef(oid) AS definition,
  format('ALTER TABLE {PAST} RENAME CONSTRAINT %%I TO %%I', conname, conname || '_past') AS rename
FROM pg_constraint WHERE conrelid = '{TABLE}'::regclass AND contype IN ('p', 'u', 'f')
"""
_INDEXES = f"""
SELECT pg_get_indexdef(indexrelid) AS definition,
  format('ALTER INDEX %%I RENAME TO %%I', relname, relname || '_past') AS rename
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = '{TABLE}'::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


# Foreign keys to the message log. When its partitions change, PostgreSQL would look through all rows that
# refer to it, with the tables locked. So the keys are dropped and added again, and validated afterwards.

_REFERENCES = f"""
SELECT conrelid::regclass::text AS "table", conname AS name, attname AS "column",
  replace(pg_get_constraintdef(referring.oid), ' NOT VALID', '') AS definition
FROM pg_constraint AS referring JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
WHERE confrelid = '{TABLE}'::regclass AND conparentid = 0
"""


def _drop_references(connection: Connection, references: Iterable[Row[Any]]) -> None:
    for found in references:
        connection.exec_driver_sql(f"ALTER TABLE {found.table} DROP CONSTRAINT {found.name}")


def _add_references(connection: Connection, references: Iterable[Row[Any]]) -> None:
    for found in references:
        added = f"ADD CONSTRAINT {found.name} {found.definition} NOT VALID"
        connection.exec_driver_sql(f"ALTER TABLE {found.table} {added}")


def _validate_references(engine: Engine) -> None:
    with engine.connect() as connection:
        added = connection.exec_driver_sql(f"{_REFERENCES} AND NOT convalidated").all()
    for found in added:
        statement = f"ALTER TABLE {found.table} VALIDATE CONSTRAINT {found.name}"
        _patiently(partial(_change, engine, statement))


def _name(month: datetime) -> str:
    return f"{TABLE}_{month:%Y_%m}"


def _partitions(connection: Connection) -> list[tuple[int, str]]:
    """Return the first ids and the names of the partitions, oldest first."""
    children = f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{TABLE}'::regclass"
    names = connection.exec_driver_sql(children).scalars()
    return sorted((0 if name == PAST else first_id(_month(name)), name) for name in names)


def _month(name: str) -> datetime:
    return datetime.strptime(name, f"{TABLE}_%Y_%m").replace(tzinfo=UTC)


def _last_id(connection: Connection) -> int:
    return int(connection.exec_driver_sql(f"SELECT last_value FROM {_SEQUENCE}").scalar_one())


def _create(engine: Engine, month: datetime, last_id: int) -> None:
    """Create the partition of a month, with a trigger that refuses messages of the partition before it.

    A unique key does not span partitions, and two pushes of a message may arrive in two months.
    """
    name, first, since = _name(month), first_id(month), last_id // MONTH_IDS * MONTH_IDS
    with _changing(engine) as connection:
        run = connection.exec_driver_sql
        run(
            f"CREATE TABLE {name} PARTITION OF {TABLE} (UNIQUE (dedup_key))"
            f" FOR VALUES FROM ({first}) TO ({first + MONTH_IDS})"
        )
        run(_REFUSE_KNOWN.format(name=name, table=TABLE, since=since, first=first))
        run(
            f"CREATE TRIGGER refuse_known BEFORE INSERT ON {name} FOR EACH ROW"
            f" EXECUTE FUNCTION {name}_refuse_known()"
        )


_REFUSE_KNOWN = """
CREATE OR REPLACE FUNCTION {name}_refuse_known() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM {table} WHERE dedup_key = NEW.dedup_key AND id >= {since} AND id < {first}) THEN
    RAISE unique_violation USING MESSAGE = 'the dedup_key is that of an earlier message', TABLE = '{name}';
  END IF;
  RETURN NEW;
END $$
"""


def _begin(engine: Engine, month: datetime) -> None:
    """Let the ids of a month begin.

    The lock waits until all rows with earlier ids are committed, so that the trigger sees them.
    """
    first = first_id(month)
    with _changing(engine) as connection:
        connection.exec_driver_sql(f"LOCK TABLE ONLY {TABLE} IN SHARE ROW EXCLUSIVE MODE")
        if _last_id(connection) < first:  # another worker may have been faster
            connection.exec_driver_sql(f"SELECT setval('{_SEQUENCE}', {first}, false)")


def _drop(engine: Engine, name: str) -> bool:
    """Drop a partition, unless it has messages."""
    with engine.connect() as connection:
        if connection.exec_driver_sql(f"SELECT EXISTS (SELECT FROM {name})").scalar_one():
            return False
    with _changing(engine) as connection:
        run = connection.exec_driver_sql
        _lock(connection, "ACCESS EXCLUSIVE")
        references = run(_REFERENCES).all()
        _drop_references(connection, references)
        run(f"ALTER TABLE {TABLE} DETACH PARTITION {name}")
        run(f"DROP TABLE {name}")
        run(f"DROP FUNCTION IF EXISTS {name}_refuse_known")
        _add_references(connection, references)
    return True
