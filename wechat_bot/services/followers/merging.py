"""Merges what the platform's list tells of followers into what pushes and operators told.

What pushes and operators changed after the run began takes precedence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, tuple_, update

from ...models import BotSession, Follower, FollowerTag
from ...models.columns import storable
from ...wechat.api.users import User
from ..search.index import refresh_followers
from . import write_back


@dataclass(frozen=True)
class Run:
    """A run as it was stored when this worker continued it."""

    id: int
    account_id: int
    started_at: datetime
    cursor: str

    @property
    def since(self) -> datetime:
        """What happened from then on is newer than the list; the platform's times have whole seconds."""
        return self.started_at.replace(microsecond=0)


def merge(
    connection: Connection,
    run: Run,
    openids: Sequence[str],
    users: Mapping[str, User],
    tags: Mapping[int, int],
    now: datetime,
) -> None:
    """Merge what the platform returns of `users` into the followers `openids`."""
    new = _insert_unknown(connection, run, [users.get(openid, User(openid)) for openid in openids], now)
    rows = _locked(connection, run, openids)
    by_id = {rows[openid].id: users[openid] for openid in openids if openid in users}
    known = select(FollowerTag.follower_id, FollowerTag.tag_id).where(
        FollowerTag.follower_id.in_(by_id), FollowerTag.tag_id.in_(tags.values())
    )
    have = {(row.follower_id, row.tag_id) for row in connection.execute(known)}
    waiting = write_back.waiting(connection, by_id)  # last, so that no change of an operator is undone
    changed = set(new)
    changes = []
    for row in (rows[user.openid] for user in by_id.values()):
        values = _values(row, by_id[row.id], run.since, (row.id, None) in waiting)
        if any(getattr(row, name) != value for name, value in values.items()):
            changes.append({"follower": row.id, **values})
        if row.alias != values["alias"]:
            changed.add(row.id)
    if changes:
        connection.execute(_CHANGE, changes)
    connection.execute(update(Follower).where(*_these(run, openids)).values(synced_at=now))
    changed |= _merge_tags(connection, by_id, tags, have, waiting)
    refresh_followers(connection, changed)


_COLUMNS = ("subscribed", "status_at", "unionid", "source", "subscribed_at", "remark", "alias")
_CHANGE = (
    update(Follower)
    .where(Follower.id == bindparam("follower"))
    .values({name: bindparam(name) for name in _COLUMNS})
)


def _insert_unknown(connection: Connection, run: Run, users: Sequence[User], now: datetime) -> Sequence[int]:
    """Insert the users who are no followers yet, seen last when they followed; return their ids."""
    these = _these(run, [user.openid for user in users])
    known = set(connection.scalars(select(Follower.openid).where(*these)))
    unknown = {user.openid: user for user in users if user.openid not in known}
    if not unknown:
        return []
    new = [
        {
            "account_id": run.account_id,
            "openid": user.openid,
            "scene": storable(user.qr_scene_str or str(user.qr_scene or ""))[:128],
            "first_seen_at": _time(user.subscribe_time) or now,
            "last_seen_at": _time(user.subscribe_time) or now,
        }
        for user in unknown.values()
    ]
    connection.execute(insert(Follower), new)
    ids = connection.scalars(select(Follower.id).where(*_these(run, unknown))).all()
    connection.execute(insert(BotSession), [{"follower_id": follower_id} for follower_id in ids])
    return ids


def _these(run: Run, openids: Iterable[str]) -> tuple[ColumnElement[bool], ...]:
    return Follower.account_id == run.account_id, Follower.openid.in_(openids)


def _locked(connection: Connection, run: Run, openids: Sequence[str]) -> dict[str, Any]:
    """Lock the followers against changes by pushes; return them by openid."""
    found = select(Follower.__table__).where(*_these(run, openids)).order_by(Follower.id)
    return {row.openid: row for row in connection.execute(found.with_for_update(key_share=True))}


def _values(row: Any, user: User, began: datetime, remark_waits: bool) -> dict[str, Any]:
    """Return the new values of a follower's columns. Of users who left, the platform returns nothing else."""
    followed = _time(user.subscribe_time)
    values = {name: getattr(row, name) for name in _COLUMNS}
    if row.subscribed != user.subscribe and not (row.status_at and row.status_at >= began):
        values |= {"subscribed": user.subscribe, "status_at": followed if user.subscribe else began}
    if user.subscribe:
        values |= {
            "status_at": values["status_at"] or followed,
            "unionid": storable(user.unionid)[:64],
            "source": storable(user.subscribe_scene)[:48],
            "subscribed_at": followed,
        }
        if not remark_waits:
            remark = storable(user.remark)[:64]
            values |= {"remark": remark, "alias": row.alias or remark}
    return values


def _merge_tags(
    connection: Connection,
    users: Mapping[int, User],
    tags: Mapping[int, int],
    have: set[tuple[int, int]],
    waiting: set[tuple[int, int | None]],
) -> set[int]:
    """Give followers the platform's tags, except those that operators changed; return whose tags changed."""
    following = {follower_id: user for follower_id, user in users.items() if user.subscribe}
    want = {
        (follower_id, tags[number])
        for follower_id, user in following.items()
        for number in user.tagid_list
        if number in tags
    }
    added = want - have - waiting
    removed = {pair for pair in have - want - waiting if pair[0] in following}
    if added:
        rows = [{"follower_id": follower_id, "tag_id": tag_id} for follower_id, tag_id in sorted(added)]
        connection.execute(insert(FollowerTag), rows)
    if removed:
        pair = tuple_(FollowerTag.follower_id, FollowerTag.tag_id)
        connection.execute(delete(FollowerTag).where(pair.in_(sorted(removed))))
    return {follower_id for follower_id, _ in added | removed}


def _time(seconds: int) -> datetime | None:
    """Return a time of the platform; None if it gives none, or a meaningless one."""
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 1 << 32 else None
