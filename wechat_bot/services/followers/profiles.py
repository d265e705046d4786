"""What operators say about followers: aliases and tags.

A change is queued for the platform where the follower's account may change remarks and tags there. Every
change is in the audit log. Each function takes the account's `capabilities`; with None nothing is queued, as
for the followers of the sample data, whom the platform does not know.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, delete, exists, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import Follower, FollowerTag, Tag, UpdateKind
from .. import audit
from ..accounts.capabilities import Capabilities, Feature
from ..audit import Actor
from ..search.index import refresh_followers
from . import write_back

COLOURS = ("blue", "azure", "indigo", "purple", "pink", "red", "orange", "lime", "green", "teal", "cyan")
MAX_BULK = 500
"""Upper limit of followers or conversations that one action changes."""


def subject(follower_id: int) -> str:
    return f"follower:{follower_id}"


@retry_conflicts
def rename(
    engine: Engine, capabilities: Capabilities | None, actor: Actor, follower_id: int, alias: str
) -> None:
    """Set a follower's alias; empty removes it."""
    alias = " ".join(alias.split())[:64]
    reported = _reported_accounts(engine, capabilities, [follower_id])
    with transaction(engine) as connection:
        before = connection.scalar(select(Follower.alias).where(Follower.id == follower_id))
        if before in {None, alias}:
            return
        connection.execute(update(Follower).where(Follower.id == follower_id).values(alias=alias))
        if reported:
            write_back.queue(connection, follower_id, UpdateKind.REMARK, alias)
        refresh_followers(connection, {follower_id})
        audit.record(connection, actor, "alias_changed", subject(follower_id), before=before, after=alias)


@retry_conflicts
def tag(
    engine: Engine, capabilities: Capabilities | None, actor: Actor, follower_ids: Sequence[int], name: str
) -> None:
    """Put the tag `name`, which is created if it is new, on followers."""
    name = " ".join(name.split())[:32]
    if not name:
        return
    reported = _reported_accounts(engine, capabilities, follower_ids)
    with transaction(engine) as connection:
        for follower_id, account_id in _existing(connection, follower_ids):
            tag_id = ensure_tag(connection, account_id, name)
            has = exists().where(FollowerTag.follower_id == follower_id, FollowerTag.tag_id == tag_id)
            if connection.scalar(select(has)):
                continue
            connection.execute(insert(FollowerTag).values(follower_id=follower_id, tag_id=tag_id))
            if account_id in reported:
                write_back.queue(connection, follower_id, UpdateKind.TAG, str(tag_id))
            refresh_followers(connection, {follower_id})
            audit.record(connection, actor, "tag_added", subject(follower_id), after=name)


@retry_conflicts
def untag(
    engine: Engine, capabilities: Capabilities | None, actor: Actor, follower_ids: Sequence[int], tag_id: int
) -> None:
    """Remove a tag from followers."""
    reported = _reported_accounts(engine, capabilities, follower_ids)
    with transaction(engine) as connection:
        name = connection.scalar(select(Tag.name).where(Tag.id == tag_id))
        for follower_id, account_id in _existing(connection, follower_ids):
            has = (FollowerTag.follower_id == follower_id, FollowerTag.tag_id == tag_id)
            if not connection.execute(delete(FollowerTag).where(*has)).rowcount:
                continue
            if account_id in reported:
                write_back.queue(connection, follower_id, UpdateKind.UNTAG, str(tag_id))
            refresh_followers(connection, {follower_id})
            audit.record(connection, actor, "tag_removed", subject(follower_id), before=name)


def ensure_tag(connection: Connection, account_id: int, name: str) -> int:
    """Return the id of the tag `name`, which is created if it is new."""
    found = select(Tag.id).where(Tag.account_id == account_id, Tag.name == name)
    if connection.scalar(found) is None:
        colour = COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]
        connection.execute(insert(Tag).values(account_id=account_id, name=name, colour=colour))
    return connection.scalars(found).one()


def _reported_accounts(
    engine: Engine, capabilities: Capabilities | None, follower_ids: Sequence[int]
) -> set[int]:
    """Return the followers' accounts to which the platform lets changes be reported."""
    if capabilities is None:
        return set()
    with engine.connect() as connection:
        accounts = {account_id for _, account_id in _existing(connection, follower_ids)}
    return {account_id for account_id in accounts if capabilities.allows(account_id, Feature.FOLLOWERS)}


def _existing(connection: Connection, follower_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return ids and account ids of existing followers, in an order that prevents deadlocks."""
    found = select(Follower.id, Follower.account_id).where(Follower.id.in_(follower_ids[:MAX_BULK]))
    return [(row.id, row.account_id) for row in connection.execute(found.order_by(Follower.id))]
