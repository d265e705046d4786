"""Storage of the API's access tokens in the database, for all processes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, insert, or_, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import AccessToken
from ...wechat.api import LEASE, Token


class DatabaseTokens:
    """A `TokenStore` for one account.

    A claim is the time in `refreshing_until`, so that no transaction is open during a call of the API.
    """

    def __init__(self, engine: Engine, account_id: Callable[[], int]) -> None:
        self._engine = engine
        self._find_account_id = account_id

    @cached_property
    def _account_id(self) -> int:
        return self._find_account_id()

    def get(self, kind: str) -> Token | None:
        """Return the stored token, which may have expired."""
        stored = select(AccessToken.value, AccessToken.expires_at).where(self._condition(kind))
        with self._engine.connect() as connection:
            row = connection.execute(stored).one_or_none()
        return Token(row.value, row.expires_at.timestamp()) if row and row.expires_at else None

    @retry_conflicts
    def claim(self, kind: str, old: str) -> bool:
        """Claim the renewal of the token `old`; see `TokenStore`."""
        this, now = self._condition(kind), database_now()
        claim = {"refreshing_until": now + timedelta(seconds=LEASE)}
        unclaimed = or_(AccessToken.refreshing_until.is_(None), AccessToken.refreshing_until <= now)
        with self._engine.connect() as connection:  # processes that wait for the claim only read
            if connection.scalar(select(AccessToken.kind).where(this, AccessToken.refreshing_until > now)):
                return False
        with transaction(self._engine) as connection:
            claimed = update(AccessToken).where(this, AccessToken.value == old, unclaimed).values(claim)
            if connection.execute(claimed).rowcount:
                return True
            if connection.scalar(select(AccessToken.kind).where(this)):
                return False
            connection.execute(insert(AccessToken).values(account_id=self._account_id, kind=kind, **claim))
            return True

    @retry_conflicts
    def release(self, kind: str, token: Token | None) -> None:
        """Release a claim, and store the new token unless it is None."""
        changes: dict[str, Any] = {"refreshing_until": None}
        if token:
            changes |= {"value": token.value, "expires_at": datetime.fromtimestamp(token.expires_at, UTC)}
        this = self._condition(kind)
        with transaction(self._engine) as connection:
            connection.execute(update(AccessToken).where(this).values(changes))

    def _condition(self, kind: str) -> ColumnElement[bool]:
        return and_(AccessToken.account_id == self._account_id, AccessToken.kind == kind)
