"""Groups the questions that nobody answered, in small steps behind the projections of the message log.

A step reads what the projector has processed since the last one, and adds the questions among it to their
groups in one transaction, unless another process was faster. So nothing is counted twice.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import (
    UNFINISHED,
    Direction,
    HourIndex,
    MessageLog,
    Progress,
    QuestionExample,
    QuestionGroup,
    QuestionState,
)
from ...models.messages import TAP_FIELD
from ...models.projections import hour_of
from ...routing import Router
from ..conversations.decisions import needs_operator
from .likeness import MAX_TEXT
from .matching import Matching, Question
from .model_answers import without_good_answer
from .storing import GroupDeleted, delete_groups, store

BATCH_SIZE = 200
"""Messages of one step. Pushes on SQLite wait while their questions are written."""
UNFINISHED_TIMEOUT = timedelta(hours=1)
"""Age up to which an unfinished message is waited for, since a slow handler may still answer it."""
TALK = timedelta(hours=1)
"""Time after an operator's message during which what the follower writes is meant for that person."""
MAX_UNTOUCHED = 10_000
"""Open groups of an account that are kept though no operator has done anything with them."""
MAX_DELETED = 2000
"""Groups beyond these that one call deletes at most."""
DELETED_AT_ONCE = 100
"""Groups that are deleted in one transaction. Pushes on SQLite wait meanwhile."""
_NAME = "questions"


class Questions:
    """Finds and groups unanswered questions. Many processes may do so at once.

    The origins of the catch-all handlers of `router` are those of messages that nobody answered. `zone` is
    the time zone of weeks.
    """

    def __init__(self, engine: Engine, router: Router, zone: tzinfo) -> None:
        self._engine = engine
        self._router = router
        self.zone = zone

    def catch_up(self, seconds: float) -> None:
        """Process what the projector has processed, for so many `seconds`, one step at least."""
        deadline = time.monotonic() + seconds
        while self._step() and time.monotonic() < deadline:
            pass

    def delete_rarest(self, account_id: int) -> None:
        """Delete what was asked least, and longest ago, of more than `MAX_UNTOUCHED` groups.

        This bounds the time and memory that grouping takes. One call deletes `MAX_DELETED` groups at most.
        """
        untouched = QuestionGroup.account_id == account_id, *_UNTOUCHED
        rarest = select(QuestionGroup.id).where(*untouched)
        rarest = rarest.order_by(QuestionGroup.asked, QuestionGroup.last_at, QuestionGroup.id)
        with self._engine.connect() as connection:
            count = connection.scalar(select(func.count()).where(*untouched)) or 0
            excess = min(max(count - MAX_UNTOUCHED, 0), MAX_DELETED)
            ids = connection.scalars(rarest.limit(excess)).all() if excess else []
        for first in range(0, len(ids), DELETED_AT_ONCE):
            self._delete(ids[first : first + DELETED_AT_ONCE])

    @retry_conflicts
    def add(self, account_id: int, dedup_key: str) -> None:
        """Count the message with this key as a question that got no good answer: its answer was disliked.

        A message that is counted already, or is no text of a follower, changes nothing.

        :raises GroupDeleted: if its group was deleted at the same time.
        """
        this = MessageLog.dedup_key == dedup_key, MessageLog.account_id == account_id
        with transaction(self._engine) as connection:
            _lock(connection)
            rows = [row for row in connection.execute(_MESSAGES.where(*this)) if _is_text(row)]
            self._store(connection, _match(connection, rows))

    def _step(self) -> bool:
        """Process some messages; return whether there may be more."""
        with self._engine.connect() as connection:
            position, complete = _positions(connection)
            new = _MESSAGES.where(MessageLog.id > position, MessageLog.id <= complete)
            found = connection.execute(new.order_by(MessageLog.id).limit(BATCH_SIZE)).all()
            rows = list(_finished(found, database_now()))
            matched = _match(connection, self._unanswered(connection, rows))
        is_last = len(found) < BATCH_SIZE
        after = complete if is_last and len(rows) == len(found) else rows[-1].id if rows else position
        if after > position:
            self._write(position, after, matched)
        return after > position and not is_last

    def _unanswered(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """Return the texts that nobody answered, but for those that were written to an operator."""
        texts = [row for row in rows if _is_text(row)]
        bad, catch_alls = without_good_answer(connection, texts), self._router.catch_alls()
        asked = [row for row in texts if row.dedup_key in bad or needs_operator(row, catch_alls)]
        talked = _operators_messages(connection, asked)
        return [row for row in asked if not _is_talk(row, talked[row.follower_id])]

    @retry_conflicts
    def _write(self, before: int, after: int, matched: Mapping[int, Matching]) -> None:
        """Store questions, unless another process was faster, or has deleted one of their groups."""
        with suppress(GroupDeleted), transaction(self._engine) as connection:
            if _lock(connection) == before:
                self._store(connection, matched)
                moved = update(Progress).where(Progress.name == _NAME)
                connection.execute(moved.values(watermark=after))

    def _store(self, connection: Connection, matched: Mapping[int, Matching]) -> None:
        for account_id, matching in matched.items():
            if matching.groups:
                store(connection, account_id, matching, self.zone)

    @retry_conflicts
    def _delete(self, group_ids: Sequence[int]) -> None:
        """Delete those of the groups that are still untouched."""
        untouched = select(QuestionGroup.id).where(QuestionGroup.id.in_(group_ids), *_UNTOUCHED)
        with transaction(self._engine) as connection:
            _lock(connection)
            delete_groups(connection, connection.scalars(untouched.with_for_update()).all())


_UNTOUCHED = (
    QuestionGroup.state == QuestionState.OPEN,
    QuestionGroup.changed_at.is_(None),
    QuestionGroup.assignee_id.is_(None),
)


def _match(connection: Connection, rows: Iterable[Row[Any]]) -> dict[int, Matching]:
    """Find the groups of questions, by account, but for those that are in a group."""
    by_account = defaultdict(list)
    for row in rows:
        by_account[row.account_id].append(Question(row.id, row.text.strip()[:MAX_TEXT], row.received_at))
    matched = {}
    for account_id, asked in by_account.items():
        ids = [each.message_id for each in asked]
        known = set(connection.scalars(_KNOWN.where(QuestionExample.message_id.in_(ids))))
        new = [each for each in asked if each.message_id not in known]
        matched[account_id] = Matching(connection, account_id, new)
    return matched


_MESSAGES = select(
    MessageLog.id,
    MessageLog.account_id,
    MessageLog.follower_id,
    MessageLog.direction,
    MessageLog.kind,
    MessageLog.event,
    MessageLog.text,
    MessageLog.payload[TAP_FIELD].as_string().label("menu_id"),
    MessageLog.dedup_key,
    MessageLog.origin,
    MessageLog.state,
    MessageLog.received_at,
)
_KNOWN = select(QuestionExample.message_id)


def _lock(connection: Connection) -> int:
    """Lock and return the position until the end of the transaction."""
    locked = select(Progress.watermark).where(Progress.name == _NAME).with_for_update()
    return connection.scalars(locked).one()


def _positions(connection: Connection) -> tuple[int, int]:
    """Return the id up to which messages were processed, and that up to which the projector has all."""
    found = select(Progress.name, Progress.watermark, Progress.gaps)
    rows = {row.name: row for row in connection.execute(found.where(Progress.name.in_((_NAME, "messages"))))}
    messages = rows["messages"]
    return rows[_NAME].watermark, min([messages.watermark, *(gap[0] - 1 for gap in messages.gaps)])


def _finished(rows: Iterable[Row[Any]], now: datetime) -> Iterator[Row[Any]]:
    """Yield the rows before the first message that a slow handler may still answer."""
    for row in rows:
        if row.state in UNFINISHED and row.received_at > now - UNFINISHED_TIMEOUT:
            return
        yield row


def _is_text(row: Row[Any]) -> bool:
    """Whether a follower typed it; a tap on a menu message only looks so."""
    return row.direction == Direction.IN and row.kind == "text" and row.menu_id is None


def _operators_messages(connection: Connection, asked: Sequence[Row[Any]]) -> dict[int, list[Any]]:
    """Return what operators sent to the followers who asked, from `TALK` before the first question on."""
    talked: dict[int, list[Any]] = defaultdict(list)
    if asked:
        hour = hour_of(min(row.received_at for row in asked) - TALK)
        first = select(HourIndex.first_id).where(HourIndex.hour <= hour).order_by(HourIndex.hour.desc())
        found = select(MessageLog.follower_id, MessageLog.id, MessageLog.created_at).where(
            MessageLog.follower_id.in_({row.follower_id for row in asked}),
            MessageLog.id.between(connection.scalar(first.limit(1)) or 0, asked[-1].id),
            MessageLog.operator_id.is_not(None),
        )
        for row in connection.execute(found):
            talked[row.follower_id].append(row)
    return talked


def _is_talk(question: Row[Any], messages: Iterable[Any]) -> bool:
    """Whether an operator wrote to the follower shortly before."""
    since = question.received_at - TALK
    return any(each.id < question.id and each.created_at >= since for each in messages)
