"""Writes the exchanges of most pushes, with statements that are compiled once (``docs/decisions/0002``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
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
)
from sqlalchemy.engine.interfaces import DBAPICursor

from ...database.compiled import (
    CompiledStatement,
    Connections,
    PreparedStatement,
    compile_select,
    execute_command,
)
from ...database.transactions import write_lock
from ...models import BotSession, Follower, Handover, MessageLog
from ...models.rows import Row, insert_columns, new_row
from ...routing.ownership import Owner
from ..messages.records import INSERT
from .exchanges import FOLLOWER_ID, Exchange, new_followers, with_ids

CLOCK_SKEW = timedelta(minutes=10)
"""How far the clocks of the hosts may differ."""


class FastPath:
    """Writes exchanges that change nothing but the log, and may insert a follower.

    `exchanges.record` writes these, too, and all others, at a higher cost.
    """

    def __init__(self, engine: Engine, connections: Connections) -> None:
        dialect = engine.dialect
        self._connections = connections
        self._lock = write_lock(engine)
        self._begin = "BEGIN IMMEDIATE" if dialect.name == "sqlite" else "BEGIN"
        self._insert = CompiledStatement(INSERT, dialect, insert_columns(MessageLog))
        is_postgresql = dialect.name == "postgresql"
        self._insert_json = PreparedStatement(_insert_json(), dialect) if is_postgresql else None
        self._insert_followers = CompiledStatement(insert(Follower), dialect, insert_columns(Follower))
        self._insert_sessions = CompiledStatement(insert(BotSession), dialect, insert_columns(BotSession))
        self._follower_id = compile_select(FOLLOWER_ID, dialect)
        self._overtaken = compile_select(_OVERTAKEN, dialect)

    @staticmethod
    def accepts(exchange: Exchange) -> bool:
        """Whether `exchange` can be written here."""
        return (
            exchange.session_change is None
            and not exchange.claims
            and not exchange.pages
            and not exchange.handover
            and not exchange.changes_subscription
        )

    def record(self, exchanges: Sequence[Exchange]) -> bool:
        """Write all of them or none; False if a person has begun to answer a follower meanwhile.

        :raises OperationalError: also when a message or a new follower is known already.
        """
        new = new_followers(exchanges)
        with self._lock, self._connections.borrow() as cursor:
            execute_command(cursor, self._begin)
            if new:
                exchanges = with_ids(exchanges, self._add_followers(cursor, new))
            self._write(cursor, exchanges)
            # Only now: the inserted rows have locked their followers (`conversations.handover`).
            overtaken = self._is_overtaken(cursor, exchanges)
            execute_command(cursor, "ROLLBACK" if overtaken else "COMMIT")
        return not overtaken

    def _is_overtaken(self, cursor: DBAPICursor, exchanges: Sequence[Exchange]) -> bool:
        """Whether a person answers a follower whom the bot would answer."""
        yielding = [exchange for exchange in exchanges if exchange.yields_to_person]
        if not yielding:
            return False
        since = min(exchange.received_at for exchange in yielding) - CLOCK_SKEW
        [ids] = self._overtaken.fetch_one(cursor, {"account_id": yielding[0].account_id, "since": since}) or [
            None
        ]
        overtaken = set(ids.split(",")) if ids else set()
        return any(str(exchange.follower_id) in overtaken for exchange in yielding)

    def _write(self, cursor: DBAPICursor, exchanges: Sequence[Exchange]) -> None:
        rows = [row for exchange in exchanges for row in exchange.rows()]
        if self._insert_json:
            self._insert_json.execute(cursor, {"rows": _to_json(rows)})
        else:
            self._insert.executemany(cursor, rows)

    def _add_followers(self, cursor: DBAPICursor, new: Sequence[Row]) -> Mapping[str, int | None]:
        self._insert_followers.executemany(cursor, new)
        ids: dict[str, int | None] = {}
        for follower in new:
            [ids[follower["openid"]]] = self._follower_id.fetch_one(cursor, follower) or [None]
        self._insert_sessions.executemany(cursor, [new_row(BotSession, follower_id=i) for i in ids.values()])
        return ids


_comma: Any = literal_column("','")
_OVERTAKEN = select(func.aggregate_strings(cast(Handover.follower_id, Text), _comma)).where(
    Handover.account_id == bindparam("account_id"),
    Handover.since > bindparam("since"),
    Handover.owner != literal_column(f"'{Owner.BOT}'"),
)
"""The followers whom persons have begun to answer since a time."""


def _insert_json() -> Insert:
    """Return `INSERT` for PostgreSQL, whose rows are one JSON text: one statement for any number of them."""
    names, types = insert_columns(MessageLog), MessageLog.__table__.c
    text = cast(bindparam("rows", type_=Text), JSON)
    function = func.json_to_recordset(text).table_valued(*(column(name, types[name].type) for name in names))
    return INSERT.from_select(names, select(function.render_derived(name="pushed", with_types=True)))


_to_json: Any = json.JSONEncoder(ensure_ascii=False, default=datetime.isoformat).encode
