"""A demo account: believable conversations of a tea shop, recorded as if they had been pushed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import islice

from sqlalchemy import Connection, Engine, exists, insert, select

from ..database.transactions import retry_conflicts, transaction
from ..models import BotSession, Direction, Follower, MessageLog
from ..routing import Router
from ..services.accounts import ensure_account
from ..services.inbox import exchanges
from ..services.inbox.exchanges import Exchange
from ..wechat.messages import SubscribeEvent, UnsubscribeEvent
from .timeline import Plan, SampleExchange, SampleTimeline

__all__ = ["AlreadyUsed", "Plan", "seed"]

BATCH_SIZE = 2000
"""Exchanges in one transaction."""


class AlreadyUsed(Exception):
    """The account has messages, so that it may be a real one."""


def seed(
    engine: Engine,
    router: Router,
    app_id: str,
    plan: Plan,
    *,
    add: bool = False,
    progress: Callable[[int], object] = lambda rows: None,
) -> None:
    """Record what `plan` wants, telling `progress` how many messages each transaction brought.

    AlreadyUsed when there are messages, unless they are to be added to.
    """
    with engine.connect() as connection:
        if not add and connection.scalar(select(exists(select(MessageLog.id)))):
            raise AlreadyUsed
    story = iter(SampleTimeline(plan, ensure_account(engine, app_id), router))
    while chunk := list(islice(story, BATCH_SIZE)):
        _record(engine, chunk)
        progress(sum(told.rows for told in chunk))


@retry_conflicts
def _record(engine: Engine, chunk: Sequence[SampleExchange]) -> None:
    with transaction(engine) as connection:
        recorded = _with_followers(connection, [told.exchange for told in chunk])
        rows = [row for told, exchange in zip(chunk, recorded, strict=True) for row in _rows(told, exchange)]
        exchanges.insert_rows(connection, rows)
        connection.execute(exchanges.SEEN, exchanges.seen_values(recorded))
        for exchange in recorded:
            if isinstance(exchange.message, SubscribeEvent | UnsubscribeEvent):
                exchanges.change_subscription(connection, exchange)


def _rows(told: SampleExchange, exchange: Exchange) -> Iterator[exchanges.Row]:
    """The rows of an exchange, as its fate left them."""
    fate = told.fate
    for row in exchanges.rows_of(exchange):
        if row["direction"] is Direction.IN:
            yield row | {"attempts": fate.attempts}
        else:
            at = exchange.received_at + timedelta(milliseconds=exchange.latency_ms or 0)
            sent = {"created_at": at, "received_at": at, "channel": fate.channel}
            yield row | sent | {"attempts": fate.reply_attempts, "error": fate.reply_error}


def _with_followers(connection: Connection, told: Sequence[Exchange]) -> list[Exchange]:
    """`told` with the ids of followers, who are added when they first do something; reports add nobody."""
    ids = _ids(connection, told)
    there = set(ids)
    first: dict[str, Exchange] = {}
    for exchange in told:
        if exchange.message.from_follower and exchange.message.openid not in ids:
            first.setdefault(exchange.message.openid, exchange)
    if first:
        connection.execute(insert(Follower), exchanges.new_followers(list(first.values())))
        added = _ids(connection, list(first.values()))
        connection.execute(insert(BotSession), [exchanges.new_conversation(i) for i in added.values()])
        ids |= added
    recorded = []
    for exchange in told:
        if exchange is first.get(exchange.message.openid):
            there.add(exchange.message.openid)
        follower_id = ids[exchange.message.openid] if exchange.message.openid in there else None
        recorded.append(replace(exchange, follower_id=follower_id))
    return recorded


def _ids(connection: Connection, told: Sequence[Exchange]) -> dict[str, int]:
    """The ids of the followers whom the database knows, by openid."""
    found = select(Follower.openid, Follower.id).where(
        Follower.account_id == told[0].account_id,
        Follower.openid.in_({exchange.message.openid for exchange in told}),
    )
    return {row.openid: row.id for row in connection.execute(found)}
