"""Access tokens of the platform's API in the database, which all processes share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, insert, or_, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import AccessToken
from ...wechat.api import LEASE, Token


class DatabaseTokens:
    """A `TokenStore` for one account.

    A claim is the row's `refreshing_until`, so that no transaction is open while the platform is asked.
    """

    def __init__(self, engine: Engine, account_id: Callable[[], int]) -> None:
        self._engine = engine
        self._find_account_id = account_id

    @cached_property
    def _account_id(self) -> int:
        return self._find_account_id()

    def get(self, kind: str) -> Token | None:
        """What is stored, be it valid or not."""
        stored = select(AccessToken.value, AccessToken.expires_at).where(self._is(kind))
        with self._engine.connect() as connection:
            row = connection.execute(stored).one_or_none()
        return Token(row.value, row.expires_at.timestamp()) if row and row.expires_at else None

    @retry_conflicts
    def claim(self, kind: str, old: str) -> bool:
        """Whether the caller shall replace the token `old`; see `TokenStore`."""
        mine, now = self._is(kind), datetime.now(UTC)
        until = now + timedelta(seconds=LEASE)
        unclaimed = or_(AccessToken.refreshing_until.is_(None), AccessToken.refreshing_until <= now)
        with self._engine.connect() as connection:  # many may wait here: they do not write
            if connection.scalar(select(AccessToken.kind).where(mine, AccessToken.refreshing_until > now)):
                return False
        with transaction(self._engine) as connection:
            claimed = connection.execute(
                update(AccessToken)
                .where(mine, AccessToken.value == old, unclaimed)
                .values(refreshing_until=until)
            )
            if claimed.rowcount or connection.scalar(select(AccessToken.kind).where(mine)):
                return bool(claimed.rowcount)
            connection.execute(
                insert(AccessToken).values(
                    account_id=self._account_id, kind=kind, value="", refreshing_until=until
                )
            )
            return True

    @retry_conflicts
    def settle(self, kind: str, token: Token | None) -> None:
        """End a claim, with the new token or without."""
        changes: dict[str, Any] = {"refreshing_until": None}
        if token:
            changes |= {"value": token.value, "expires_at": datetime.fromtimestamp(token.expires_at, UTC)}
        mine = self._is(kind)
        with transaction(self._engine) as connection:
            connection.execute(update(AccessToken).where(mine).values(changes))

    def _is(self, kind: str) -> ColumnElement[bool]:
        return and_(AccessToken.account_id == self._account_id, AccessToken.kind == kind)
