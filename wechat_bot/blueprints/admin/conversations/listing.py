"""The list of conversations that the query string selects: a page of it, and what has changed on a page."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_login import current_user
from sqlalchemy import Select, false, literal, or_, select, union_all
from sqlalchemy.orm import aliased

from ....application import row_id
from ....database.clock import database_now
from ....extensions import db
from ....models import Conversation, Follower, Handover, MessageLog, Operator, SavedView, Tag
from ....services.accounts.capabilities import Feature
from ....services.conversations.filters import ConversationFilter, Sort, Subscribed, Tab
from ....services.conversations.queries import owner_columns, shown_message, tags_of
from ....services.conversations.saved_views import usable
from ....services.followers.profiles import MAX_BULK
from ....services.outbox.window import Window, estimate_window, not_yet_closed, spent_since
from ....wiring import services
from ..media import preload_media
from ..paging import cursor, parse_position, parse_time, position_of, searched

LIST_SIZE = 40
"""Conversations of one page of the list."""

TABS = {
    Tab.OPEN: lazy_gettext("待处理"),
    Tab.UNASSIGNED: lazy_gettext("未分配"),
    Tab.MINE: lazy_gettext("我的"),
    Tab.ALL: lazy_gettext("全部"),
    Tab.WAITING: lazy_gettext("等待对方"),
    Tab.DONE: lazy_gettext("已处理"),
    Tab.STARRED: lazy_gettext("星标"),
    Tab.MENTIONS: lazy_gettext("提到我"),
}
SORTS = {
    Sort.WAITING: lazy_gettext("等得最久的在前"),
    Sort.CLOSING: lazy_gettext("快到期的在前"),
    Sort.NEWEST: lazy_gettext("最新的在前"),
}
SUBSCRIBED = {Subscribed.YES: lazy_gettext("已关注"), Subscribed.NO: lazy_gettext("已取消关注")}


@dataclass(frozen=True)
class Listing:
    """Conversations of a list, with the filter that selects them."""

    filter: ConversationFilter
    rows: Sequence[Any]
    """The id of a row is that of the message that is shown."""
    windows: Mapping[int, Window]
    """Open windows by follower id."""
    following: str | None = None
    """The position that continues the list; None on the last page."""
    gone: frozenset[int] = frozenset()
    """Followers whose conversations do not belong to the list any more."""

    def version(self, row: Any) -> str:
        """Return a text that is another one when the row looks different."""
        seen = (*row, self.windows.get(row.follower_id), row.follower_id in self.gone)
        return f"{zlib.crc32(repr(seen).encode()):08x}"


def listing() -> Listing:
    """Return the page of conversations that the query string selects; abort with 400 if it is invalid."""
    chosen, now = chosen_filter(), database_now()
    rows = _read(_page(chosen, now), chosen.sort)
    following = _position_after(rows[LIST_SIZE - 1], chosen.sort) if len(rows) > LIST_SIZE else None
    rows = rows[:LIST_SIZE]
    preload_media(rows)
    return Listing(chosen, rows, open_windows(rows, now), following)


@dataclass(frozen=True)
class Changes:
    """What has changed on a page of the list since a browser got it."""

    listing: Listing
    """The rows that look different now."""
    arrived: int
    """Conversations that come in, or have another place in the order, when the page is loaded again."""


def changes() -> Changes:
    """Compare the page that the query string selects with the rows that a browser shows.

    Each parameter ``row`` is the id of a follower and the version of the row, in the order of the list.
    """
    shown, chosen, now = _shown(), chosen_filter(), database_now()
    is_shown = Conversation.follower_id.in_(shown) & (Conversation.account_id == services().account_id)
    rows = _read(select(Conversation.follower_id).where(is_shown), chosen.sort)
    preload_media(rows)
    belonging = set(db.session.scalars(_matching(chosen, now).where(is_shown)))
    found = Listing(chosen, rows, open_windows(rows, now), gone=frozenset(shown) - belonging)
    page = _page(chosen, now).subquery()
    ordered = select(page.c.follower_id).join(Conversation, Conversation.follower_id == page.c.follower_id)
    current = db.session.scalars(ordered.order_by(*_ORDERS[chosen.sort])).all()[:LIST_SIZE]
    changed = [row for row in rows if found.version(row) != shown[row.follower_id]]
    arrived = count_arrived([row for row in shown if row in belonging], current, full=len(shown) >= LIST_SIZE)
    return Changes(Listing(chosen, changed, found.windows, gone=found.gone), arrived)


def count_arrived(shown: Sequence[int], current: Sequence[int], *, full: bool) -> int:
    """Return how many ids of `current` are new, or stand elsewhere than in `shown`.

    What follows the last of the ids that are shown is not new if the page was `full`: it has moved up.
    """
    known = {row: place for place, row in enumerate(shown)}
    last = max((place for place, row in enumerate(current) if row in known), default=-1)
    new = [row for row in (current[: last + 1] if full and last >= 0 else current) if row not in known]
    kept: list[int] = []  # ends of the longest rising sequences: the most ids that keep their order
    for place in (known[row] for row in current if row in known):
        at = bisect_left(kept, place)
        kept[at : at + 1] = [place]
    return len(new) + sum(row in known for row in current) - len(kept)


def matching_ids(chosen: ConversationFilter) -> Sequence[int]:
    """Return the followers of the first `MAX_BULK` conversations that match."""
    found = _matching(chosen, database_now()).order_by(*_ORDERS[chosen.sort])
    return db.session.scalars(found.limit(MAX_BULK)).all()


def menus() -> dict[str, list[Any]]:
    """Return the tags, saved views and operators that can be chosen, by name; one statement."""
    account_id = services().account_id
    tags = select(literal("tags").label("menu"), Tag.id, Tag.name, literal("").label("query"))
    views = select(literal("views"), SavedView.id, SavedView.name, SavedView.query)
    operators = select(literal("operators"), Operator.id, Operator.name, literal(""))
    every = union_all(
        tags.where(Tag.account_id == account_id),
        views.where(*usable(account_id, current_user.id)),
        operators.where(Operator.disabled == false()),
    )
    found: dict[str, list[Any]] = {"tags": [], "views": [], "operators": []}
    for row in sorted(db.session.execute(every), key=lambda row: (row.name, row.id)):
        found[row.menu].append(row)
    return found


def chosen_filter() -> ConversationFilter:
    """Return the filter in the query string; abort with 400 if it is invalid."""
    searched("q")
    try:
        return ConversationFilter.parse(request.args)
    except ValueError:
        abort(400, _("没有这个分类，或者筛选条件无效。"))


def _shown() -> dict[int, str]:
    """Return the versions of the rows that a browser shows, by follower id."""
    parts = [text.partition(".") for text in request.args.getlist("row")[: 2 * LIST_SIZE]]
    try:
        return {row_id(follower_id): version for follower_id, _dot, version in parts}
    except ValueError:
        abort(400, _("没有这个粉丝。"))


_written = aliased(MessageLog)
_last = aliased(MessageLog)
_ORDERS: dict[Sort, tuple[Any, ...]] = {
    Sort.WAITING: (
        Conversation.waiting_since.is_(None),
        Conversation.waiting_since,
        Conversation.follower_id,
    ),
    Sort.CLOSING: (Conversation.last_in_id,),
    Sort.NEWEST: (Conversation.last_id.desc(),),
}


def _read(ids: Select[int], sort: Sort) -> Sequence[Any]:
    """Return what the rows of some conversations show."""
    chosen = ids.subquery()
    found = (
        select(
            *(getattr(Conversation, name) for name in _COLUMNS),
            *(getattr(Follower, name) for name in ("openid", "alias", "subscribed")),
            Operator.name.label("assignee"),
            *owner_columns(),
            tags_of(Conversation.follower_id),
            _last.created_at.label("last_at"),
            _written.created_at.label("written_at"),
            spent_since(Conversation.follower_id, Conversation.last_in_id).label("spent"),
            *(
                getattr(MessageLog, name)
                for name in ("id", "kind", "event", "text", "payload", "operator_id")
            ),
        )
        .select_from(chosen)
        .join(Conversation, Conversation.follower_id == chosen.c.follower_id)
        .join(Follower, Follower.id == Conversation.follower_id)
        .join(_last, _last.id == Conversation.last_id)
        .outerjoin(_written, _written.id == Conversation.last_in_id)
        .outerjoin(Operator, Operator.id == Conversation.assignee_id)
        .outerjoin(Handover, Handover.follower_id == Conversation.follower_id)
        .outerjoin(MessageLog, MessageLog.id == shown_message())
        .order_by(*_ORDERS[sort])
    )
    return db.session.execute(found).all()


_COLUMNS = ("follower_id", "status", "waiting_since", "starred", "last_id", "last_in_id", "read_id")


def open_windows(rows: Sequence[Any], now: datetime) -> Mapping[int, Window]:
    """Return the open windows by follower id; none if the account may not send messages."""
    if not rows or not can_answer():
        return {}
    windows = {
        row.follower_id: estimate_window(row.subscribed, row.written_at, row.spent, now) for row in rows
    }
    return {follower_id: found for follower_id, found in windows.items() if not found.closed}


def can_answer() -> bool:
    """Whether the account may send messages."""
    return services().capabilities.allows(services().account_id, Feature.CUSTOMER_SERVICE)


def _matching(chosen: ConversationFilter, now: datetime) -> Select[int]:
    """Select the followers of the conversations that match."""
    conditions = chosen.conditions(services().account_id, current_user.id, db.engine.dialect.name)
    found = select(Conversation.follower_id).where(*conditions)
    if chosen.sort is Sort.CLOSING:
        found = found.join(Follower, Follower.id == Conversation.follower_id)
        found = found.join(_written, _written.id == Conversation.last_in_id)
        found = found.where(not_yet_closed(_written.created_at, now))
    return found


def _position_after(row: Any, sort: Sort) -> str:
    """Return the position of the page after a row, which stays where it is while the row moves on."""
    if sort is Sort.WAITING:
        return position_of(row.follower_id, row.waiting_since)
    return str(row.last_id if sort is Sort.NEWEST else row.last_in_id)


def _page(chosen: ConversationFilter, now: datetime) -> Select[int]:
    """Select the followers of a page of the list, one more than it has, from the position in the query."""
    found = _matching(chosen, now)
    if chosen.sort is Sort.WAITING:
        return _by_waiting(found, request.args.get("list_before"))
    if position := cursor("list_before").get("list_before"):
        newest = chosen.sort is Sort.NEWEST
        found = found.where(Conversation.last_id < position if newest else Conversation.last_in_id > position)
    return found.order_by(*_ORDERS[chosen.sort]).limit(LIST_SIZE + 1)


def _by_waiting(found: Select[int], position: str | None) -> Select[int]:
    """Select the longest waiting first, then those where nobody waits: two ways through an index.

    Databases differ in the place of NULL in an order.
    """
    since, follower_id = Conversation.waiting_since, Conversation.follower_id
    waiting, idle = found.where(since.is_not(None)), found.where(since.is_(None))
    if position:
        last, reached = parse_position(position, lambda text: parse_time(text) if text else None)
        if reached:
            waiting = waiting.where(since >= reached, or_(since > reached, follower_id > last))
        else:
            waiting, idle = waiting.where(false()), idle.where(follower_id > last)
    parts = [
        part.limit(LIST_SIZE + 1).subquery().select()
        for part in (waiting.order_by(since, follower_id), idle.order_by(follower_id))
    ]
    both = union_all(*parts).subquery()
    return (
        select(Conversation.follower_id)
        .join(both, both.c.follower_id == Conversation.follower_id)
        .order_by(*_ORDERS[Sort.WAITING])
        .limit(LIST_SIZE + 1)
    )


def list_place(args: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that select a page of the list, without those of the conversation beside it."""
    try:
        chosen = ConversationFilter.parse(args).fields()
    except ValueError:
        chosen = {}
    return chosen | ({"list_before": args["list_before"]} if args.get("list_before") else {})
