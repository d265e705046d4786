"""Transactions that change the knowledge of an account, and count that they did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, insert, update

from ...database.transactions import transaction
from ...models import KnowledgeVersion


@contextmanager
def change(engine: Engine, account_id: int) -> Iterator[Connection]:
    """A transaction that changes knowledge, one at a time for each account."""
    this = KnowledgeVersion.account_id == account_id
    counted = update(KnowledgeVersion).where(this).values(version=KnowledgeVersion.version + 1)
    with transaction(engine) as connection:
        if not connection.execute(counted).rowcount:
            connection.execute(insert(KnowledgeVersion).values(account_id=account_id, version=1))
        yield connection
