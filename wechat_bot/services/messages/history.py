"""Reads the message log: pages, counts, and the conversation of one follower, newest first by id.

A page continues at the id at which another one ended, so that its cost does not depend on its depth. Words,
kinds, events and origins are looked up in the search index, which has tokens for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import aliased

from ...models import Account, Follower, MessageLog
from ..search.index import MESSAGES
from ..search.tagged import are_few
from ..search.tokens import searchable
from .filters import MessageFilter

MAX_LIMIT = 200
READ_AHEAD = 8
"""How many times more messages are read for a page when few that the index found match. It may be shorter
than others even so."""
MAX_COUNT = 10_000
"""Upper limit of counts where an index lists the messages that match."""
MAX_COUNT_SCATTERED = 1_000
"""The same where the messages, scattered over the table, have to be read."""
MAX_COUNT_READ = 500
"""The same where their texts have to be searched."""
WINDOW = 10_000
"""How many of the newest messages PostgreSQL scans before it asks the index, which would list all messages
with a common word."""
ENOUGH = 50
"""When so many messages in that window match, no others are counted."""
FACETS = ("direction", "kind", "event", "state", "origin")

_LAST_ID = 1 << 62


@dataclass(frozen=True)
class MessagePage:
    """Messages, newest first, and the ids beyond which there may be older and newer ones."""

    rows: Sequence[Row[Any]]
    older: int | None
    newer: int | None


@dataclass(frozen=True)
class Facets:
    """Numbers of messages that match: in all, and by the values of each of `FACETS`."""

    total: int
    capped: bool
    """Whether `total` is a lower bound."""
    counts: Mapping[str, Mapping[str, int]]
    partial: bool
    """Whether `counts` are of the newest messages only."""


def page(
    connection: Connection,
    account_id: int,
    chosen: MessageFilter,
    before: int | None = None,
    after: int | None = None,
    limit: int = 50,
) -> MessagePage:
    """Return an account's newest messages that match; or those before an id; or the oldest after an id."""
    upwards, limit = after is not None, min(limit, MAX_LIMIT)
    rows, further = read_batch(connection, account_id, chosen, after if upwards else before, upwards, limit)
    back = None
    if before is not None or after is not None:
        edge = before - 1 if before is not None else (after or 0) + 1
        back = rows[0].id if rows else edge
    if upwards:
        return MessagePage(rows[::-1], older=back, newer=further)
    return MessagePage(rows, older=further, newer=back)


def reload_messages(connection: Connection, follower_id: int, ids: Sequence[int]) -> MessagePage:
    """Return some messages of a follower as they are now."""
    found = select(*_ROW).join(Follower, Follower.id == MessageLog.follower_id)
    found = found.where(MessageLog.id.in_(ids), MessageLog.follower_id == follower_id)
    return MessagePage(connection.execute(found.order_by(MessageLog.id.desc())).all(), None, None)


def read_batch(
    connection: Connection,
    account_id: int,
    chosen: MessageFilter,
    beyond: int | None,
    upwards: bool,
    limit: int,
) -> tuple[Sequence[Row[Any]], int | None]:
    """Return messages beyond an id, nearest first, and the id beyond which there may be more."""
    rows: list[Row[Any]] = []
    for batch in (limit + 1, READ_AHEAD * (limit + 1)):
        statement = _find(connection, account_id, chosen, _ROW, batch, beyond, upwards).rows
        found = sorted(connection.execute(statement), key=lambda row: int(row.id), reverse=not upwards)
        rows += _matching(chosen, found)
        if len(rows) > limit:
            return rows[:limit], rows[limit - 1].id
        if len(found) < batch:
            return rows, None
        beyond = found[-1].id
    return rows, beyond


_ROW = (*MessageLog.__table__.columns, Follower.openid, Follower.alias)


@dataclass(frozen=True)
class _Found:
    """Statements for the messages of a filter; `_matching` checks those that the index does not prove."""

    rows: Select[Any]
    """The nearest messages."""
    listed: Select[Any]
    """The ids of all messages that an index lists, also those of other accounts."""
    nearby: ColumnElement[bool]
    """Whether the window of PostgreSQL had enough, so that nothing else was read."""


def _find(
    connection: Connection,
    account_id: int,
    chosen: MessageFilter,
    columns: Sequence[Any],
    limit: int,
    beyond: int | None = None,
    upwards: bool = False,
    enough: int | None = None,
) -> _Found:
    """Return statements for at most `limit` messages beyond an id.

    When the window of PostgreSQL has `enough` of them, by default `limit`, only it is read.
    """
    found = select(*columns).outerjoin_from(MessageLog, Follower, Follower.id == MessageLog.follower_id)
    few_tagged = chosen.tag is not None and are_few(connection, chosen.tag)
    conditions = list(chosen.conditions(account_id, few_tagged))
    found = found.where(*conditions).limit(limit)
    limits = (0, _LAST_ID) if beyond is None else (beyond + 1, _LAST_ID) if upwards else (0, beyond - 1)
    first, last = chosen.ids(*limits)
    groups, dialect = chosen.groups(), connection.dialect.name
    if not groups:
        rows = found.where(MessageLog.id.between(first, last)).order_by(_order(MessageLog.id, upwards))
        if not (few_tagged or chosen.follower or chosen.unsettled):
            # Otherwise MariaDB goes through all ids above `last` in the index of the account's foreign key.
            for name in ("mysql", "mariadb"):
                rows = rows.with_hint(MessageLog, "USE INDEX (PRIMARY)", name)
        return _Found(rows, select(MessageLog.id).where(*conditions), false())
    key, matching = MESSAGES.id_column(dialect), MESSAGES.contains(dialect, *groups)
    near = found.where(MessageLog.id == key, matching, key.between(first, last))
    near = near.order_by(_order(key, upwards))
    if dialect != "postgresql":
        return _Found(near, select(key).where(matching), false())
    # All that the index lists, sorted before their messages are read: + 0 keeps the database from the order
    # of the primary key, also when it plans for any words and ids, and OFFSET 0 from joining first.
    place = (key + 0).label("id")
    matched = select(place).where(matching, place.between(first, last)).cte("matched")
    ids = select(matched.c.id).order_by(_order(matched.c.id, upwards)).offset(0).subquery()
    everywhere = found.where(MessageLog.id == ids.c.id).order_by(_order(ids.c.id, upwards))
    if chosen.follower:  # a follower has few messages
        return _Found(everywhere, select(matched.c.id), false())
    window = key.between(first, first + WINDOW) if upwards else key.between(_window(key, last), last)
    rows, nearby = _first_enough(near.where(window), everywhere, enough or limit)
    return _Found(rows, select(matched.c.id), nearby)


def _first_enough(
    first: Select[Any], second: Select[Any], enough: int
) -> tuple[Select[Any], ColumnElement[bool]]:
    """Select the rows of `first` if they are `enough`, else those of `second`, and whether they were."""
    rows = first.cte("near")
    are_enough = select(func.count()).select_from(rows).scalar_subquery() >= enough
    rest = select(second.subquery()).where(not_(are_enough))
    return select(union_all(select(rows).where(are_enough), rest).subquery()), are_enough


def _window(key: ColumnElement[int], last: ColumnElement[int]) -> ColumnElement[int]:
    """The id at which the newest window up to `last` begins."""
    return func.least(last, select(func.max(key)).scalar_subquery()) - WINDOW


def _order(key: Any, upwards: bool) -> Any:
    return key if upwards else key.desc()


def _matching(chosen: MessageFilter, found: Iterable[Row[Any]]) -> Iterable[Row[Any]]:
    """Return the messages that match, by their texts where the index does not prove it."""
    if chosen.exact:
        return found
    return [row for row in found if chosen.query.matches(searchable(row.text, row.payload))]


def facets(connection: Connection, account_id: int, chosen: MessageFilter) -> Facets:
    """Count the messages of an account that match, in one statement."""
    columns: list[Any] = [MessageLog.__table__.columns[name] for name in FACETS]
    if chosen.exact:
        scattered = chosen.groups() or chosen.follower or chosen.tag
        bound = MAX_COUNT_SCATTERED if scattered else MAX_COUNT
    else:
        bound = MAX_COUNT_READ
        columns += [MessageLog.text, MessageLog.payload]
    found = _find(connection, account_id, chosen, columns, bound, enough=ENOUGH)
    newest = found.rows.subquery()
    known: ColumnElement[Any] = null()
    if chosen.listed and bound < MAX_COUNT:
        known = case((not_(found.nearby), _count_listed(found.listed, account_id)))
    cut = and_(found.nearby, _goes_on_before_window(connection, chosen))
    n = func.count() if chosen.exact else literal(1)
    wanted = select(known.label("known"), cut.label("cut"), n.label("n"), *newest.c)
    rows = connection.execute(wanted.group_by(*newest.c) if chosen.exact else wanted).all()
    counts: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    for row in _matching(chosen, rows):
        for name in FACETS:
            counts[name][getattr(row, name)] += row.n
    ordered = {name: dict(its.most_common()) for name, its in counts.items()}
    partial = any(row.cut for row in rows) or sum(row.n for row in rows) >= bound
    if rows and rows[0].known is not None:
        return Facets(rows[0].known, rows[0].known >= MAX_COUNT, ordered, partial)
    return Facets(counts[FACETS[0]].total(), partial, ordered, partial)


_Listed = aliased(MessageLog)


def _count_listed(listed: Select[Any], account_id: int) -> ColumnElement[int]:
    """Count the listed messages of an account. While there is no other, none has to be read for that."""
    [key] = listed.selected_columns
    own = listed.join(_Listed, and_(_Listed.id == key, _Listed.account_id == account_id))
    others = exists().where(Account.id != account_id)
    return case((others, _up_to_bound(own)), else_=_up_to_bound(listed))


def _up_to_bound(listed: Select[Any]) -> ScalarSelect[int]:
    return select(func.count()).select_from(listed.limit(MAX_COUNT).subquery()).scalar_subquery()


def _goes_on_before_window(connection: Connection, chosen: MessageFilter) -> ColumnElement[bool]:
    """Whether messages of these days lie before the window that PostgreSQL scans first."""
    first, last = chosen.ids(0, _LAST_ID)
    key = MESSAGES.id_column(connection.dialect.name)
    return exists().where(key.between(first, _window(key, last) - 1))


def around(connection: Connection, account_id: int, message_id: int, n: int = 3) -> Sequence[Row[Any]]:
    """Return a message and its neighbours in the conversation, oldest first."""
    follower = connection.scalar(select(MessageLog.follower_id).where(MessageLog.id == message_id))
    if follower is None:
        return connection.execute(select(*_ROW).outerjoin(Follower).where(MessageLog.id == message_id)).all()
    return _both_sides(connection, account_id, MessageFilter(follower=follower), message_id, n, n).rows[::-1]


def conversation_page(
    connection: Connection,
    account_id: int,
    follower_id: int,
    *,
    before: int | None = None,
    after: int | None = None,
    at: int | None = None,
    day: date | None = None,
    zone: tzinfo = UTC,
    limit: int = 50,
) -> MessagePage:
    """Return messages of a follower: the newest; before or after an id; around one; or from a day on."""
    chosen = MessageFilter(follower=follower_id)
    if at is not None:
        return _both_sides(connection, account_id, chosen, at, limit // 2, limit - limit // 2)
    if day is not None:
        since = MessageFilter(follower=follower_id, since=day, zone=zone).conditions(account_id)
        oldest = select(MessageLog.id).where(*since).order_by(MessageLog.id).limit(1)
        first = connection.scalar(oldest)
        after = first - 1 if first else None
    return page(connection, account_id, chosen, before, after, limit)


def _both_sides(
    connection: Connection, account_id: int, chosen: MessageFilter, at: int, older: int, newer: int
) -> MessagePage:
    """Return the message `at` with numbers of older and newer ones."""
    below = page(connection, account_id, chosen, before=at + 1, limit=older + 1)
    above = page(connection, account_id, chosen, after=at, limit=newer)
    return MessagePage([*above.rows, *below.rows], below.older, above.newer)
