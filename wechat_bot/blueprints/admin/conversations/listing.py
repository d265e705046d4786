"""The list of conversations that the query string selects: tabs, order, search and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_login import current_user
from sqlalchemy import ColumnElement, Row, Select, and_, or_, select, true
from sqlalchemy.orm import aliased

from ....extensions import db
from ....models import Conversation, ConversationStatus, Follower, Mention, MessageLog, Note, Operator
from ....services.accounts.capabilities import Feature
from ....services.conversations.queries import tags_of, unseen_mentions
from ....services.outbox.window import Window, estimate_window, not_yet_closed, spent_since
from ....services.search.index import FOLLOWERS
from ....services.search.tokens import Query
from ....wiring import services
from ..media import preload_media
from ..paging import cursor

LIST_SIZE = 40
"""Conversations of one page of the list."""


class Tab(StrEnum):
    OPEN = "open"
    MINE = "mine"
    ALL = "all"
    WAITING = "waiting"
    DONE = "done"
    STARRED = "starred"
    MENTIONS = "mentions"


TABS = {
    Tab.OPEN: lazy_gettext("待处理"),
    Tab.MINE: lazy_gettext("我的"),
    Tab.ALL: lazy_gettext("全部"),
    Tab.WAITING: lazy_gettext("等待对方"),
    Tab.DONE: lazy_gettext("已处理"),
    Tab.STARRED: lazy_gettext("星标"),
    Tab.MENTIONS: lazy_gettext("提到我"),
}


class Sort(StrEnum):
    WAITING = "waiting"
    """Longest waiting first."""
    CLOSING = "closing"
    """Window that closes soonest first, without closed windows."""
    NEWEST = "newest"


SORTS = {
    Sort.WAITING: lazy_gettext("等得最久"),
    Sort.CLOSING: lazy_gettext("快到期"),
    Sort.NEWEST: lazy_gettext("最新"),
}


@dataclass(frozen=True)
class Listing:
    tab: Tab
    sort: Sort
    rows: Sequence[Row[Any]]
    following: int | None
    """The position that continues the list; None on the last page."""
    windows: Mapping[int, Window]
    """Open windows by follower id."""


def listing() -> Listing:
    """Return the page of conversations that the query string selects; abort with 400 if it is invalid."""
    now = datetime.now(UTC)
    try:
        tab = Tab(request.args.get("tab", Tab.OPEN))
        sort = Sort(request.args.get("sort", Sort.WAITING)) if tab is Tab.OPEN else Sort.NEWEST
    except ValueError:
        abort(400, _("没有这个分类。"))
    written = aliased(MessageLog)
    found = (
        select(
            Conversation.__table__,
            Follower.openid,
            Follower.alias,
            Follower.subscribed,
            Follower.account_id,
            Operator.name.label("assignee"),
            tags_of(Conversation.follower_id),
            written.created_at.label("written_at"),
            spent_since(Conversation.follower_id, Conversation.last_in_id).label("spent"),
            *(
                getattr(MessageLog, name)
                for name in ("kind", "event", "text", "payload", "direction", "state", "created_at")
            ),
        )
        .join(Follower, Follower.id == Conversation.follower_id)
        .join(MessageLog, MessageLog.id == Conversation.last_id)
        .outerjoin(written, written.id == Conversation.last_in_id)
        .outerjoin(Operator, Operator.id == Conversation.assignee_id)
        .where(_in_tab(tab))
    )
    if sort is Sort.CLOSING:
        found = found.where(not_yet_closed(written.created_at, now))
    if query := Query.parse(request.args.get("q", "")[:200]):
        dialect = db.engine.dialect.name
        found = found.where(Conversation.follower_id.in_(FOLLOWERS.matching_ids(query, dialect)))
    rows = db.session.execute(_paged(found, sort).limit(LIST_SIZE + 1)).all()
    following = getattr(rows[LIST_SIZE - 1], _POSITIONS[sort]) if len(rows) > LIST_SIZE else None
    preload_media(rows[:LIST_SIZE])
    return Listing(tab, sort, rows[:LIST_SIZE], following, _windows(rows, now))


def _windows(rows: Sequence[Row[Any]], now: datetime) -> Mapping[int, Window]:
    """Return the open windows by follower id; none if the account may not send messages."""
    capabilities = services().capabilities
    if not rows or not capabilities.allows(rows[0].account_id, Feature.CUSTOMER_SERVICE):
        return {}
    windows = {
        row.follower_id: estimate_window(row.subscribed, row.written_at, row.spent, now) for row in rows
    }
    return {follower_id: found for follower_id, found in windows.items() if not found.closed}


def _in_tab(tab: Tab) -> ColumnElement[bool]:
    match tab:
        case Tab.MINE:
            return and_(
                Conversation.assignee_id == current_user.id, Conversation.status != ConversationStatus.DONE
            )
        case Tab.STARRED:
            return Conversation.starred == true()
        case Tab.MENTIONS:
            notes = select(Note.follower_id).join(Mention)
            return Conversation.follower_id.in_(notes.where(*unseen_mentions(current_user.id)))
        case Tab.ALL:
            return true()
        case _:
            return Conversation.status == ConversationStatus(tab.value)


_POSITIONS = {Sort.WAITING: "follower_id", Sort.CLOSING: "last_in_id", Sort.NEWEST: "last_id"}
"""The column whose value is the position of a page, by order."""


def _paged(found: Select[Any], sort: Sort) -> Select[Any]:
    """Apply the order, and the position in the query string."""
    position = cursor("list_before").get("list_before")
    match sort:
        case Sort.NEWEST:
            found = found.where(Conversation.last_id < position) if position else found
            return found.order_by(Conversation.last_id.desc())
        case Sort.CLOSING:
            found = found.where(Conversation.last_in_id > position) if position else found
            return found.order_by(Conversation.last_in_id)
        case Sort.WAITING:
            found = found.where(_waits_less(position)) if position else found
            return found.order_by(Conversation.waiting_since, Conversation.follower_id)


def _waits_less(follower_id: int) -> ColumnElement[bool]:
    since = (
        select(Conversation.waiting_since).where(Conversation.follower_id == follower_id).scalar_subquery()
    )
    return or_(
        Conversation.waiting_since > since,
        and_(Conversation.waiting_since == since, Conversation.follower_id > follower_id),
    )


def list_place(args: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that select a page of the list, without those of the conversation beside it."""
    return {name: args[name] for name in ("tab", "sort", "q", "list_before") if args.get(name)}
