"""Writes the exchanges of most pushes, with statements that are compiled once (``docs/decisions/0002``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Engine,
    Insert,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.engine.interfaces import DBAPICursor

from ...database.compiled import CompiledStatement, Connections
from ...database.transactions import sqlite_write_lock
from ...models import BotSession, Follower, MessageLog
from ...models.rows import Row, insert_columns, new_row
from ..messages.records import INSERT
from .exchanges import FOLLOWER_ID, TOUCH, Exchange, new_followers, touch_values, with_ids


class FastPath:
    """Writes exchanges that change nothing but the log, and may insert a follower.

    `exchanges.record` writes these, too, and all others, at a higher cost.
    """

    def __init__(self, engine: Engine, connections: Connections) -> None:
        dialect = engine.dialect
        self._engine = engine
        self._connections = connections
        self._begin = "BEGIN IMMEDIATE" if dialect.name == "sqlite" else "BEGIN"
        self._touch = CompiledStatement(TOUCH, dialect)
        self._insert = CompiledStatement(INSERT, dialect, insert_columns(MessageLog))
        self._insert_followers = CompiledStatement(insert(Follower), dialect, insert_columns(Follower))
        self._insert_sessions = CompiledStatement(insert(BotSession), dialect, insert_columns(BotSession))
        self._follower_id = CompiledStatement(FOLLOWER_ID, dialect)
        in_one = dialect.name == "postgresql"
        self._in_one = CompiledStatement(_touch_and_insert(), dialect) if in_one else None

    @staticmethod
    def accepts(exchange: Exchange) -> bool:
        """Whether `exchange` can be written here."""
        return (
            exchange.session_change is None
            and not exchange.claims
            and not exchange.pages
            and not exchange.changes_subscription
        )

    def record(self, exchanges: Sequence[Exchange]) -> None:
        """Write all of them or none.

        :raises OperationalError: also when a message or a new follower is known already.
        """
        new = new_followers(exchanges)
        with sqlite_write_lock(self._engine), self._connections.borrow() as cursor:
            if self._in_one and not new:
                self._in_one.execute(cursor, _values_in_one(exchanges))
            else:
                cursor.execute(self._begin)
                self._write(cursor, exchanges, new)
                cursor.execute("COMMIT")

    def _write(self, cursor: DBAPICursor, exchanges: Sequence[Exchange], new: Sequence[Row]) -> None:
        if touched := touch_values(exchanges):
            self._touch.executemany(cursor, touched)
        if new:
            exchanges = with_ids(exchanges, self._add_followers(cursor, new))
        self._insert.executemany(cursor, [row for exchange in exchanges for row in exchange.rows()])

    def _add_followers(self, cursor: DBAPICursor, new: Sequence[Row]) -> Mapping[str, int | None]:
        self._insert_followers.executemany(cursor, new)
        ids: dict[str, int | None] = {}
        for follower in new:
            [ids[follower["openid"]]] = self._follower_id.fetch_one(cursor, follower) or [None]
        self._insert_sessions.executemany(cursor, [new_row(BotSession, follower_id=i) for i in ids.values()])
        return ids


def _touch_and_insert() -> Insert:
    """Return `TOUCH` and `INSERT` in one statement for PostgreSQL, whose rows are one JSON text.

    The followers are locked in the order of their ids before anything is inserted, as by `TOUCH`.
    """
    names, types = insert_columns(MessageLog), MessageLog.__table__.c
    text = cast(bindparam("rows", type_=Text), JSON)
    function = func.json_to_recordset(text).table_valued(*(column(name, types[name].type) for name in names))
    rows = function.render_derived(name="pushed", with_types=True)
    followers = select(Follower.id).where(Follower.id.in_(select(rows.c.follower_id))).order_by(Follower.id)
    locked = followers.with_for_update(key_share=True).cte("locked")
    touch = update(Follower).where(Follower.id == locked.c.id).values(last_seen_at=bindparam("seen"))
    all_locked = select(func.count()).select_from(locked).scalar_subquery() >= literal_column("0")
    return INSERT.from_select(names, select(rows).where(all_locked)).add_cte(touch.cte("touch"))


def _values_in_one(exchanges: Sequence[Exchange]) -> Row:
    rows = [row for exchange in exchanges for row in exchange.rows()]
    return {"rows": _to_json(rows), "seen": max(exchange.received_at for exchange in exchanges)}


_to_json: Any = json.JSONEncoder(ensure_ascii=False, default=datetime.isoformat).encode
