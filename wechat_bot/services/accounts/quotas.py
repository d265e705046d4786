"""Daily quotas of the API, which can be cleared for all processes (``wechat-platform.md`` section 6.6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

from sqlalchemy import Engine, Select, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import Account
from ...wechat.api import WeChatClient
from ...wechat.errors import QuotaUsedUp
from .. import audit
from ..audit import Actor

MAX_CLEARS = 10
"""How often the quotas of an account can be cleared in a month."""
_BEIJING = timezone(timedelta(hours=8))


class Quotas:
    """Clears the quotas of one account. `client` is None when there is no API.

    A client makes no calls of an API whose quota is used up, until midnight. `refresh` ends that when another
    process has cleared the quotas.
    """

    def __init__(self, engine: Engine, account_id: Callable[[], int], client: WeChatClient | None) -> None:
        self._engine = engine
        self._find_account_id = account_id
        self._client = client
        self._cleared_at: datetime | None = None

    @cached_property
    def _account_id(self) -> int:
        return self._find_account_id()

    def clears_left(self) -> int:
        """Return how often the quotas can still be cleared this month, as far as this program knows."""
        return MAX_CLEARS - _clears(self._load(), database_now())

    def clear(self, actor: Actor) -> None:
        """Clear the quotas of all calls, for all processes.

        :raises APIError: if the platform refuses it.
        """
        assert self._client
        try:
            self._client.system.clear_quota()
        except QuotaUsedUp:  # others clear them, too, such as the owner
            self._store({"quota_clears": MAX_CLEARS})
            raise
        self._store({"refused_at": None}, actor)

    def refresh(self) -> None:
        """Let the client make the calls again that were stopped before the quotas were last cleared."""
        cleared_at = self._load().quota_cleared_at
        if self._client and cleared_at != self._cleared_at:
            self._cleared_at = cleared_at
            self._client.system.resume()

    def _load(self) -> Any:
        found = self._find()
        with self._engine.connect() as connection:
            return connection.execute(found).one()

    def _find(self) -> Select[*tuple[Any, ...]]:
        return select(Account.quota_cleared_at, Account.quota_clears).where(Account.id == self._account_id)

    @retry_conflicts
    def _store(self, changes: dict[str, Any], actor: Actor | None = None) -> None:
        """Store that the quotas were cleared now, and `changes`, which may tell how often that was."""
        this, found, now = Account.id == self._account_id, self._find().with_for_update(), database_now()
        with transaction(self._engine) as connection:
            clears = _clears(connection.execute(found).one(), now) + 1
            counted = {"quota_cleared_at": now, "quota_clears": clears}
            connection.execute(update(Account).where(this).values(counted | changes))
            if actor:
                audit.record(connection, actor, "quota_cleared", f"account:{self._account_id}")


def _clears(row: Any, now: datetime) -> int:
    """Return how often the quotas were cleared in the month of `now`, Beijing time."""
    cleared_at = row.quota_cleared_at
    is_this_month = cleared_at and _month(cleared_at) == _month(now)
    return int(row.quota_clears) if is_this_month else 0


def _month(at: datetime) -> str:
    return f"{at.astimezone(_BEIJING):%Y-%m}"
