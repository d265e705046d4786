"""Synchronises the followers with the platform's list (``wechat-platform.md`` sections 6.7, 7.1 and 7.2).

A run reads the list page by page, and the data of 100 followers at a time. Each batch is one transaction
that stores the position of the run, too, so that an interrupted run continues there. What pushes and
operators changed after the run began takes precedence.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from textwrap import shorten
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, exists, insert, or_, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction, write
from ...jobs import Enqueue, Job
from ...models import Direction, Follower, FollowerSync, MessageLog, SyncState, Tag
from ...models.columns import storable
from ...wechat.api import WeChatClient
from ...wechat.api.users import User
from ...wechat.api.values import OpenIDPage
from ...wechat.errors import APIError, Forbidden, NotFollowing
from .. import audit
from ..accounts import lock_account
from ..accounts.capabilities import Capabilities, Feature
from ..audit import Actor
from . import decisions, write_back
from .merging import Run, merge
from .profiles import ensure_tag

log = logging.getLogger(__name__)

LIST_PATH = "/cgi-bin/user/get"
"""The path of the call whose daily quota is small."""
BATCH_SIZE = 100
RUN_TIMEOUT = timedelta(minutes=3)
"""How long a run may go without a batch before it counts as interrupted; a call takes less, with retries."""
NIGHTLY = Actor(None, "nightly", "")
NIGHT = time(4), time(5)
"""Between these times, in Beijing, the nightly run begins."""
BEIJING = timedelta(hours=8)
_TAG_NUMBERS = range(3, 1 << 31)
"""Numbers of the tags that an account creates. Every account has those with smaller numbers."""
_OPENID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _PositionLost(Exception):
    """The follower at the position has left, so that the list cannot be continued there."""


@dataclass(eq=False)
class FollowerSynchronizer:
    """Runs the synchronisation of one account. `client` is None when there is no API."""

    engine: Engine
    client: WeChatClient | None
    capabilities: Capabilities
    enqueue: Enqueue

    @retry_conflicts
    def begin(self, account_id: int, actor: Actor) -> int:
        """Return the id of the run that is going on, or of a new one."""
        now = database_now()
        with transaction(self.engine) as connection:
            newest = _lock_newest(connection, account_id)
            if newest and newest.state == SyncState.RUNNING:
                return int(newest.id)
            row = {"account_id": account_id, "started_by": actor.name[:64], "started_at": now, "seen_at": now}
            [sync_id] = connection.execute(insert(FollowerSync).values(row)).inserted_primary_key or (0,)
            audit.record(connection, actor, "sync_started", f"sync:{sync_id}")
            return int(sync_id)

    @retry_conflicts
    def resume(self, account_id: int) -> int | None:
        """Set the newest run to running and return its id; None if it is done."""
        with transaction(self.engine) as connection:
            newest = _lock_newest(connection, account_id)
            if newest is None or newest.state == SyncState.DONE:
                return None
            resumed = {**decisions.RESUMED.changes, "seen_at": database_now()}
            connection.execute(update(FollowerSync).where(FollowerSync.id == newest.id).values(resumed))
            return int(newest.id)

    def start(self, account_id: int, actor: Actor, *, resume: bool = False) -> None:
        """Let a worker run the synchronisation: a new run, or the newest one if it is to be resumed."""
        sync_id = (resume and self.resume(account_id)) or self.begin(account_id, actor)
        self.enqueue(Job.SYNC_FOLLOWERS, sync_id, 0)

    def start_due(self, account_id: int, now: datetime) -> None:
        """Let a worker continue an interrupted run, and begin the nightly one."""
        with self.engine.connect() as connection:
            newest = connection.execute(newest_run(account_id)).one_or_none()
        if newest and newest.state == SyncState.RUNNING:
            due = newest.seen_at < now - RUN_TIMEOUT
        else:
            due = _is_due(newest, now)
        if due and self.capabilities.allows(account_id, Feature.FOLLOWERS):
            self.start(account_id, NIGHTLY, resume=True)

    def run(self, sync_id: int, progress: Callable[[int, int], object] = lambda done, total: None) -> None:
        """Continue a run until it is done, has failed, or another worker is found to continue it.

        `progress` is called with the numbers of followers that are done, and of all.
        """
        while run := self._load_running(sync_id):
            try:
                self._continue(run, progress)
            except _PositionLost:
                self._update(run.id, cursor="", done=0, error="")
            except APIError as error:
                if isinstance(error, Forbidden):
                    self.capabilities.record_response(run.account_id, Feature.FOLLOWERS, allowed=False)
                log.warning("the followers could not all be synchronised: %s", error)
                self._update(run.id, **decisions.failed(error, database_now()).changes)
            else:
                return

    def _load_running(self, sync_id: int) -> Run | None:
        columns = (getattr(FollowerSync, name) for name in Run.__annotations__)
        found = select(*columns).where(FollowerSync.id == sync_id, FollowerSync.state == SyncState.RUNNING)
        with self.engine.connect() as connection:
            row = connection.execute(found).one_or_none()
        return Run(**row._mapping) if row else None

    def _continue(self, run: Run, progress: Callable[[int, int], object]) -> None:
        """Process the list to its end, or until another worker is found to do so.

        :raises APIError: if the platform refuses a call.
        """
        assert self.client
        tags = self._map_tags(self.client, run)
        cursor = run.cursor
        for page in _pages(self.client, cursor):
            valid = [openid for openid in page.openids if _OPENID.fullmatch(openid)]
            invalid = [openid for openid in page.openids if not _OPENID.fullmatch(openid)]
            self._report_unreadable(run.id, [*page.openids.unreadable, *invalid])
            for first in range(0, len(valid), BATCH_SIZE):
                openids = valid[first : first + BATCH_SIZE]
                users = {user.openid: user for user in self.client.users.batch(openids)}
                self._report_unreadable(run.id, [openid for openid in openids if openid not in users])
                done = self._store(run, cursor, page.total, openids, users, tags)
                if done is None:
                    return
                cursor = openids[-1]
                progress(done, page.total)
        self._finish(run, cursor)

    @retry_conflicts
    def _map_tags(self, client: WeChatClient, run: Run) -> dict[int, int]:
        """Return the ids of our tags by the platform's numbers, after inserting those that are new.

        :raises APIError: if the platform refuses the call.
        """
        listed = client.tags.list()
        self._report_unreadable(run.id, listed.unreadable)
        tags = {tag.id: tag.name for tag in listed if tag.id in _TAG_NUMBERS}
        with transaction(self.engine) as connection:
            numbered = Tag.account_id == run.account_id, Tag.platform_id.is_not(None)
            ids: dict[int, int] = {}
            for row in connection.execute(select(Tag.id, Tag.name, Tag.platform_id).where(*numbered)).all():
                name = row.name[: write_back.MAX_TAG]
                # A tag that is missing may be among those that could not be read.
                missing = name if listed.unreadable else None
                if tags.get(row.platform_id, missing) == name:
                    ids[row.platform_id] = row.id
                else:  # it was deleted or renamed at the platform
                    connection.execute(update(Tag).where(Tag.id == row.id).values(platform_id=None))
            for number in tags.keys() - ids.keys():
                if name := " ".join(storable(tags[number]).split())[:32]:
                    ids[number] = ensure_tag(connection, run.account_id, name)
                    connection.execute(update(Tag).where(Tag.id == ids[number]).values(platform_id=number))
            return ids

    @retry_conflicts
    def _store(
        self,
        run: Run,
        cursor: str,
        total: int,
        openids: Sequence[str],
        users: Mapping[str, User],
        tags: Mapping[int, int],
    ) -> int | None:
        """Store the batch after `cursor` and return how many followers are done.

        Of `openids` that are not in `users`, it is only known that they follow. Returns None if the run is no
        longer at that position, because another worker was faster.
        """
        now = database_now()
        done = FollowerSync.done + len(openids)
        moved = {"cursor": openids[-1], "total": total, "done": done, "seen_at": now}
        with transaction(self.engine) as connection:
            if not connection.execute(update(FollowerSync).where(*_at(run, cursor)).values(moved)).rowcount:
                return None
            merge(connection, run, openids, users, tags, now)
            return connection.scalar(select(FollowerSync.done).where(FollowerSync.id == run.id))

    @retry_conflicts
    def _finish(self, run: Run, cursor: str) -> None:
        """End a run. Followers who are not in a complete list, and did nothing since it began, have left."""
        now = database_now()
        with transaction(self.engine) as connection:
            ended = update(FollowerSync).where(*_at(run, cursor))
            if not connection.execute(ended.values(**decisions.finished(now).changes)).rowcount:
                return
            complete = select(FollowerSync.done >= FollowerSync.total).where(FollowerSync.id == run.id)
            if connection.scalar(complete):
                connection.execute(
                    update(Follower)
                    .where(Follower.account_id == run.account_id, Follower.subscribed.is_(True))
                    .where(or_(Follower.synced_at.is_(None), Follower.synced_at < run.started_at))
                    .where(or_(Follower.status_at.is_(None), Follower.status_at < run.since))
                    .where(Follower.last_seen_at < run.since, ~_wrote_since(run.since))
                    .values(subscribed=False, status_at=run.since)
                )

    @retry_conflicts
    def _report_unreadable(self, sync_id: int, names: Collection[str]) -> None:
        """Add the `names` of records that make no sense to the report of a run."""
        if not names:
            return
        this = FollowerSync.id == sync_id
        with transaction(self.engine) as connection:
            report = connection.scalars(select(FollowerSync.error).where(this).with_for_update()).one()
            reported = report.split(", ") if report else []
            new = [storable(name) for name in names if name not in reported]
            if new and "…" not in reported:
                report = shorten(", ".join(reported + new), 255, placeholder=" …")
                connection.execute(update(FollowerSync).where(this).values(error=report))

    def _update(self, sync_id: int, **values: Any) -> None:
        running = update(FollowerSync).where(
            FollowerSync.id == sync_id, FollowerSync.state == SyncState.RUNNING
        )
        write(self.engine, running.values(seen_at=database_now(), **values))


def _wrote_since(since: datetime) -> ColumnElement[bool]:
    """Whether a push of the follower arrived since then, perhaps too lately for `Follower.last_seen_at`."""
    return exists().where(
        MessageLog.follower_id == Follower.id,
        MessageLog.direction == Direction.IN,
        MessageLog.received_at >= since,
    )


def newest_run(account_id: int) -> Select[Any]:
    """Select the run of an account that was begun last."""
    runs = select(FollowerSync.__table__).where(FollowerSync.account_id == account_id)
    return runs.order_by(FollowerSync.id.desc()).limit(1)


def _lock_newest(connection: Connection, account_id: int) -> Any:
    """Return the newest run, and keep other processes from beginning or resuming one."""
    lock_account(connection, account_id)
    return connection.execute(newest_run(account_id)).one_or_none()


def _is_due(newest: Any, now: datetime) -> bool:
    """Whether it is the hour of the nightly run, and there has been no run in it."""
    here = (now + BEIJING).replace(tzinfo=None)
    begins, ends = (datetime.combine(here.date(), at) for at in NIGHT)
    since = begins.replace(tzinfo=UTC) - BEIJING
    return begins <= here < ends and (newest is None or newest.seen_at < since)


def _at(run: Run, cursor: str) -> tuple[Any, ...]:
    return FollowerSync.id == run.id, FollowerSync.state == SyncState.RUNNING, FollowerSync.cursor == cursor


def _pages(client: WeChatClient, cursor: str) -> Iterator[OpenIDPage]:
    """Yield the pages of the list after `cursor`. It ends with an empty page, unless one page has all.

    A page on which no openid can be read is no end.

    :raises _PositionLost: if the list cannot be continued there.
    """
    while True:
        try:
            page = client.users.list(cursor)
        except NotFollowing as error:
            if not cursor:
                raise
            raise _PositionLost from error
        received = len(page.openids) + len(page.openids.unreadable)
        yield page
        if page.next_openid in {"", cursor} or (not cursor and received >= page.total):
            return
        cursor = page.next_openid
