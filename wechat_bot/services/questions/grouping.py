"""Groups the questions that nobody answered, in small steps behind the projections of the message log.

A step reads what the projector has processed since the last one, and adds the questions among it to their
groups in one transaction, unless another process was faster. So nothing is counted twice.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, insert, select, update

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
    QuestionToken,
    QuestionWeek,
)
from ...models.messages import TAP_FIELD
from ...models.projections import hour_of
from ...models.rows import new_row
from ...routing import Router
from ..conversations.decisions import needs_operator
from . import decisions
from .likeness import MAX_TEXT, likeness, needed_in_prefix, prefix, sizes_alike, tokens_of_question
from .model_answers import without_good_answer

BATCH_SIZE = 200
"""Messages of one step. Pushes on SQLite wait while their questions are written."""
MAX_IDS = 5000
"""Ids in one statement, of which databases take a limited number."""
UNFINISHED_TIMEOUT = timedelta(hours=1)
"""Age up to which an unfinished message is waited for, since a slow handler may still answer it."""
TALK = timedelta(hours=1)
"""Time after an operator's message during which what the follower writes is meant for that person."""
_NAME = "questions"


@dataclass(frozen=True)
class Question:
    """A message that nobody answered."""

    message_id: int
    text: str
    """Its beginning, with which others are compared."""
    at: datetime


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

    @retry_conflicts
    def add(self, account_id: int, dedup_key: str) -> None:
        """Count the message with this key as a question that got no good answer: its answer was disliked.

        A message that is counted already, or is no text of a follower, changes nothing.
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
    def _write(self, before: int, after: int, matched: Mapping[int, _Matching]) -> None:
        """Store questions, unless another process was faster."""
        with transaction(self._engine) as connection:
            if _lock(connection) == before:
                self._store(connection, matched)
                moved = update(Progress).where(Progress.name == _NAME)
                connection.execute(moved.values(watermark=after))

    def _store(self, connection: Connection, matched: Mapping[int, _Matching]) -> None:
        for account_id, matching in matched.items():
            if matching.groups:
                _store(connection, account_id, matching, self.zone)


def _match(connection: Connection, rows: Iterable[Row[Any]]) -> dict[int, _Matching]:
    """Find the groups of questions, by account, but for those that are in a group."""
    by_account = defaultdict(list)
    for row in rows:
        by_account[row.account_id].append(Question(row.id, row.text.strip()[:MAX_TEXT], row.received_at))
    matched = {}
    for account_id, asked in by_account.items():
        ids = [each.message_id for each in asked]
        known = set(connection.scalars(_KNOWN.where(QuestionExample.message_id.in_(ids))))
        new = [each for each in asked if each.message_id not in known]
        matched[account_id] = _Matching(connection, account_id, new)
    return matched


class _Matching:
    """Finds the groups of an account to which questions belong. Groups that are new have negative numbers."""

    def __init__(self, connection: Connection, account_id: int, asked: Iterable[Question]) -> None:
        self._tokens: dict[int, frozenset[int]] = {}
        """Those of the groups to which questions may belong."""
        self._sizes: dict[int, int] = {}
        self._by_token: dict[int, list[int]] = defaultdict(list)
        self.groups: dict[Question, int] = {}
        self.new: dict[int, tuple[Question, frozenset[int]]] = {}
        """The first questions of new groups, with their tokens."""
        tokens = {each: found for each in asked if (found := tokens_of_question(each.text))}
        self._load(connection, account_id, set(tokens.values()))
        for each, found in tokens.items():
            self.groups[each] = self._find(found) or self._add(each, found)

    def _load(self, connection: Connection, account_id: int, texts: Collection[frozenset[int]]) -> None:
        """Load the groups that one of the texts may be like."""
        wanted = {token for tokens in texts for token in prefix(tokens)}
        indexed = _INDEXED.where(QuestionToken.account_id == account_id, QuestionToken.token.in_(wanted))
        for token, number, size in connection.execute(indexed):
            self._by_token[token].append(number)
            self._sizes[number] = size
        numbers = sorted({number for tokens in texts for number in self._candidates(tokens)})
        for first in range(0, len(numbers), MAX_IDS):
            some = QuestionGroup.id.in_(numbers[first : first + MAX_IDS])
            self._tokens |= {
                row.id: tokens_of_question(row.text) for row in connection.execute(_TEXTS.where(some))
            }

    def _candidates(self, tokens: frozenset[int]) -> list[int]:
        """Return the groups that a text with these tokens may be like."""
        counted = Counter(chain.from_iterable(self._by_token.get(token, ()) for token in prefix(tokens)))
        needed, sizes = needed_in_prefix(tokens), sizes_alike(len(tokens))
        return [
            number for number, count in counted.items() if count >= needed and self._sizes[number] in sizes
        ]

    def _find(self, tokens: frozenset[int]) -> int | None:
        """Return the group whose text is most like one with these tokens, the oldest of several."""
        found = (
            (likeness(tokens, self._tokens[each]), -abs(each), each) for each in self._candidates(tokens)
        )
        best = max(found, default=(0.0, 0, 0))
        return best[2] if best[0] else None

    def _add(self, first: Question, tokens: frozenset[int]) -> int:
        number = -len(self.new) - 1
        self.new[number] = first, tokens
        self._tokens[number], self._sizes[number] = tokens, len(tokens)
        for token in prefix(tokens):
            self._by_token[token].append(number)
        return number


def _store(connection: Connection, account_id: int, matching: _Matching, zone: tzinfo) -> None:
    """Add questions to the groups that were found for them."""
    groups = _load_groups(connection, set(matching.groups.values()))
    groups |= {
        number: _new_group(account_id, first, zone) for number, (first, _tokens) in matching.new.items()
    }
    weeks: dict[tuple[int, date], int] = defaultdict(int)
    for each, number in matching.groups.items():
        week = monday(each.at, zone)
        groups[number].update(decisions.after_question(groups[number], each.at, week).changes)
        weeks[number, week] += 1
    changed = [{**group, "number": number} for number, group in groups.items() if number > 0]
    if changed:
        connection.execute(_CHANGE, changed)
    ids = {number: number for number in groups if number > 0}
    ids |= {number: _insert(connection, group) for number, group in groups.items() if number < 0}
    entries = [
        entry
        for number, (_first, tokens) in matching.new.items()
        for entry in token_rows(account_id, ids[number], tokens)
    ]
    if entries:
        connection.execute(insert(QuestionToken), entries)
    examples = [{"message_id": each.message_id, "group_id": ids[n]} for each, n in matching.groups.items()]
    connection.execute(insert(QuestionExample), examples)
    _count_weeks(connection, {(ids[number], week): count for (number, week), count in weeks.items()})


def token_rows(account_id: int, group_id: int, tokens: frozenset[int]) -> list[dict[str, int]]:
    """Return the rows of `QuestionToken` of a group, whose text has these tokens."""
    values = {"account_id": account_id, "group_id": group_id, "size": len(tokens)}
    return [values | {"token": token} for token in prefix(tokens)]


def _load_groups(connection: Connection, numbers: Collection[int]) -> dict[int, dict[str, Any]]:
    """Lock and return the columns of groups."""
    found = select(*QuestionGroup.__table__.columns).where(QuestionGroup.id.in_(numbers))
    rows = connection.execute(found.order_by(QuestionGroup.id).with_for_update())
    return {row.id: dict(row._mapping) for row in rows}


def _new_group(account_id: int, first: Question, zone: tzinfo) -> dict[str, Any]:
    return new_row(
        QuestionGroup,
        account_id=account_id,
        text=first.text,
        message_id=first.message_id,
        first_at=first.at,
        last_at=first.at,
        week=monday(first.at, zone),
    )


def _insert(connection: Connection, group: Mapping[str, Any]) -> int:
    added = connection.execute(insert(QuestionGroup), group)
    return int(added.inserted_primary_key[0])  # type: ignore[index]


def monday(at: datetime, zone: tzinfo) -> date:
    """Return the first day of the week of a time."""
    day = at.astimezone(zone).date()
    return day - timedelta(days=day.weekday())


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
_INDEXED = select(QuestionToken.token, QuestionToken.group_id, QuestionToken.size)
_TEXTS = select(QuestionGroup.id, QuestionGroup.text)
_CHANGEABLE = ("asked", "first_at", "last_at", "week", "week_asked", "state", "reopened_at")
_CHANGE = (
    update(QuestionGroup)
    .where(QuestionGroup.id == bindparam("number"))
    .values({name: bindparam(name) for name in _CHANGEABLE})
)
_MORE = (
    update(QuestionWeek)
    .where(QuestionWeek.group_id == bindparam("number"), QuestionWeek.week == bindparam("monday"))
    .values(asked=QuestionWeek.asked + bindparam("more"))
)


def _count_weeks(connection: Connection, counted: Mapping[tuple[int, date], int]) -> None:
    numbers, mondays = {key[0] for key in counted}, {key[1] for key in counted}
    existing = select(QuestionWeek.group_id, QuestionWeek.week)
    existing = existing.where(QuestionWeek.group_id.in_(numbers), QuestionWeek.week.in_(mondays))
    known = {(row.group_id, row.week) for row in connection.execute(existing)}
    more = [
        {"number": number, "monday": week, "more": count}
        for (number, week), count in counted.items()
        if (number, week) in known
    ]
    new = [
        {"group_id": number, "week": week, "asked": count}
        for (number, week), count in counted.items()
        if (number, week) not in known
    ]
    if more:
        connection.execute(_MORE, more)
    if new:
        connection.execute(insert(QuestionWeek), new)


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
