"""Fills a database with millions of messages, the same in every run.

The rows are copies of rows that the program itself has recorded, so that columns need not be known here.
Half of them are pushes, half replies, spread over years.
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

from wechat_bot.models import BotSession, Follower, MessageLog

from . import traffic
from .databases import Database, Postgres, SQLite

FOLLOWERS = 200_000
"""Followers in the database afterwards, including those who write during the measurement."""
FOLLOWER_TABLE, SESSIONS, MESSAGES = (model.__tablename__ for model in (Follower, BotSession, MessageLog))
_BEGIN = datetime(2020, 1, 1)
_PACE = timedelta(seconds=30)

Row = dict[str, Any]
"""Values by column name, as text for PostgreSQL."""


class _Loader(Protocol):
    def first(self, table: str, condition: str) -> Row:
        """Return the first row that meets `condition`."""

    def add(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None: ...

    def finish(self) -> None:
        """Bring the database into the state of one that was filled slowly: checkpoint, vacuum, statistics."""


def fill(database: Database, messages: int) -> None:
    """Add followers up to `FOLLOWERS`, and `messages` messages, to a database with pushes of the program."""
    if isinstance(database, SQLite):
        with closing(sqlite3.connect(database.path)) as connection:
            _fill(_SQLiteLoader(connection), messages)
    elif isinstance(database, Postgres):
        with psycopg.connect(database.url, options="-c timezone=utc", autocommit=True) as connection:
            _fill(_PostgresLoader(connection), messages)


def _fill(loader: _Loader, messages: int) -> None:
    follower = loader.first(FOLLOWER_TABLE, "TRUE ORDER BY id DESC")
    session = loader.first(SESSIONS, "TRUE ORDER BY id DESC")
    push = loader.first(MESSAGES, "direction = 'in' ORDER BY id DESC")
    reply = loader.first(MESSAGES, "direction = 'out' ORDER BY id DESC")
    known = int(follower["id"])
    loader.add(FOLLOWER_TABLE, list(follower), _followers(follower, known))
    loader.add(SESSIONS, list(session), _sessions(session, known))
    last = max(int(push["id"]), int(reply["id"]))
    loader.add(MESSAGES, list(push), _messages(push, reply, last, messages))
    loader.finish()


def _followers(example: Row, known: int) -> Iterator[Sequence[Any]]:
    """Yield new rows. Ids follow from the numbers, since the first followers wrote in this order."""
    for number in range(known, FOLLOWERS):
        yield list((example | {"id": number + 1, "openid": traffic.openid(number)}).values())


def _sessions(example: Row, known: int) -> Iterator[Sequence[Any]]:
    for number in range(known + 1, FOLLOWERS + 1):
        yield list((example | {"id": number, "follower_id": number}).values())


def _messages(push: Row, reply: Row, last: int, count: int) -> Iterator[Sequence[Any]]:
    rng = random.Random(2)
    fields = json.loads(push["payload"])
    for number in range(count // 2):
        key = hashlib.md5(b"%d" % number).hexdigest()
        time = f"{_BEGIN + number * _PACE:%Y-%m-%d %H:%M:%S.%f}"
        content, msg_id = traffic.text(rng), str(10**18 + number)
        payload = json.dumps(fields | {"Content": content, "MsgId": msg_id}, ensure_ascii=False)
        shared: Row = {"follower_id": rng.randrange(FOLLOWERS) + 1, "created_at": time, "received_at": time}
        incoming = {"id": last + 2 * number + 1, "text": content, "payload": payload, "platform_id": msg_id}
        yield list((push | shared | incoming | {"dedup_key": key}).values())
        yield list((reply | shared | {"id": last + 2 * number + 2, "dedup_key": key + "r"}).values())


class _SQLiteLoader:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-8000000")  # 8 GB: else index pages are written many times

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


class _PostgresLoader:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def first(self, table: str, condition: str) -> Row:
        """Return the values as text, which `add` takes."""
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
