"""Millions of stored messages, the same in every run and every database.

They are copies of what the program itself has recorded before, so that this module need not know its tables:
half of them are pushes, half replies, of followers as they would come in over years.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, Protocol

import psycopg
from psycopg import sql

from . import traffic
from .databases import Database, Postgres, SQLite

FOLLOWERS = 200_000
"""Known afterwards; among them are those who write while it is measured."""
_BEGIN = datetime(2020, 1, 1)
_PACE = timedelta(seconds=30)

Row = dict[str, Any]
"""Values by the names of their columns, as text where the database has no type of Python's for them."""


class _Tables(Protocol):
    def first(self, table: str, condition: str) -> Row:
        """The first row that meets a condition."""

    def add(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None: ...

    def finish(self) -> None:
        """Leave the tables as a database has them that was filled slowly."""


def fill(database: Database, messages: int) -> None:
    """Add followers up to `FOLLOWERS` and `messages` messages to a database that the program has used."""
    if isinstance(database, SQLite):
        with closing(sqlite3.connect(database.path)) as connection:
            _fill(_SQLiteTables(connection), messages)
    elif isinstance(database, Postgres):
        with psycopg.connect(database.url, options="-c timezone=utc", autocommit=True) as connection:
            _fill(_PostgresTables(connection), messages)


def _fill(tables: _Tables, messages: int) -> None:
    follower = tables.first("followers", "TRUE ORDER BY id DESC")
    conversation = tables.first("conversations", "TRUE ORDER BY id DESC")
    push = tables.first("message_logs", "direction = 'in' ORDER BY id DESC")
    reply = tables.first("message_logs", "direction = 'out' ORDER BY id DESC")
    known = int(follower["id"])
    tables.add("followers", list(follower), _followers(follower, known))
    tables.add("conversations", list(conversation), _conversations(conversation, known))
    last = max(int(push["id"]), int(reply["id"]))
    tables.add("message_logs", list(push), _messages(push, reply, last, messages))
    tables.finish()


def _followers(example: Row, known: int) -> Iterator[Sequence[Any]]:
    """The program met its first followers in the order of their numbers, so that ids follow from these."""
    for number in range(known, FOLLOWERS):
        yield list((example | {"id": number + 1, "openid": traffic.openid(number)}).values())


def _conversations(example: Row, known: int) -> Iterator[Sequence[Any]]:
    for number in range(known + 1, FOLLOWERS + 1):
        yield list((example | {"id": number, "follower_id": number}).values())


def _messages(push: Row, reply: Row, last: int, count: int) -> Iterator[Sequence[Any]]:
    chance = random.Random(2)
    fields = json.loads(push["payload"])
    for number in range(count // 2):
        key = hashlib.md5(b"%d" % number).hexdigest()
        time = f"{_BEGIN + number * _PACE:%Y-%m-%d %H:%M:%S.%f}"
        content, msg_id = traffic.text(chance), str(10**18 + number)
        payload = json.dumps(fields | {"Content": content, "MsgId": msg_id}, ensure_ascii=False)
        own: Row = {"follower_id": chance.randrange(FOLLOWERS) + 1, "created_at": time, "received_at": time}
        asked = {"id": last + 2 * number + 1, "text": content, "payload": payload, "platform_id": msg_id}
        yield list((push | own | asked | {"dedup_key": key}).values())
        yield list((reply | own | {"id": last + 2 * number + 2, "dedup_key": key + "r"}).values())


class _SQLiteTables:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-2000000")  # all of it, else the indexes are written many times

    def first(self, table: str, condition: str) -> Row:
        cursor = self._connection.execute(f"SELECT * FROM {table} WHERE {condition} LIMIT 1")
        return dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))

    def add(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        marks = ", ".join("?" * len(columns))
        with self._connection:
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
            self._connection.executemany(statement, rows)

    def finish(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _PostgresTables:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def first(self, table: str, condition: str) -> Row:
        """As text, which is what `add` takes."""
        query = f"SELECT * FROM {table} WHERE {condition} LIMIT 1".encode()
        cursor = self._connection.execute(query)
        names = [column.name for column in cursor.description or ()]
        with cursor.copy(b"COPY (" + query + b") TO STDOUT") as copy:
            [values] = copy.rows()
        return dict(zip(names, values, strict=True))

    def add(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
        with self._connection.cursor().copy(into) as copy:
            for row in rows:
                copy.write_row(row)
        sequence = f"pg_get_serial_sequence('{table}', 'id')"
        self._connection.execute(f"SELECT setval({sequence}, max(id)) FROM {table}".encode())

    def finish(self) -> None:
        self._connection.execute("VACUUM ANALYZE")
        self._connection.execute("CHECKPOINT")
