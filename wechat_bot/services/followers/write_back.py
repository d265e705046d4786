"""Pushes remarks and tags that operators changed to the platform (``wechat-platform.md`` sections 7.1, 7.2).

A change is queued in the transaction that makes it, and replaces the one that it supersedes. So there is at
most one pending update for a follower's remark and for each tag, and their order does not matter.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, and_, delete, insert, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction, write
from ...models import Follower, PendingUpdate, Tag, UpdateKind
from ...wechat import errors
from ...wechat.api import WeChatClient
from ...wechat.errors import APIError
from ..accounts.capabilities import Capabilities, Feature

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
"""How often a refused change is tried. Then it is kept with its error until an operator retries it."""
MAX_REMARK_BYTES = 29
MAX_TAG = 30
"""Characters of the name of a tag at the platform."""
MAX_OPENIDS = 50
"""Followers in one call."""
_BATCH_SIZE = 1000
"""Changes in one pass."""
_NO_SUCH_TAG = 45159
_TRANSIENT = (
    errors.Busy,
    errors.CredentialsRefused,
    errors.InvalidToken,
    errors.NotConfirmed,
    errors.NotWhitelisted,
    errors.QuotaUsedUp,
    errors.Restricted,
    errors.TooFrequent,
    errors.Unreachable,
)
"""Transient errors, which do not concern the change itself."""


@dataclass(frozen=True)
class Change:
    """A pending update. Its `value` is the alias, or the id of the tag."""

    id: int
    follower_id: int
    openid: str
    kind: UpdateKind
    value: str


def queue(connection: Connection, follower_ids: Collection[int], kind: UpdateKind, value: str) -> None:
    """Queue a change of followers for the platform, in the transaction that makes it here."""
    superseded = PendingUpdate.kind == UpdateKind.REMARK
    if kind is not UpdateKind.REMARK:
        of_tags = PendingUpdate.kind.in_([UpdateKind.TAG, UpdateKind.UNTAG])
        superseded = and_(of_tags, PendingUpdate.value == value)
    connection.execute(delete(PendingUpdate).where(PendingUpdate.follower_id.in_(follower_ids), superseded))
    change = {"kind": kind, "value": value, "created_at": database_now()}
    rows = [{"follower_id": follower_id, **change} for follower_id in follower_ids]
    connection.execute(insert(PendingUpdate), rows)


def waiting(connection: Connection, follower_ids: Collection[int]) -> set[tuple[int, int | None]]:
    """Return the pending changes of followers: pairs with None for the remark, or the id of a tag."""
    found = select(PendingUpdate.__table__).where(PendingUpdate.follower_id.in_(follower_ids))
    return {
        (row.follower_id, None if row.kind == UpdateKind.REMARK else int(row.value))
        for row in connection.execute(found)
    }


def fitting(alias: str) -> str:
    """Return as many whole characters of an alias as fit into a remark."""
    return alias.encode()[:MAX_REMARK_BYTES].decode(errors="ignore")


def try_again(engine: Engine, follower_id: int) -> None:
    """Retry the changes of a follower that the platform refused."""
    write(engine, update(PendingUpdate).where(PendingUpdate.follower_id == follower_id).values(attempts=0))


@dataclass(eq=False)
class WriteBack:
    """Pushes the pending changes of one account. `client` is None when there is no API."""

    engine: Engine
    client: WeChatClient | None
    capabilities: Capabilities

    def send(self, account_id: int) -> None:
        """Push the pending changes of the account; stop at the first transient error.

        Only one worker may do so at a time: of two, the slower one would undo changes of the other.
        """
        if self.client is None or not self.capabilities.allows(account_id, Feature.FOLLOWERS):
            return
        try:
            for changes in self._due(account_id):
                self._send(self.client, changes)
        except _TRANSIENT as error:
            log.warning("changes of followers wait to be told: %s", error)

    def _due(self, account_id: int) -> Iterator[list[Change]]:
        """Yield groups of changes, each of which is one call."""
        columns = PendingUpdate.id, PendingUpdate.follower_id, PendingUpdate.kind, PendingUpdate.value
        found = (
            select(*columns, Follower.openid)
            .join(Follower, Follower.id == PendingUpdate.follower_id)
            .where(Follower.account_id == account_id, PendingUpdate.attempts < MAX_ATTEMPTS)
            .order_by(PendingUpdate.id)
            .limit(_BATCH_SIZE)
        )
        with self.engine.connect() as connection:
            changes = [Change(**row._mapping) for row in connection.execute(found)]
        groups: dict[tuple[str, str, int], list[Change]] = defaultdict(list)
        for change in changes:
            alone = change.id if change.kind == UpdateKind.REMARK else 0
            groups[change.kind, change.value, alone].append(change)
        for group in groups.values():
            for first in range(0, len(group), MAX_OPENIDS):
                yield group[first : first + MAX_OPENIDS]

    def _send(self, client: WeChatClient, changes: Sequence[Change]) -> None:
        try:
            self._call(client, changes)
        except _TRANSIENT as error:
            self._record_error(changes, error, attempts=0)
            raise
        except APIError as error:
            if error.errcode == _NO_SUCH_TAG:
                self._set_platform_id(int(changes[0].value), None)
            if len(changes) > 1:  # one of them may be at fault
                for change in changes:
                    self._send(client, [change])
            elif isinstance(error, errors.NotFollowing):
                self._finish(changes)
            else:
                self._record_error(changes, error, attempts=1)
        else:
            self._finish(changes)

    def _call(self, client: WeChatClient, changes: Sequence[Change]) -> None:
        first, openids = changes[0], [change.openid for change in changes]
        if first.kind == UpdateKind.REMARK:
            client.users.set_remark(first.openid, fitting(first.value))
        elif first.kind == UpdateKind.TAG:
            client.tags.tag(self._ensure_platform_tag(client, int(first.value)), openids)
        elif number := self._platform_id(int(first.value)):
            client.tags.untag(number, openids)

    def _platform_id(self, tag_id: int) -> int | None:
        with self.engine.connect() as connection:
            return connection.scalar(select(Tag.platform_id).where(Tag.id == tag_id))

    def _ensure_platform_tag(self, client: WeChatClient, tag_id: int) -> int:
        """Return the platform's number of a tag, after creating it there if it is new.

        :raises APIError: if the platform refuses it.
        """
        if number := self._platform_id(tag_id):
            return number
        with self.engine.connect() as connection:
            name = connection.scalars(select(Tag.name).where(Tag.id == tag_id)).one()[:MAX_TAG]
        same = [tag.id for tag in client.tags.list() if tag.name == name]
        number = same[0] if same else client.tags.create(name).id
        self._set_platform_id(tag_id, number)
        return number

    def _set_platform_id(self, tag_id: int, number: int | None) -> None:
        write(self.engine, update(Tag).where(Tag.id == tag_id).values(platform_id=number))

    def _record_error(self, changes: Sequence[Change], error: APIError, attempts: int) -> None:
        refused = update(PendingUpdate).where(PendingUpdate.id.in_([change.id for change in changes]))
        tried = PendingUpdate.attempts + attempts
        values = {"error": str(error)[:255], "errcode": error.errcode or None, "attempts": tried}
        write(self.engine, refused.values(values))

    @retry_conflicts
    def _finish(self, changes: Sequence[Change]) -> None:
        """Delete changes that the platform has accepted, or that concern a follower who has left."""
        with transaction(self.engine) as connection:
            ids = [change.id for change in changes]
            connection.execute(delete(PendingUpdate).where(PendingUpdate.id.in_(ids)))
            for change in changes:
                if change.kind == UpdateKind.REMARK:
                    follower = update(Follower).where(Follower.id == change.follower_id)
                    connection.execute(follower.values(remark=fitting(change.value)))
