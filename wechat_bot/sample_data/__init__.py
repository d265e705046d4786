"""Sample data: made-up conversations of a tea shop, recorded by the same functions as pushes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from sqlalchemy import Engine, bindparam, exists, select, update

from ..database.transactions import retry_conflicts, transaction
from ..models import Follower, MessageLog
from ..routing import Router
from ..services.accounts import ensure_account
from ..services.inbox.exchanges import RecordOutcome, record
from .timeline import Plan, SampleExchange, SampleTimeline

BATCH_SIZE = 2000
"""Exchanges in one transaction."""


class AlreadyUsed(Exception):
    """The account has messages, so that it may be a real one."""


class AlreadyRecorded(Exception):
    """Messages of the same plan are in the database."""


def seed(
    engine: Engine,
    router: Router,
    app_id: str,
    plan: Plan,
    *,
    add: bool = False,
    progress: Callable[[int], object] = lambda rows: None,
) -> None:
    """Record the messages of `plan`; `progress` is called with the number of rows of each transaction.

    :raises AlreadyUsed: when there are messages, unless `add` is true.
    :raises AlreadyRecorded: when there are messages of the same plan.
    """
    with engine.connect() as connection:
        if not add and connection.scalar(select(exists(select(MessageLog.id)))):
            raise AlreadyUsed
    timeline = iter(SampleTimeline(plan, ensure_account(engine, app_id), router))
    while batch := list(islice(timeline, BATCH_SIZE)):
        _record(engine, batch)
        progress(sum(sample.rows for sample in batch))


@retry_conflicts
def _record(engine: Engine, batch: Sequence[SampleExchange]) -> None:
    openids = {sample.exchange.message.openid for sample in batch}
    of_account = Follower.account_id == batch[0].exchange.account_id
    with transaction(engine) as connection:
        query = select(Follower.openid, Follower.id).where(of_account, Follower.openid.in_(openids))
        known = {row.openid: row.id for row in connection.execute(query)}
        exchanges = [
            replace(each.exchange, follower_id=known.get(each.exchange.message.openid)) for each in batch
        ]
        if RecordOutcome.DUPLICATE in record(connection, exchanges):
            raise AlreadyRecorded
        if replies := [sample.reply_columns() for sample in batch if sample.exchange.reply]:
            connection.execute(update(MessageLog).where(MessageLog.dedup_key == bindparam("reply")), replies)
