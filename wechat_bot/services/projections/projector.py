"""Asynchronous projections of the message log: the search index, conversations, hours, hits of rules, taps on
the menu, and files to download.

Pushes are answered first. The worker catches up every second, and while messages arrive fast once a minute or
every 20,000 messages (`should_rest`). Pages that need the projections catch up at once, unless the worker is
about to. A step reads and computes, then writes in one transaction unless another process was faster.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, bindparam, case, func, or_, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import Follower, MessageLog, MessageState, Progress
from ...models.messages import TAP_FIELD
from ...routing import Router
from ..media.archive import request_downloads
from ..menus.clicks import update_clicks
from ..messages.partitions import month_of
from ..search.index import MESSAGES, refresh_followers
from ..search.tokens import filter_tokens, searchable, tokens_of
from .conversations import update_conversations, update_last_seen
from .hours import update_hours
from .resting import Look, should_rest
from .rule_hits import update_rule_hits
from .watermark import MAX_GAPS, Watermark

MESSAGES_AT_ONCE = 500
"""Messages of one step."""
MESSAGES_AT_ONCE_ON_SQLITE = 100
"""Fewer, since pushes wait while they are written."""
FOLLOWERS_AT_ONCE = 250
"""Followers of one step."""

MAX_LEFT_SECONDS = 3.0
"""Seconds for which pages leave messages to the worker, which may rest, or not run at all."""
MIN_LEFT_ROWS = 100
"""Pages process fewer rows than these themselves, which takes a few milliseconds."""


@dataclass(frozen=True)
class Position:
    """How far the projections have come."""

    messages: Watermark
    """The search index, conversations, hours and taps have every message up to here."""
    followers: Watermark
    """The search index has every follower up to here."""
    rebuild: Watermark
    """The search index lacks the messages up to here: it is being rebuilt, downwards."""
    slow: Watermark
    """Its gaps are the ids of messages on which slow handlers were still working."""


class Projector:
    """Updates the projections. Many processes may do so at once.

    The answers of the catch-all handlers of `router` leave a message to an operator. `zone` is the time zone
    of days.
    """

    def __init__(self, engine: Engine, router: Router, zone: tzinfo = UTC) -> None:
        self._engine = engine
        self._zone = zone
        self._router = router
        self._look = Look(-math.inf, 0, 0)
        self._caught_up = -math.inf
        self._is_sqlite = engine.dialect.name == "sqlite"
        self.at_once = MESSAGES_AT_ONCE_ON_SQLITE if self._is_sqlite else MESSAGES_AT_ONCE
        """Messages of one step."""

    def catch_up_when_quiet(self, seconds: float) -> None:
        """Catch up like `catch_up`, or leave it for a later call because messages arrive fast.

        The worker calls it every second; `should_rest` decides.
        """
        position, latest = self._load_position()
        look = Look(time.monotonic(), latest.message, _missing(position, latest))
        before, self._look = self._look, look
        if not should_rest(before, look, self._caught_up) and self.catch_up(seconds) == 0:
            self._caught_up = look.seconds

    def catch_up(self, seconds: float = 2.0) -> int:
        """Process the rows that are there now for so many `seconds`, one step at least.

        Returns about how many rows are left. Rows that come meanwhile are left for later, since many small
        steps take longer in all.
        """
        return self._process(*self._load_position(), seconds)

    def _process(self, position: Position, latest: Any, seconds: float) -> int:
        deadline, worked = time.monotonic() + seconds, False
        for number, step in enumerate((self._project_messages, self._index_followers, self._index_again)):
            due = _behind(position, latest)[number] or _misses(position)[number]
            while due:
                if worked and time.monotonic() >= deadline:
                    return self.backlog()
                done, worked = step(position), True
                position, _ = self._load_position()
                due = _behind(position, latest)[number] or not done
        return 0

    def catch_up_for_page(self, seconds: float) -> int:
        """Catch up like `catch_up`, unless many messages have come in the last seconds.

        They are left to the worker: if pages wrote them, pushes would wait for threads that also render.
        Returns about how many rows are left, without those that are left to the worker.
        """
        position, latest = self._load_position()
        if _missing(position, latest) >= MIN_LEFT_ROWS and self._age(position.messages) < MAX_LEFT_SECONDS:
            return 0
        return self._process(position, latest, seconds)

    def _age(self, watermark: Watermark) -> float:
        """Return the seconds since the first message after `watermark` was received."""
        after = select(MessageLog.received_at).where(MessageLog.id > watermark.id).order_by(MessageLog.id)
        with self._engine.connect() as connection:
            received_at = connection.scalar(after.limit(1))
        return (database_now() - received_at).total_seconds() if received_at else math.inf

    def backlog(self) -> int:
        """Return about how many messages and followers cannot be found yet."""
        position, latest = self._load_position()
        messages = _missing(position, latest) + self._count_up_to(position.rebuild.id)
        return messages + int(latest.follower) - position.followers.id

    def _count_up_to(self, message_id: int) -> int:
        """Return about how many messages have this id or a smaller one. Within a month, ids have no gaps."""
        count = 0
        with self._engine.connect() as connection:
            while message_id:
                month = month_of(message_id)
                count += message_id - month
                before = select(func.max(MessageLog.id)).where(MessageLog.id < month)
                message_id = connection.scalar(before) or 0
        return count

    @retry_conflicts
    def rebuild_search(self) -> None:
        """Empty the search index, unless it is being rebuilt already.

        `catch_up` fills it again: followers first, then messages, beginning with the newest.
        """
        with transaction(self._engine) as connection:
            if _locked(connection).rebuild.id:
                return
            MESSAGES.clear(connection)  # on MariaDB that commits, so the position is read after it
            before = _locked(connection)
            rebuild = Watermark(before.messages.id, [])
            _save(connection, before, replace(before, followers=Watermark(0, []), rebuild=rebuild))

    def _load_position(self) -> tuple[Position, Any]:
        """Return the position and a row with the highest ids, `message` and `follower`."""
        with self._engine.connect() as connection:
            rows = connection.execute(_POSITION).all()
        return _position(rows), rows[0]

    # Steps return False when another process was faster.

    def _project_messages(self, position: Position) -> bool:
        watermark, slow = position.messages, position.slow.gaps
        with self._engine.connect() as connection:
            new = self._read(connection, MessageLog.id > watermark.id)
            late = self._read(connection, _within(MessageLog.id, watermark.gaps)) if watermark.gaps else []
            settled = self._read(connection, MessageLog.id.in_(slow), _SETTLED) if slow else []
        rows = sorted([*late, *new], key=lambda row: int(row.id))
        advanced = self._advanced(watermark, [(row.id, row.received_at) for row in new], late)
        if not rows and not settled and advanced == watermark:
            return True
        ended = {row.id for row in settled}
        begun = [row.id for row in rows if row.state == MessageState.RECEIVED]
        still = [row_id for row_id in slow if row_id not in ended] + begun
        after = replace(position, messages=advanced, slow=Watermark(0, still[-MAX_GAPS:]))
        tokens = index_tokens(row for row in rows if row.id > position.rebuild.id)
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
            update_conversations(connection, rows, settled, self._router.catch_alls())
            update_hours(connection, rows)
            update_rule_hits(connection, rows, self._zone)
            update_clicks(connection, rows)
            request_downloads(connection, rows)
            update_last_seen(connection, rows)  # late, as pushes of these followers wait from here on
            refresh_followers(connection, {row.follower_id for row in rows if row.event == "subscribe"})
            _save(connection, before, after)
            return True

    @retry_conflicts
    def _index_followers(self, position: Position) -> bool:
        watermark = position.followers
        with transaction(self._engine) as connection:
            if _locked(connection) != position:
                return False
            new = _followers(connection, Follower.id > watermark.id)
            late = _followers(connection, _within(Follower.id, watermark.gaps)) if watermark.gaps else []
            advanced = self._advanced(watermark, [(row.id, row.first_seen_at) for row in new], late)
            refresh_followers(connection, {row.id for row in (*late, *new)})
            _save(connection, position, replace(position, followers=advanced))
            return True

    def _index_again(self, position: Position) -> bool:
        below, newest_first = MessageLog.id <= position.rebuild.id, MessageLog.id.desc()
        with self._engine.connect() as connection:
            rows = self._read(connection, below, order=newest_first)
        rest = rows[-1].id - 1 if len(rows) == self.at_once else 0
        after = replace(position, rebuild=Watermark(rest, []))
        return self._write_messages(position, after, [], [], index_tokens(reversed(rows)))

    def _read(
        self, connection: Connection, *where: ColumnElement[bool], order: Any = MessageLog.id
    ) -> Sequence[Row[Any]]:
        return connection.execute(PROJECTED.where(*where).order_by(order).limit(self.at_once)).all()

    def _advanced(
        self, watermark: Watermark, new: Sequence[tuple[int, datetime]], late: Sequence[Any]
    ) -> Watermark:
        """Return the watermark after new and late rows. SQLite commits ids in order, so there are no gaps."""
        advanced = watermark.advanced(new, {row.id for row in late}, database_now().timestamp())
        return Watermark(advanced.id, []) if self._is_sqlite else advanced


def _behind(position: Position, latest: Any) -> tuple[bool, bool, bool]:
    """Whether there are new messages, new followers, and messages to index again."""
    messages, followers = position.messages.id, position.followers.id
    return latest.message > messages, latest.follower > followers, position.rebuild.id > 0


def _missing(position: Position, latest: Any) -> int:
    """Return about how many messages are new. While a month begins, those of the one before do not count."""
    newest: int = latest.message
    return newest - max(position.messages.id, month_of(newest))


def _misses(position: Position) -> tuple[bool, bool, bool]:
    """Whether older messages and followers may still come, to be looked for once."""
    return bool(position.messages.gaps or position.slow.gaps), bool(position.followers.gaps), False


_NAMES = ("messages", "followers", "rebuild", "slow")
_PROGRESS = select(Progress.name, Progress.watermark, Progress.gaps).where(Progress.name.in_(_NAMES))
_POSITION = _PROGRESS.add_columns(
    select(func.coalesce(func.max(MessageLog.id), 0)).scalar_subquery().label("message"),
    select(func.coalesce(func.max(Follower.id), 0)).scalar_subquery().label("follower"),
)
PROJECTED = select(
    MessageLog.id,
    MessageLog.account_id,
    MessageLog.follower_id,
    MessageLog.direction,
    MessageLog.kind,
    MessageLog.event,
    MessageLog.text,
    case((MessageLog.kind != "text", MessageLog.payload)).label("payload"),
    case((MessageLog.kind == "text", MessageLog.payload[TAP_FIELD].as_string())).label("menu_id"),
    MessageLog.origin,
    MessageLog.operator_id,
    MessageLog.state,
    MessageLog.created_at,
    MessageLog.received_at,
)
"""What the projections read of a message."""
_SETTLED = MessageLog.state != MessageState.RECEIVED


def _position(rows: Iterable[Any]) -> Position:
    return Position(**{row.name: Watermark(row.watermark, row.gaps) for row in rows})


def _locked(connection: Connection) -> Position:
    """Lock and return the position until the end of the transaction."""
    return _position(connection.execute(_PROGRESS.order_by(Progress.name).with_for_update()))


def _save(connection: Connection, before: Position, after: Position) -> None:
    changed = {name: getattr(after, name) for name in _NAMES if getattr(after, name) != getattr(before, name)}
    rows = [{"row": name, "watermark": each.id, "gaps": each.gaps} for name, each in changed.items()]
    if rows:
        connection.execute(_CHANGE, rows)


_CHANGE = update(Progress).where(Progress.name == bindparam("row"))


def _followers(connection: Connection, where: ColumnElement[bool]) -> Sequence[Row[int, datetime]]:
    found = select(Follower.id, Follower.first_seen_at).where(where).order_by(Follower.id)
    return connection.execute(found.limit(FOLLOWERS_AT_ONCE)).all()


def _within(column: Any, gaps: Iterable[Sequence[int]]) -> ColumnElement[bool]:
    return or_(*(column.between(first, last) for first, last, _ in gaps))


def index_tokens(rows: Iterable[Row[Any]]) -> dict[int, list[str]]:
    """Return the tokens of messages in the search index, by id. The rows have the columns of `PROJECTED`."""
    return {row.id: [*tokens_of(searchable(row.text, row.payload)), *filter_tokens(row)] for row in rows}
