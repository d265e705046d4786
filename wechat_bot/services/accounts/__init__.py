"""Official Accounts: their rows, access tokens and API permissions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, insert, select

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import Account


@retry_conflicts
def ensure_account(engine: Engine, app_id: str) -> int:
    """Return the id of the account with `app_id`, which is created if it does not exist."""
    found = select(Account.id).where(Account.app_id == app_id)
    with engine.connect() as connection:
        account_id = connection.scalar(found)
    if account_id is None:
        with transaction(engine) as connection:
            connection.execute(insert(Account).values(app_id=app_id, created_at=database_now()))
            account_id = connection.scalars(found).one()
    return account_id


def lock_account(connection: Connection, account_id: int) -> None:
    """Let other processes that lock the account wait until the end of the transaction."""
    connection.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))


@contextmanager
def locked_account(engine: Engine, account_id: int) -> Iterator[Connection]:
    """Provide a transaction in which the account is locked."""
    with transaction(engine) as connection:
        lock_account(connection, account_id)
        yield connection
