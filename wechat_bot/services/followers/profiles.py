"""What operators say about followers: aliases and tags.

A change is queued for the platform where the account may change remarks and tags there. Every change is in
the audit log. Each function takes the account's `capabilities`; with None nothing is queued, as for the
followers of the sample data, whom the platform does not know.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, delete, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import AuditEntry, Follower, FollowerTag, Tag, UpdateKind
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
    engine: Engine,
    capabilities: Capabilities | None,
    actor: Actor,
    account_id: int,
    follower_id: int,
    alias: str,
) -> None:
    """Set a follower's alias; empty removes it."""
    alias = " ".join(alias.split())[:64]
    reported = _are_reported(capabilities, account_id)
    this = Follower.id == follower_id, Follower.account_id == account_id
    with transaction(engine) as connection:
        before = connection.scalar(select(Follower.alias).where(*this))
        if before in {None, alias}:
            return
        connection.execute(update(Follower).where(*this).values(alias=alias))
        if reported:
            write_back.queue(connection, [follower_id], UpdateKind.REMARK, alias)
        refresh_followers(connection, {follower_id})
        audit.record(connection, actor, "alias_changed", subject(follower_id), before=before, after=alias)


@retry_conflicts
def tag(
    engine: Engine,
    capabilities: Capabilities | None,
    actor: Actor,
    account_id: int,
    follower_ids: Sequence[int],
    name: str,
) -> int:
    """Put the tag `name`, which is created if it is new, on followers; return how many did not have it."""
    name = " ".join(name.split())[:32]
    if not name:
        return 0
    reported = _are_reported(capabilities, account_id)
    with transaction(engine) as connection:
        if not (known := _existing(connection, account_id, follower_ids)):
            return 0
        tag_id = ensure_tag(connection, account_id, name)
        tagged = _tagged(connection, tag_id, known)
        if new := [follower_id for follower_id in known if follower_id not in tagged]:
            rows = [{"follower_id": follower_id, "tag_id": tag_id} for follower_id in new]
            connection.execute(insert(FollowerTag), rows)
            if reported:
                write_back.queue(connection, new, UpdateKind.TAG, str(tag_id))
            _record(connection, actor, "tag_added", new, after=name)
    return len(new)


@retry_conflicts
def untag(
    engine: Engine,
    capabilities: Capabilities | None,
    actor: Actor,
    account_id: int,
    follower_ids: Sequence[int],
    tag_id: int,
) -> int:
    """Remove a tag from followers; return how many had it."""
    reported = _are_reported(capabilities, account_id)
    with transaction(engine) as connection:
        name = connection.scalar(select(Tag.name).where(Tag.id == tag_id))
        known = _existing(connection, account_id, follower_ids)
        tagged = _tagged(connection, tag_id, known)
        if had := [follower_id for follower_id in known if follower_id in tagged]:
            these = FollowerTag.follower_id.in_(had), FollowerTag.tag_id == tag_id
            connection.execute(delete(FollowerTag).where(*these))
            if reported:
                write_back.queue(connection, had, UpdateKind.UNTAG, str(tag_id))
            _record(connection, actor, "tag_removed", had, before=name)
    return len(had)


def ensure_tag(connection: Connection, account_id: int, name: str) -> int:
    """Return the id of the tag `name`, which is created if it is new."""
    found = select(Tag.id).where(Tag.account_id == account_id, Tag.name == name)
    if connection.scalar(found) is None:
        colour = COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]
        connection.execute(insert(Tag).values(account_id=account_id, name=name, colour=colour))
    return connection.scalars(found).one()


def _are_reported(capabilities: Capabilities | None, account_id: int) -> bool:
    """Whether the platform lets changes be reported."""
    return capabilities is not None and capabilities.allows(account_id, Feature.FOLLOWERS)


def _existing(connection: Connection, account_id: int, follower_ids: Sequence[int]) -> Sequence[int]:
    """Return the ids of those who are followers of the account, in an order that prevents deadlocks."""
    these = Follower.id.in_(follower_ids[:MAX_BULK]), Follower.account_id == account_id
    return connection.scalars(select(Follower.id).where(*these).order_by(Follower.id)).all()


def _tagged(connection: Connection, tag_id: int, follower_ids: Sequence[int]) -> set[int]:
    """Return those of the followers who have the tag."""
    have = FollowerTag.tag_id == tag_id, FollowerTag.follower_id.in_(follower_ids)
    return set(connection.scalars(select(FollowerTag.follower_id).where(*have)))


def _record(
    connection: Connection,
    actor: Actor,
    action: str,
    follower_ids: Sequence[int],
    before: str | None = None,
    after: str | None = None,
) -> None:
    """Index followers anew whose tags changed, and record the change of each in the audit log."""
    refresh_followers(connection, follower_ids)
    entries = [
        audit.new_entry(actor, action, subject(follower_id), before=before, after=after)
        for follower_id in follower_ids
    ]
    connection.execute(insert(AuditEntry), entries)
