"""Writes messages as they could have been recorded, faster than pushes do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from tests.conftest import APP_ID
from wechat_bot.database.transactions import transaction
from wechat_bot.models import Direction, Follower, MessageLog, MessageState
from wechat_bot.services.accounts import ensure_account

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CATCH_ALL = "fallback.apologize"
"""A handler of the shipped router that takes what no other does."""


class Journal:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.account_id = ensure_account(engine, APP_ID)

    def follower(self, openid: str, **columns: Any) -> int:
        """The id of a new follower."""
        row = {"account_id": self.account_id, "openid": openid, "first_seen_at": NOON, "last_seen_at": NOON}
        with transaction(self.engine) as connection:
            connection.execute(insert(Follower).values({**row, **columns}))
            return connection.scalars(select(Follower.id).where(Follower.openid == openid)).one()

    def add(self, text: str = "你好", **columns: Any) -> int:
        """The id of a new message, incoming unless said otherwise."""
        with transaction(self.engine) as connection:
            return self.insert(connection, text, **columns)

    def insert(self, connection: Connection, text: str = "你好", **columns: Any) -> int:
        result = connection.execute(insert(MessageLog).values(self._row(text, columns)))
        return int((result.inserted_primary_key or (0,))[0])

    def add_many(self, texts: Iterable[str], **columns: Any) -> None:
        """New messages, in this order."""
        with transaction(self.engine) as connection:
            connection.execute(insert(MessageLog), [self._row(text, columns) for text in texts])

    def _row(self, text: str, columns: dict[str, Any]) -> dict[str, Any]:
        incoming = columns.get("direction", Direction.IN) == Direction.IN
        row: dict[str, Any] = {
            "account_id": self.account_id,
            "direction": Direction.IN,
            "kind": "text",
            "text": text,
            "payload": {"Content": text},
            "created_at": NOON,
            "received_at": columns.get("created_at", NOON),
            "state": MessageState.ANSWERED if incoming else MessageState.SENT,
            "origin": "commands.show_help",
        }
        return row | columns
