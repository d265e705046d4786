"""What is derived from messages, in small steps behind them: the search index, conversations, hours, and
the files to fetch.

Pushes are answered first; this is caught up with every second, and before a page is shown that needs it.
A step reads and computes, and then writes in a transaction of its own unless another process was faster.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from ...database.transactions import retry_conflicts, transaction
from ...models import (
    Conversation,
    ConversationStatus,
    Direction,
    Follower,
    HourIndex,
    MessageLog,
    MessageState,
    Progress,
)
from ...routing import Router
from ..media.archive import request_downloads
from ..outbox.sending import BY_OPERATOR
from ..search.index import MESSAGES, filter_tokens, refresh_followers, searchable, tokens_of

BATCH_SIZE = 500
"""Rows in one step. Pushes on SQLite wait while they are written."""
GAP_TIMEOUT = 60
"""Seconds after which a missing id is no message that is still being committed."""
MAX_GAPS = 200


@dataclass(frozen=True)
class Watermark:
    """How far something has come, as `Progress` keeps it."""

    watermark: int
    gaps: list[Any]

    def advanced(self, new: Iterable[tuple[int, datetime]], late: Collection[int], now: float) -> Watermark:
        """After `new` ids, with their rows' times, and `late` ones, which were missing."""
        gaps = [part for gap in self.gaps for part in _without(gap, late)]
        at = self.watermark
        for row_id, seen in new:
            if row_id > at + 1:
                gaps.append([at + 1, row_id - 1, int(seen.timestamp())])
            at = row_id
        return Watermark(at, [gap for gap in gaps if now - gap[2] <= GAP_TIMEOUT][-MAX_GAPS:])


def _without(gap: Sequence[int], ids: Collection[int]) -> Iterable[list[int]]:
    first, last, since = gap
    for row_id in sorted(row_id for row_id in ids if first <= row_id <= last):
        if first < row_id:
            yield [first, row_id - 1, since]
        first = row_id + 1
    if first <= last:
        yield [first, last, since]


@dataclass(frozen=True)
class Position:
    """How far everything has come."""

    messages: Watermark
    """The index, conversations and hours have every message up to here."""
    followers: Watermark
    """The index has every follower up to here."""
    rebuild: Watermark
    """The index lacks the messages up to here: it is built anew, downwards."""
    slow: Watermark
    """As gaps, the ids of messages that handlers were still working on."""


@dataclass(frozen=True)
class LatestIds:
    """The last ids of the tables."""

    message: int
    follower: int


class Projector:
    """Keeps what is derived from messages. Many processes may do it at once.

    The catch-all handlers of `router` are those whose answers leave a follower's message to a person.
    """

    def __init__(self, engine: Engine, router: Router) -> None:
        self._engine = engine
        self._router = router

    def catch_up(self, seconds: float = 2.0) -> int:
        """Digest what is there now, a step at least, for so many `seconds`; about how many rows are left.

        What comes meanwhile is left for later: steps for a few rows each take longer in all.
        """
        deadline, worked = time.monotonic() + seconds, False
        position, newest = self._look()
        for is_behind, misses, step in (
            (_messages_behind, _misses_messages, self._digest_messages),
            (_followers_behind, _misses_followers, self._index_followers),
            (_rebuilds, _rebuilds, self._index_again),
        ):
            due = is_behind(position, newest) or misses(position, newest)
            while due:
                if worked and time.monotonic() >= deadline:
                    return self.backlog()
                done, worked = step(position), True
                position, _ = self._look()
                due = is_behind(position, newest) or not done
        return 0

    def backlog(self) -> int:
        """About how many messages and followers cannot be found yet."""
        position, newest = self._look()
        messages = newest.message - position.messages.watermark + position.rebuild.watermark
        return messages + newest.follower - position.followers.watermark

    @retry_conflicts
    def rebuild_search(self) -> None:
        """Empty the search index, unless that was done and it is being filled.

        `catch_up` fills it: followers first, then messages, beginning with the newest.
        """
        with transaction(self._engine) as connection:
            if _locked(connection).rebuild.watermark:
                return
            MESSAGES.clear(connection)  # on MariaDB that commits, so the position is read after it
            before = _locked(connection)
            rebuild = Watermark(before.messages.watermark, [])
            _save(connection, before, replace(before, followers=Watermark(0, []), rebuild=rebuild))

    def _look(self) -> tuple[Position, LatestIds]:
        with self._engine.connect() as connection:
            rows = connection.execute(_POSITION).all()
        return _position(rows), LatestIds(rows[0].message or 0, rows[0].follower or 0)

    # A step returns False when another process was faster.

    def _digest_messages(self, position: Position) -> bool:
        feed, slow = position.messages, position.slow.gaps
        with self._engine.connect() as connection:
            new = _messages(connection, MessageLog.id > feed.watermark)
            late = _messages(connection, _within(MessageLog.id, feed.gaps)) if feed.gaps else []
            settled = _messages(connection, MessageLog.id.in_(slow), _SETTLED) if slow else []
        rows = sorted([*late, *new], key=lambda row: int(row.id))
        advanced = self._advanced(feed, [(row.id, row.received_at) for row in new], late)
        if not rows and not settled and advanced == feed:
            return True
        ended = {row.id for row in settled}
        begun = [row.id for row in rows if row.state == MessageState.RECEIVED]
        still = [row_id for row_id in slow if row_id not in ended] + begun
        after = replace(position, messages=advanced, slow=Watermark(0, still[-MAX_GAPS:]))
        tokens = _tokens(row for row in rows if row.id > position.rebuild.watermark)
        return self._write_messages(position, after, rows, settled, tokens)

    @retry_conflicts
    def _write_messages(
        self,
        before: Position,
        after: Position,
        rows: Sequence[Row[Any]],
        settled: Sequence[Row[Any]],
        tokens: Mapping[int, Collection[str]],
    ) -> bool:
        with transaction(self._engine) as connection:
            if _locked(connection) != before:
                return False
            MESSAGES.put(connection, tokens)
            catch_alls = {route.name for route in self._router.routes() if route.catch_all}
            _update_threads(connection, rows, settled, {"", *catch_alls})
            _update_hours(connection, rows)
            request_downloads(connection, rows)
            refresh_followers(connection, {row.follower_id for row in rows if row.event == "subscribe"})
            _save(connection, before, after)
            return True

    @retry_conflicts
    def _index_followers(self, position: Position) -> bool:
        feed = position.followers
        with transaction(self._engine) as connection:
            if _locked(connection) != position:
                return False
            new = _followers(connection, Follower.id > feed.watermark)
            late = _followers(connection, _within(Follower.id, feed.gaps)) if feed.gaps else []
            advanced = self._advanced(feed, [(row.id, row.first_seen_at) for row in new], late)
            refresh_followers(connection, {row.id for row in (*late, *new)})
            _save(connection, position, replace(position, followers=advanced))
            return True

    def _index_again(self, position: Position) -> bool:
        with self._engine.connect() as connection:
            below = MessageLog.id <= position.rebuild.watermark
            rows = _messages(connection, below, order=MessageLog.id.desc())
        rest = rows[-1].id - 1 if len(rows) == BATCH_SIZE else 0
        after = replace(position, rebuild=Watermark(rest, []))
        return self._write_messages(position, after, [], [], _tokens(reversed(rows)))

    def _advanced(
        self, feed: Watermark, new: Sequence[tuple[int, datetime]], late: Sequence[Any]
    ) -> Watermark:
        """Where ids are committed in order, none is missing that may still come."""
        advanced = feed.advanced(new, {row.id for row in late}, time.time())
        return Watermark(advanced.watermark, []) if self._engine.dialect.name == "sqlite" else advanced


def _messages_behind(position: Position, newest: LatestIds) -> bool:
    return newest.message > position.messages.watermark


def _misses_messages(position: Position, _newest: LatestIds) -> bool:
    return bool(position.messages.gaps or position.slow.gaps)


def _followers_behind(position: Position, newest: LatestIds) -> bool:
    return newest.follower > position.followers.watermark


def _misses_followers(position: Position, _newest: LatestIds) -> bool:
    return bool(position.followers.gaps)


def _rebuilds(position: Position, _newest: LatestIds) -> bool:
    return bool(position.rebuild.watermark)


_NAMES = ("messages", "followers", "rebuild", "slow")
_PROGRESS = select(Progress.name, Progress.watermark, Progress.gaps).where(Progress.name.in_(_NAMES))
_POSITION = _PROGRESS.add_columns(
    select(func.max(MessageLog.id)).scalar_subquery().label("message"),
    select(func.max(Follower.id)).scalar_subquery().label("follower"),
)
_MESSAGES = select(
    MessageLog.id,
    MessageLog.follower_id,
    MessageLog.direction,
    MessageLog.kind,
    MessageLog.event,
    MessageLog.text,
    case((MessageLog.kind != "text", MessageLog.payload)).label("payload"),
    MessageLog.origin,
    MessageLog.state,
    MessageLog.created_at,
    MessageLog.received_at,
)
_SETTLED = MessageLog.state != MessageState.RECEIVED


def _position(rows: Iterable[Any]) -> Position:
    return Position(**{row.name: Watermark(row.watermark, row.gaps) for row in rows})


def _locked(connection: Connection) -> Position:
    """The position, which no other process changes until the end of the transaction."""
    return _position(connection.execute(_PROGRESS.order_by(Progress.name).with_for_update()))


def _save(connection: Connection, before: Position, after: Position) -> None:
    for name in _NAMES:
        feed: Watermark = getattr(after, name)
        if feed != getattr(before, name):
            changes = {"watermark": feed.watermark, "gaps": feed.gaps}
            connection.execute(update(Progress).where(Progress.name == name).values(changes))


def _messages(
    connection: Connection, *where: ColumnElement[bool], order: Any = MessageLog.id
) -> Sequence[Row[Any]]:
    return connection.execute(_MESSAGES.where(*where).order_by(order).limit(BATCH_SIZE)).all()


def _followers(connection: Connection, where: ColumnElement[bool]) -> Sequence[Row[int, datetime]]:
    found = (
        select(Follower.id, Follower.first_seen_at).where(where).order_by(Follower.id).limit(BATCH_SIZE // 2)
    )
    return connection.execute(found).all()


def _within(column: Any, gaps: Iterable[Sequence[int]]) -> ColumnElement[bool]:
    return or_(*(column.between(first, last) for first, last, _ in gaps))


def _tokens(rows: Iterable[Row[Any]]) -> dict[int, set[str]]:
    return {row.id: tokens_of(searchable(row.text, row.payload)) | filter_tokens(row) for row in rows}


def _update_threads(
    connection: Connection,
    rows: Iterable[Row[Any]],
    settled: Iterable[Row[Any]],
    helpless: Collection[str],
) -> None:
    """Count `rows`, and see which conversations need a person; `settled` ones were counted before.

    Those need one whose handler failed or is one of `helpless`.
    """
    counted, judged = defaultdict(list), defaultdict(list)
    for row in rows:
        counted[row.follower_id].append(row)
    for row in settled:
        judged[row.follower_id].append(row)
    ids = sorted({*counted, *judged} - {None})
    if not ids:
        return
    existing = connection.execute(
        select(*_THREAD)
        .where(Conversation.follower_id.in_(ids))
        .order_by(Conversation.follower_id)
        .with_for_update()
    )
    known = {row.follower_id: dict(row._mapping) for row in existing}
    new = {row_id: {**_NEW_THREAD, "follower_id": row_id} for row_id in ids if row_id not in known}
    for row_id, thread in (known | new).items():
        for row in counted[row_id]:
            _count(thread, row)
        for row in (*counted[row_id], *judged[row_id]):
            _judge(thread, row, helpless)
    if new:
        connection.execute(insert(Conversation), list(new.values()))
    if known:
        changed = [{**thread, "thread": thread["follower_id"]} for thread in known.values()]
        connection.execute(
            update(Conversation).where(Conversation.follower_id == bindparam("thread")), changed
        )


_THREAD = (
    Conversation.follower_id,
    Conversation.last_id,
    Conversation.last_in_id,
    Conversation.messages_in,
    Conversation.messages_out,
    Conversation.status,
    Conversation.waiting_since,
)
_NEW_THREAD = {
    "last_id": 0,
    "last_in_id": 0,
    "read_id": 0,
    "messages_in": 0,
    "messages_out": 0,
    "status": ConversationStatus.DONE,
    "waiting_since": None,
    "assignee_id": None,
    "starred": False,
}


def _count(thread: dict[str, Any], row: Row[Any]) -> None:
    thread["last_id"] = max(thread["last_id"], row.id)
    if row.direction == Direction.OUT:
        thread["messages_out"] += 1
    elif not row.event:
        thread["messages_in"] += 1
        thread["last_in_id"] = max(thread["last_in_id"], row.id)


def _judge(thread: dict[str, Any], row: Row[Any], helpless: Collection[str]) -> None:
    if row.direction == Direction.OUT:
        if row.origin.startswith(BY_OPERATOR):
            thread["waiting_since"] = None
    elif not row.event:
        failed = row.state in {MessageState.FAILED, MessageState.LATE}
        if failed or row.origin in helpless or thread["status"] == ConversationStatus.WAITING:
            thread["status"] = ConversationStatus.OPEN
            thread["waiting_since"] = thread["waiting_since"] or row.created_at


def _update_hours(connection: Connection, rows: Iterable[Row[Any]]) -> None:
    first: dict[int, int] = {}
    for row in rows:
        hour = hour_of(row.received_at)
        first[hour] = min(row.id, first.get(hour, row.id))
    if not first:
        return
    existing = connection.execute(select(HourIndex.hour, HourIndex.first_id).where(HourIndex.hour.in_(first)))
    known = {row.hour: row.first_id for row in existing}
    new = [{"hour": hour, "first_id": row_id} for hour, row_id in first.items() if hour not in known]
    if new:
        connection.execute(insert(HourIndex), new)
    for hour, row_id in known.items():
        if first[hour] < row_id:
            connection.execute(update(HourIndex).where(HourIndex.hour == hour).values(first_id=first[hour]))


def hour_of(moment: datetime) -> int:
    """Hours since 1970."""
    return int(moment.astimezone(UTC).timestamp()) // 3600
