"""What operators changed of followers and the platform does not know yet: remarks and tags.

A change is queued in the transaction that makes it, and takes the place of what it supersedes; so a follower
has one for the remark and one for each tag, which may be told in any order (``wechat-platform.md`` sections
7.1 and 7.2).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, and_, delete, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import Follower, PendingUpdate, Tag
from ...wechat.api import WeChatClient
from ...wechat.errors import (
    APIError,
    Busy,
    CredentialsRefused,
    InvalidToken,
    NotConfirmed,
    NotFollowing,
    NotWhitelisted,
    QuotaUsedUp,
    Restricted,
    TooFrequent,
    Unreachable,
)
from ..accounts.capabilities import Capabilities, Feature

log = logging.getLogger(__name__)

REMARK, TAG, UNTAG = "remark", "tag", "untag"
MAX_ATTEMPTS = 3
"""A change that was refused so often is kept with its error, and not told again by itself."""
MAX_REMARK_BYTES = 29
MAX_TAG = 30
"""Characters of a tag's name."""
MAX_OPENIDS = 50
"""Of one call."""
_PASS = 1000
"""Changes looked at before others are asked for."""
_NO_SUCH_TAG = 45159
_LATER = (
    Busy,
    CredentialsRefused,
    InvalidToken,
    NotConfirmed,
    NotWhitelisted,
    QuotaUsedUp,
    Restricted,
    TooFrequent,
    Unreachable,
)
"""Errors that have nothing to do with the change."""


@dataclass(frozen=True)
class Change:
    """`value` is the alias, or the id of the tag."""

    id: int
    follower_id: int
    openid: str
    what: str
    value: str


def queue(connection: Connection, follower_id: int, what: str, value: str) -> None:
    """Let the platform be told, in the transaction that makes the change."""
    superseded = PendingUpdate.what == REMARK
    if what != REMARK:
        superseded = and_(PendingUpdate.what.in_([TAG, UNTAG]), PendingUpdate.value == value)
    connection.execute(delete(PendingUpdate).where(PendingUpdate.follower_id == follower_id, superseded))
    connection.execute(
        insert(PendingUpdate).values(
            follower_id=follower_id, what=what, value=value, created_at=datetime.now(UTC)
        )
    )


def waiting(connection: Connection, follower_ids: Collection[int]) -> set[tuple[int, int | None]]:
    """Of which followers the remark (None) or which tags were changed, and the platform does not know."""
    rows = connection.execute(
        select(PendingUpdate.follower_id, PendingUpdate.what, PendingUpdate.value).where(
            PendingUpdate.follower_id.in_(follower_ids)
        )
    )
    return {(row.follower_id, None if row.what == REMARK else int(row.value)) for row in rows}


def fitting(alias: str) -> str:
    """As much of an alias as a remark can be, whole characters."""
    return alias.encode()[:MAX_REMARK_BYTES].decode(errors="ignore")


@retry_conflicts
def try_again(engine: Engine, follower_id: int) -> None:
    """Tell a follower's changes once more, though they were refused."""
    with transaction(engine) as connection:
        connection.execute(
            update(PendingUpdate).where(PendingUpdate.follower_id == follower_id).values(attempts=0)
        )


class WriteBack:
    """Tells the platform; `client` is None when there is no API."""

    def __init__(self, engine: Engine, client: WeChatClient | None, capabilities: Capabilities) -> None:
        self._engine = engine
        self._client = client
        self._capabilities = capabilities

    def send(self, account_id: int) -> None:
        """Tell what waits, until the platform is in the way. For one worker at a time: of two, the one
        that is behind would undo what the other told."""
        if self._client is None or not self._capabilities.allows(account_id, Feature.FOLLOWERS):
            return
        try:
            for changes in self._due(account_id):
                self._send(self._client, changes)
        except _LATER as error:
            log.warning("changes of followers wait to be told: %s", error)

    def _due(self, account_id: int) -> Iterator[list[Change]]:
        """Changes that go into one call each."""
        found = (
            select(
                PendingUpdate.id,
                PendingUpdate.follower_id,
                Follower.openid,
                PendingUpdate.what,
                PendingUpdate.value,
            )
            .join(Follower, Follower.id == PendingUpdate.follower_id)
            .where(Follower.account_id == account_id, PendingUpdate.attempts < MAX_ATTEMPTS)
            .order_by(PendingUpdate.id)
            .limit(_PASS)
        )
        with self._engine.connect() as connection:
            changes = [Change(**row._mapping) for row in connection.execute(found)]
        alike: dict[tuple[str, str, int], list[Change]] = defaultdict(list)
        for change in changes:
            alike[change.what, change.value, change.id if change.what == REMARK else 0].append(change)
        for group in alike.values():
            for first in range(0, len(group), MAX_OPENIDS):
                yield group[first : first + MAX_OPENIDS]

    def _send(self, client: WeChatClient, changes: Sequence[Change]) -> None:
        try:
            self._tell(client, changes)
        except _LATER as error:
            self._keep(changes, error, attempts=0)
            raise
        except APIError as error:
            if error.errcode == _NO_SUCH_TAG:
                self._note_number(int(changes[0].value), None)
            if len(changes) > 1:  # it may be the fault of one of them
                for change in changes:
                    self._send(client, [change])
            elif isinstance(error, NotFollowing):
                self._forget(changes)
            else:
                self._keep(changes, error, attempts=1)
        else:
            self._forget(changes)

    def _tell(self, client: WeChatClient, changes: Sequence[Change]) -> None:
        first, openids = changes[0], [change.openid for change in changes]
        if first.what == REMARK:
            client.users.set_remark(first.openid, fitting(first.value))
        elif first.what == TAG:
            client.tags.tag(self._number(client, int(first.value)), openids)
        elif number := self._known_number(int(first.value)):
            client.tags.untag(number, openids)

    def _known_number(self, tag_id: int) -> int | None:
        with self._engine.connect() as connection:
            return connection.scalar(select(Tag.platform_id).where(Tag.id == tag_id))

    def _number(self, client: WeChatClient, tag_id: int) -> int:
        """The platform's number of a tag, which is made there if it is new; APIError."""
        if number := self._known_number(tag_id):
            return number
        with self._engine.connect() as connection:
            name = connection.scalars(select(Tag.name).where(Tag.id == tag_id)).one()[:MAX_TAG]
        same = [tag.id for tag in client.tags.list() if tag.name == name]
        number = same[0] if same else client.tags.create(name).id
        self._note_number(tag_id, number)
        return number

    @retry_conflicts
    def _note_number(self, tag_id: int, number: int | None) -> None:
        with transaction(self._engine) as connection:
            connection.execute(update(Tag).where(Tag.id == tag_id).values(platform_id=number))

    @retry_conflicts
    def _keep(self, changes: Sequence[Change], error: APIError, attempts: int) -> None:
        with transaction(self._engine) as connection:
            connection.execute(
                update(PendingUpdate)
                .where(PendingUpdate.id.in_([change.id for change in changes]))
                .values(error=str(error)[:255], attempts=PendingUpdate.attempts + attempts)
            )

    @retry_conflicts
    def _forget(self, changes: Sequence[Change]) -> None:
        """They are told, or concern somebody who has left."""
        with transaction(self._engine) as connection:
            connection.execute(
                delete(PendingUpdate).where(PendingUpdate.id.in_([change.id for change in changes]))
            )
            for change in changes:
                if change.what == REMARK:
                    connection.execute(
                        update(Follower)
                        .where(Follower.id == change.follower_id)
                        .values(remark=fitting(change.value))
                    )
