"""The followers as the platform lists them, brought together with those whom pushes told of.

A run asks for the list page by page, and for the data of 100 followers at a time. These are one transaction,
with the place in the run's row: whatever interrupts it, it goes on from there (``wechat-platform.md``
sections 6.7, 7.1 and 7.2). What pushes and operators changed since it began wins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Select, bindparam, delete, insert, or_, select, tuple_, update

from ...database.transactions import retry_conflicts, transaction
from ...jobs import Enqueue, Job
from ...models import Account, BotSession, Follower, FollowerSync, FollowerTag, SyncState, Tag
from ...wechat.api import WeChatClient
from ...wechat.api.users import User
from ...wechat.api.values import OpenIDPage
from ...wechat.errors import APIError, Forbidden, NotFollowing
from .. import audit
from ..accounts.capabilities import Capabilities, Feature
from ..audit import Actor
from ..conversations.actions import ensure_tag
from ..inbox.exchanges import storable
from ..search.index import refresh_followers
from . import write_back

log = logging.getLogger(__name__)

LIST_PATH = "/cgi-bin/user/get"
"""The call whose daily quota is small."""
BATCH_SIZE = 100
RUN_TIMEOUT = timedelta(minutes=3)
"""After so long without a batch nobody is about a run: a call takes less, with all its repetitions."""
NIGHTLY = Actor(None, "nightly", "")
NIGHT = time(4), time(5)
"""When the nightly run begins, by Beijing's clock."""
BEIJING = timedelta(hours=8)
_OF_THE_PLATFORM = {0, 1, 2}
"""Tags that every account has."""


@dataclass(frozen=True)
class Run:
    """A run as it stood when this worker took it up."""

    id: int
    account_id: int
    started_at: datetime
    cursor: str

    @property
    def since(self) -> datetime:
        """What happened then or later is newer than the list; the platform's times have whole seconds."""
        return self.started_at.replace(microsecond=0)


class _PlaceLost(Exception):
    """Whoever was last has left meanwhile, so the list cannot be asked for from there."""


class FollowerSynchronizer:
    """`client` is None when there is no API; `ask` lets a worker `run` a run."""

    def __init__(
        self,
        engine: Engine,
        client: WeChatClient | None,
        capabilities: Capabilities,
        enqueue: Enqueue,
    ) -> None:
        self._engine = engine
        self._client = client
        self._capabilities = capabilities
        self._enqueue = enqueue

    @retry_conflicts
    def begin(self, account_id: int, actor: Actor) -> int:
        """The id of the run that is going on, or of a new one."""
        now = datetime.now(UTC)
        with transaction(self._engine) as connection:
            newest = _lock_newest(connection, account_id)
            if newest and newest.state == SyncState.RUNNING:
                return int(newest.id)
            row = {"account_id": account_id, "started_by": actor.name[:64], "started_at": now, "seen_at": now}
            added = connection.execute(insert(FollowerSync).values(row))
            [sync_id] = added.inserted_primary_key or (0,)
            audit.record(connection, actor, "sync_started", f"sync:{sync_id}")
            return int(sync_id)

    @retry_conflicts
    def resume(self, account_id: int) -> int | None:
        """The id of the newest run, to go on with; None if it is done."""
        with transaction(self._engine) as connection:
            newest = _lock_newest(connection, account_id)
            if newest is None or newest.state == SyncState.DONE:
                return None
            connection.execute(
                update(FollowerSync)
                .where(FollowerSync.id == newest.id)
                .values(state=SyncState.RUNNING, error="", finished_at=None, seen_at=datetime.now(UTC))
            )
            return int(newest.id)

    def wake(self, sync_id: int) -> None:
        """Let a worker `run` a run."""
        self._enqueue(Job.SYNC_FOLLOWERS, sync_id, 0)

    def keep_going(self, account_id: int, now: datetime) -> None:
        """Let a worker go on with what was interrupted, and begin the nightly run."""
        with self._engine.connect() as connection:
            newest = connection.execute(newest_run(account_id)).one_or_none()
        if newest and newest.state == SyncState.RUNNING:
            due = newest.seen_at < now - RUN_TIMEOUT
        else:
            due = _is_due(newest, now)
        if due and self._capabilities.allows(account_id, Feature.FOLLOWERS):
            self.wake(self.resume(account_id) or self.begin(account_id, NIGHTLY))

    def run(self, sync_id: int, progress: Callable[[int, int], object] = lambda done, total: None) -> None:
        """Go on with a run until it is done, has failed, or another worker is about it.

        `progress` is told how many followers are done, of how many.
        """
        while run := self._running(sync_id):
            try:
                self._go_on(run, progress)
            except _PlaceLost:
                self._move(run.id, cursor="", done=0)
            except APIError as error:
                if isinstance(error, Forbidden):
                    self._capabilities.learn(run.account_id, Feature.FOLLOWERS, allowed=False)
                log.warning("the followers could not all be synchronised: %s", error)
                self._move(
                    run.id, state=SyncState.FAILED, finished_at=datetime.now(UTC), error=str(error)[:255]
                )
            else:
                return

    def _running(self, sync_id: int) -> Run | None:
        columns = (getattr(FollowerSync, name) for name in Run.__annotations__)
        found = select(*columns).where(FollowerSync.id == sync_id, FollowerSync.state == SyncState.RUNNING)
        with self._engine.connect() as connection:
            row = connection.execute(found).one_or_none()
        return Run(**row._mapping) if row else None

    def _go_on(self, run: Run, progress: Callable[[int, int], object]) -> None:
        """To the end of the list, or until another worker is found to be about it; APIError."""
        assert self._client
        tags = self._map_tags(self._client, run.account_id)
        cursor = run.cursor
        for page in _pages(self._client, cursor):
            for first in range(0, len(page.openids), BATCH_SIZE):
                openids = page.openids[first : first + BATCH_SIZE]
                told = {user.openid: user for user in self._client.users.batch(openids)}
                users = [told.get(openid, User(openid, subscribe=True)) for openid in openids]
                done = self._store(run, cursor, page.total, users, tags)
                if done is None:
                    return
                cursor = openids[-1]
                progress(done, page.total)
        self._finish(run, cursor)

    @retry_conflicts
    def _map_tags(self, client: WeChatClient, account_id: int) -> dict[int, int]:
        """The ids of our tags by the platform's numbers; tags that are new to us are made. APIError."""
        tags = {tag.id: tag.name for tag in client.tags.list() if tag.id not in _OF_THE_PLATFORM}
        with transaction(self._engine) as connection:
            numbered = Tag.account_id == account_id, Tag.platform_id.is_not(None)
            ids: dict[int, int] = {}
            for row in connection.execute(select(Tag.id, Tag.name, Tag.platform_id).where(*numbered)).all():
                if tags.get(row.platform_id) == row.name[: write_back.MAX_TAG]:
                    ids[row.platform_id] = row.id
                else:  # it was deleted or renamed at the platform
                    connection.execute(update(Tag).where(Tag.id == row.id).values(platform_id=None))
            for number in tags.keys() - ids.keys():
                if name := " ".join(storable(tags[number]).split())[:32]:
                    ids[number] = ensure_tag(connection, account_id, name)
                    connection.execute(update(Tag).where(Tag.id == ids[number]).values(platform_id=number))
            return ids

    @retry_conflicts
    def _store(
        self, run: Run, cursor: str, total: int, users: Sequence[User], tags: Mapping[int, int]
    ) -> int | None:
        """Record a batch that follows after `cursor`; how many followers are done, None if that place is no
        longer the run's: another worker was faster."""
        now = datetime.now(UTC)
        moved = {
            "cursor": users[-1].openid,
            "total": total,
            "done": FollowerSync.done + len(users),
            "seen_at": now,
        }
        with transaction(self._engine) as connection:
            if not connection.execute(update(FollowerSync).where(*_at(run, cursor)).values(moved)).rowcount:
                return None
            _merge(connection, run, users, tags, now)
            return connection.scalar(select(FollowerSync.done).where(FollowerSync.id == run.id))

    @retry_conflicts
    def _finish(self, run: Run, cursor: str) -> None:
        """End a run. Who was not in a complete list, and has done nothing since it began, follows no more."""
        now = datetime.now(UTC)
        with transaction(self._engine) as connection:
            ended = update(FollowerSync).where(*_at(run, cursor))
            if not connection.execute(
                ended.values(state=SyncState.DONE, seen_at=now, finished_at=now)
            ).rowcount:
                return
            if connection.scalar(
                select(FollowerSync.done >= FollowerSync.total).where(FollowerSync.id == run.id)
            ):
                connection.execute(
                    update(Follower)
                    .where(Follower.account_id == run.account_id, Follower.subscribed.is_(True))
                    .where(or_(Follower.synced_at.is_(None), Follower.synced_at < run.started_at))
                    .where(or_(Follower.status_at.is_(None), Follower.status_at < run.since))
                    .where(Follower.last_seen_at < run.since)
                    .values(subscribed=False, status_at=run.since)
                )

    @retry_conflicts
    def _move(self, sync_id: int, **values: Any) -> None:
        with transaction(self._engine) as connection:
            connection.execute(
                update(FollowerSync)
                .where(FollowerSync.id == sync_id, FollowerSync.state == SyncState.RUNNING)
                .values(seen_at=datetime.now(UTC), **values)
            )


def newest_run(account_id: int) -> Select[Any]:
    """The run of an account that was begun last."""
    return (
        select(FollowerSync.__table__)
        .where(FollowerSync.account_id == account_id)
        .order_by(FollowerSync.id.desc())
        .limit(1)
    )


def _lock_newest(connection: Connection, account_id: int) -> Any:
    """The newest run; nobody else begins or resumes one meanwhile."""
    locked = select(Account.id).where(Account.id == account_id).with_for_update(key_share=True)
    connection.execute(locked)
    return connection.execute(newest_run(account_id)).one_or_none()


def _is_due(newest: Any, now: datetime) -> bool:
    """Whether it is the hour of the nightly run, and nothing was done in it."""
    here = (now + BEIJING).replace(tzinfo=None)
    begins, ends = (datetime.combine(here.date(), at) for at in NIGHT)
    since = begins.replace(tzinfo=UTC) - BEIJING
    return begins <= here < ends and (newest is None or newest.seen_at < since)


def _at(run: Run, cursor: str) -> tuple[Any, ...]:
    return FollowerSync.id == run.id, FollowerSync.state == SyncState.RUNNING, FollowerSync.cursor == cursor


def _pages(client: WeChatClient, cursor: str) -> Iterator[OpenIDPage]:
    """The list after `cursor`. Its end is an empty page, which is not asked for where one page has all."""
    while True:
        try:
            page = client.users.list(cursor)
        except NotFollowing as error:
            if not cursor:
                raise
            raise _PlaceLost from error
        if not page.openids:
            return
        yield page
        if not cursor and len(page.openids) >= page.total:
            return
        cursor = page.openids[-1]


def _merge(
    connection: Connection, run: Run, users: Sequence[User], tags: Mapping[int, int], now: datetime
) -> None:
    """Bring what the platform tells of `users` together with what is known of them."""
    new = _insert_unknown(connection, run, users, now)
    rows = _locked(connection, run, users)
    by_id = {rows[user.openid].id: user for user in users}
    have = _tagged(connection, by_id, tags)
    waiting = write_back.waiting(connection, by_id)  # last: what operators change meanwhile is not undone
    changed = set(new)
    changes = []
    for row in rows.values():
        values = _values(row, by_id[row.id], run.since, (row.id, None) in waiting)
        if any(getattr(row, name) != value for name, value in values.items()):
            changes.append({"follower": row.id, **values})
        if row.alias != values["alias"]:
            changed.add(row.id)
    if changes:
        connection.execute(_CHANGE, changes)
    connection.execute(update(Follower).where(Follower.id.in_(by_id)).values(synced_at=now))
    changed |= _merge_tags(connection, by_id, tags, have, waiting)
    refresh_followers(connection, changed)


_TOLD = ("subscribed", "status_at", "unionid", "source", "subscribed_at", "remark", "alias")
_CHANGE = (
    update(Follower)
    .where(Follower.id == bindparam("follower"))
    .values({name: bindparam(name) for name in _TOLD})
)


def _insert_unknown(connection: Connection, run: Run, users: Sequence[User], now: datetime) -> Sequence[int]:
    """Make followers of those nobody knew, who were last seen when they followed; their ids."""
    openid = Follower.account_id == run.account_id, Follower.openid.in_([user.openid for user in users])
    known = set(connection.scalars(select(Follower.openid).where(*openid)))
    unknown = {user.openid: user for user in users if user.openid not in known}
    if not unknown:
        return []
    connection.execute(
        insert(Follower),
        [
            {
                "account_id": run.account_id,
                "openid": user.openid,
                "scene": storable(user.qr_scene_str or str(user.qr_scene or ""))[:128],
                "first_seen_at": _time(user.subscribe_time) or now,
                "last_seen_at": _time(user.subscribe_time) or now,
            }
            for user in unknown.values()
        ],
    )
    found = select(Follower.id).where(Follower.account_id == run.account_id, Follower.openid.in_(unknown))
    ids = connection.scalars(found).all()
    connection.execute(insert(BotSession), [{"follower_id": follower_id} for follower_id in ids])
    return ids


def _locked(connection: Connection, run: Run, users: Sequence[User]) -> dict[str, Any]:
    """The followers by openid. No push changes them meanwhile."""
    found = (
        select(Follower.__table__)
        .where(Follower.account_id == run.account_id, Follower.openid.in_([user.openid for user in users]))
        .order_by(Follower.id)
        .with_for_update(key_share=True)
    )
    return {row.openid: row for row in connection.execute(found)}


def _values(row: Any, user: User, began: datetime, remark_waits: bool) -> dict[str, Any]:
    """What a follower's columns are to be; the platform tells nothing else of who does not follow."""
    followed = _time(user.subscribe_time)
    values = {name: getattr(row, name) for name in _TOLD}
    if row.subscribed != user.subscribe and not (row.status_at and row.status_at >= began):
        values |= {"subscribed": user.subscribe, "status_at": followed if user.subscribe else began}
    if user.subscribe:
        values |= {
            "status_at": values["status_at"] or followed,
            "unionid": user.unionid,
            "source": user.subscribe_scene[:48],
            "subscribed_at": followed,
        }
        if not remark_waits:
            remark = storable(user.remark)[:64]
            values |= {"remark": remark, "alias": row.alias or remark}
    return values


def _tagged(
    connection: Connection, follower_ids: Collection[int], tags: Mapping[int, int]
) -> set[tuple[int, int]]:
    """Which followers have which of the platform's tags here."""
    found = select(FollowerTag.follower_id, FollowerTag.tag_id).where(
        FollowerTag.follower_id.in_(follower_ids), FollowerTag.tag_id.in_(tags.values())
    )
    return {(row.follower_id, row.tag_id) for row in connection.execute(found)}


def _merge_tags(
    connection: Connection,
    users: Mapping[int, User],
    tags: Mapping[int, int],
    have: set[tuple[int, int]],
    waiting: set[tuple[int, int | None]],
) -> set[int]:
    """Give followers the platform's tags, but for those that operators changed; whose tags are others now."""
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
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
