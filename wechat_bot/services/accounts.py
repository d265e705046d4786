"""The account that this program serves, and what the platform lets it do."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine, insert, select, update

from ..extensions import retry_conflicts, transaction
from ..models import Account


@retry_conflicts
def ensure_account(engine: Engine, app_id: str) -> int:
    """The id of the account with `app_id`, which is created if it is new."""
    found = select(Account.id).where(Account.app_id == app_id)
    with engine.connect() as connection:
        account_id = connection.scalar(found)
    if account_id is None:
        with transaction(engine) as connection:
            connection.execute(insert(Account).values(app_id=app_id, created_at=datetime.now(UTC)))
            account_id = connection.scalar(found)
    assert account_id is not None
    return account_id


def customer_service_refused(engine: Engine, account_id: int) -> bool:
    """Whether the platform has refused customer-service messages to this account (48001)."""
    with engine.connect() as connection:
        refused = select(Account.customer_service_refused_at).where(Account.id == account_id)
        return connection.scalar(refused) is not None


@retry_conflicts
def remember_refusal(engine: Engine, account_id: int) -> None:
    """Customer-service messages are no way to this account's followers."""
    with transaction(engine) as connection:
        connection.execute(
            update(Account)
            .where(Account.id == account_id)
            .values(customer_service_refused_at=datetime.now(UTC))
        )
