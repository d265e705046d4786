"""Telling channels of followers who wait for a person and of troubles, at least once and hardly ever twice.

Who was told of what is in the table `alerts`, so it survives any crash. A worker that is about to send moves
the channel's `next_at` on, if nobody else has: that claims the next message and limits how often one is sent.
If it dies before it has stored that the message was sent, the message is sent again a minute later.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, Row, and_, bindparam, delete, func, insert, inspect, select, update

from ...database.transactions import retry_conflicts, transaction, write
from ...models import (
    Alert,
    AlertChannel,
    AlertFailure,
    Conversation,
    Follower,
    Handover,
    MessageLog,
    Occasion,
)
from ...models.columns import storable
from ...routing.ownership import Owner
from ...settings import Settings
from .. import audit
from ..audit import Actor
from ..operators.sealing import Sealer
from . import channels, messages
from .definitions import TROUBLES, Channel, Medium
from .delivery import deliver
from .digest import WEEK, digest_of, due_since
from .messages import Message, Waiting
from .robots import Failure
from .troubles import traffic

log = logging.getLogger(__name__)

INTERVAL = timedelta(minutes=1)
"""Time between two messages of a channel; who begins to wait meanwhile is counted in the next one."""
MAX_PAUSE = timedelta(minutes=30)
"""Longest time until a channel that fails is tried again."""
MAX_TOLD = 500
"""Upper limit of the followers of one message; the next one has the others."""
MAX_DETAIL = 255


@dataclass(frozen=True)
class Due:
    """A message that is to be sent to a channel."""

    row: Row[Any]
    channel: Channel
    message: Message
    waiting: Sequence[Waiting] = ()
    """Those it tells of."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """What else to store of the channel once it is sent."""


class Alerts:
    """Sends alerts. Thread-safe; needs an application context for the language of the messages."""

    def __init__(self, engine: Engine, sealer: Sealer, settings: Settings, time_zone: ZoneInfo) -> None:
        self._engine = engine
        self._sealer = sealer
        self._settings = settings
        self._time_zone = time_zone

    def tell_due(self, account_id: int, now: datetime) -> None:
        """Send all messages that are due, at once, so that no channel waits for another."""
        due = [each for each in self._due(account_id, now) if self._claim(each.row, now)]
        if due:
            with ThreadPoolExecutor(len(due)) as pool:
                list(pool.map(lambda each: self._tell(each, now), due))

    def test(self, actor: Actor, account_id: int, channel_id: int, now: datetime) -> Failure | None:
        """Send a test message now, whatever the hour, and return why it did not arrive; None if it did.

        :raises ChannelNotFound: if the account has no such channel.
        """
        with self._engine.connect() as connection:
            row = channels.find(connection, account_id, channel_id)
        channel = channels.definition_of(row)
        message = messages.compose_test(channel, self._settings.public_url)
        failure = self._deliver(row, channel, message, now)
        detail = failure.reason if failure else "ok"
        audit.record_now(self._engine, actor, "alert_tested", channels.subject(channel_id), detail=detail)
        self._store(row, failure, now)
        return failure

    def _due(self, account_id: int, now: datetime) -> list[Due]:
        with self._engine.connect() as connection:
            found = [
                self._due_message(connection, row, channel, now)
                for row, channel in channels.all_of(connection, account_id)
            ]
        return [each for each in found if each]

    def _due_message(
        self, connection: Connection, row: Row[Any], channel: Channel, now: datetime
    ) -> Due | None:
        """Return the message that is due to a channel: of troubles, of those who wait, or a digest."""
        local = now.astimezone(self._time_zone)
        if not channel.enabled or row.next_at > now or channel.is_quiet(local):
            return None
        if due := self._trouble(connection, row, channel, now):
            return due
        if waiting := untold(connection, row, channel, now):
            message = messages.compose(channel, waiting, now, self._settings.public_url)
            return Due(row, channel, message, waiting)
        monday = due_since(local)
        if Occasion.DIGEST in channel.occasions and (row.digest_at or row.created_at) < monday:
            digest = digest_of(connection, row.account_id, monday.date() - WEEK, self._time_zone)
            return Due(row, channel, messages.compose_digest(channel, digest), columns={"digest_at": now})
        return None

    def _trouble(self, connection: Connection, row: Row[Any], channel: Channel, now: datetime) -> Due | None:
        """Return the message that tells of the troubles which have begun or are over, if there are any."""
        wanted = frozenset(TROUBLES).intersection(channel.occasions)
        if not wanted:
            return None
        before = tuple(filter(wanted.__contains__, map(Occasion, row.troubles or ())))
        seen = traffic(connection, row.account_id, now)
        present = tuple(filter(wanted.__contains__, seen.troubles(before)))
        if present == before:
            return None
        message = messages.compose_troubles(channel, seen, before, present, self._settings.public_url)
        return Due(row, channel, message, columns={"troubles": list(present)})

    def _claim(self, row: Row[Any], now: datetime) -> bool:
        """Move `next_at` on, unless somebody has done so or has changed the channel since it was read."""
        seen = AlertChannel.next_at == row.next_at, AlertChannel.version == row.version
        claimed = update(AlertChannel).where(AlertChannel.id == row.id, *seen)
        return write(self._engine, claimed.values(next_at=now + INTERVAL)) == 1

    def _tell(self, due: Due, now: datetime) -> None:
        failure = self._deliver(due.row, due.channel, due.message, now)
        if failure:
            log.warning("the alert channel %d failed: %s %d", due.row.id, failure.reason, failure.code)
            self._store(due.row, failure, now)
        else:
            self._store(due.row, None, now, due.waiting, due.columns)

    def _deliver(self, row: Row[Any], channel: Channel, message: Message, now: datetime) -> Failure | None:
        url, secret = self._sealer.open(row.sealed_url), ""
        if row.sealed_secret:
            secret = self._sealer.open(row.sealed_secret) or ""
        is_lost = not url or bool(row.sealed_secret and not secret)
        if is_lost and channel.medium is not Medium.MAIL:
            return Failure(AlertFailure.SEALED)
        return deliver(self._settings, channel, url or "", secret, message, now)

    @retry_conflicts
    def _store(
        self,
        row: Row[Any],
        failure: Failure | None,
        now: datetime,
        told: Sequence[Waiting] = (),
        columns: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Store what became of a message: who was told of, and when the channel is tried again."""
        this = AlertChannel.id == row.id
        present = select(AlertChannel.failures, AlertChannel.failing_since, AlertChannel.next_at).where(this)
        with transaction(self._engine) as connection:
            before = connection.execute(present.with_for_update()).one_or_none()
            if before is None:  # deleted meanwhile
                return
            values = {**_result(before, failure, now), **columns}
            connection.execute(update(AlertChannel).where(this).values(values))
            _mark_told(connection, row.id, told, now)


def untold(connection: Connection, row: Row[Any], channel: Channel, now: datetime) -> list[Waiting]:
    """Return the followers who wait and of whom a channel has to be told, longest first."""
    found: dict[int, Waiting] = {}
    delays = {Occasion.WAITING: 0, Occasion.UNANSWERED: channel.minutes}
    for occasion in filter(channel.occasions.__contains__, delays):
        until = now - timedelta(minutes=delays[occasion])
        for each in connection.execute(_untold(row, occasion, until)):
            before = found[each.follower_id].occasions if each.follower_id in found else ()
            found[each.follower_id] = Waiting(**each._mapping, occasions=(*before, occasion))
    return sorted(found.values(), key=lambda each: each.since)


def _untold(row: Row[Any], occasion: Occasion, until: datetime) -> Any:
    """Select the followers who have waited since `until` and of whom the channel was not told."""
    told = and_(
        Alert.channel_id == row.id,
        Alert.follower_id == Handover.follower_id,
        Alert.occasion == occasion,
        Alert.since >= Handover.since,
    )
    columns = Handover.follower_id, Follower.openid, Follower.alias, Handover.since
    found = select(*columns, func.coalesce(MessageLog.text, "").label("words"))
    found = found.join_from(Handover, Follower, Follower.id == Handover.follower_id)
    found = found.outerjoin(Conversation, Conversation.follower_id == Handover.follower_id)
    found = found.outerjoin(MessageLog, MessageLog.id == Conversation.last_in_id).outerjoin(Alert, told)
    waits = Handover.account_id == row.account_id, Handover.owner == Owner.WAITING
    since = Handover.since >= row.created_at, Handover.since <= until
    return found.where(*waits, *since, Alert.channel_id.is_(None)).order_by(Handover.since).limit(MAX_TOLD)


def _result(before: Any, failure: Failure | None, now: datetime) -> dict[str, Any]:
    """Return the columns of a channel after a message; after a failure it rests, longer each time."""
    soon = now + INTERVAL
    values: dict[str, Any] = {"last_at": now, "last_failure": None, "last_code": 0, "last_detail": ""}
    if failure is None:
        return values | {"failures": 0, "failing_since": None, "next_at": min(before.next_at, soon)}
    pause = min(INTERVAL * 2 ** min(before.failures, 10), MAX_PAUSE)
    detail = storable(failure.detail)[:MAX_DETAIL]
    last = {"last_failure": failure.reason, "last_code": failure.code, "last_detail": detail}
    since = before.failing_since or now
    return values | last | {"failures": before.failures + 1, "failing_since": since, "next_at": now + pause}


def _mark_told(connection: Connection, channel_id: int, told: Sequence[Waiting], now: datetime) -> None:
    rows = [
        {"channel_id": channel_id, "follower_id": each.follower_id, "occasion": occasion, "since": each.since}
        for each in told
        for occasion in each.occasions
    ]
    if not rows:
        return
    keys = [{f"old_{name}": value for name, value in row.items()} for row in rows]
    primary_key = (column == bindparam(f"old_{column.name}") for column in inspect(Alert).primary_key)
    connection.execute(delete(Alert).where(*primary_key), keys)
    connection.execute(insert(Alert), rows)
    this = Handover.follower_id == bindparam("old_follower_id"), Handover.since == bindparam("old_since")
    first = update(Handover).where(*this, Handover.alerted_at.is_(None))
    connection.execute(first.values(alerted_at=now), keys)
