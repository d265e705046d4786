"""Conversations: the list of them, one to read, and what operators do with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone, lazy_gettext
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import ColumnElement, Row, Select, and_, exists, false, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ....extensions import db
from ....models import (
    Conversation,
    ConversationStatus,
    Draft,
    Follower,
    FollowerTag,
    Mention,
    MessageLog,
    Note,
    Operator,
    Presence,
    Role,
    Tag,
)
from ....services.accounts.capabilities import Feature
from ....services.conversations import actions
from ....services.messages import history
from ....services.outbox.answers import send_block
from ....services.outbox.window import (
    Window,
    compute_window,
    estimate_window,
    load_window,
    not_yet_closed,
    spent_since,
)
from ....services.search.index import FOLLOWERS, Query
from ....wiring import services
from .. import bp
from ..access import actor
from ..followers.sync import writes_back
from ..layout import catch_up
from ..media import preload_media
from ..messages import cursor, link

LIST_SIZE = 40
PAGE_SIZE = 50
"""Messages of a conversation on a page."""
PRESENCE_TIMEOUT = timedelta(seconds=20)
"""So long after the last sign of life an operator counts as looking."""
SEPARATOR = "\x1f"


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
    """Who waits longest comes first."""
    CLOSING = "closing"
    """Whose window closes soonest comes first, and nobody whose window is closed."""
    NEWEST = "newest"


SORTS = {
    Sort.WAITING: lazy_gettext("等得最久"),
    Sort.CLOSING: lazy_gettext("快到期"),
    Sort.NEWEST: lazy_gettext("最新"),
}


@dataclass(frozen=True)
class Listing:
    """A page of the list, and where the next one begins."""

    tab: Tab
    sort: Sort
    rows: Sequence[Row[Any]]
    following: int | None
    windows: Mapping[int, Window]
    """The open ones, by follower."""


def tags_of(follower_id: InstrumentedAttribute[int]) -> ColumnElement[str]:
    """A follower's tags as one value, so that a list needs no second query."""
    each = Tag.colour + ":" + func.cast(Tag.id, db.String) + ":" + Tag.name
    return (
        select(func.aggregate_strings(each, SEPARATOR))
        .join(FollowerTag, FollowerTag.tag_id == Tag.id)
        .where(FollowerTag.follower_id == follower_id)
        .scalar_subquery()
        .label("tags")
    )


@bp.app_template_filter("tags")
def tags(text: str | None) -> list[dict[str, str]]:
    """What `tags_of` found."""
    parts = (each.split(":", 2) for each in (text or "").split(SEPARATOR) if each)
    return sorted(({"colour": c, "id": i, "name": n} for c, i, n in parts), key=lambda tag: tag["name"])


@bp.get("/conversations")
def conversations() -> ResponseReturnValue:
    catch_up()
    return render_template(
        "admin/conversations.html",
        listing=listing(),
        tabs=TABS,
        sorts=SORTS,
        link=link,
        operators=assignable_operators(),
    )


@bp.get("/conversations/<int:follower_id>")
def conversation(follower_id: int) -> ResponseReturnValue:
    """The conversation beside the list, or by itself for a page that has the list already."""
    context = _conversation(follower_id)
    if "HX-Request" in request.headers:
        return render_template("admin/_conversation.html", **context)
    catch_up()
    return render_template(
        "admin/conversations.html", listing=listing(), tabs=TABS, sorts=SORTS, link=link, **context
    )


@bp.get("/conversations/<int:follower_id>/messages")
def conversation_messages(follower_id: int) -> ResponseReturnValue:
    """More of a conversation: what is older than `before`, or newer than `after`; 204 for nothing.

    `id` asks for messages again, whose state may have changed.
    """
    follower = find_follower(follower_id)
    if ids := request.args.getlist("id", type=int):
        page = history.reload_messages(db.session.connection(), follower_id, ids[:PAGE_SIZE])
        return _log(follower, page, ())
    page = history.conversation_page(
        db.session.connection(), follower_id, **cursor("before", "after"), limit=PAGE_SIZE
    )
    if "after" in request.args:
        actions.touch_presence(db.engine, current_user.id, follower_id, datetime.now(UTC))
        if not page.rows:
            return "", 204
        _mark_read(follower, page.rows)
    return _log(follower, page, _notes(follower_id, page))


def _log(follower: Any, page: history.MessagePage, notes: Sequence[Any]) -> ResponseReturnValue:
    preload_media(page.rows)
    return render_template(
        "admin/_log.html", follower=follower, page=page, items=timeline(page.rows, notes), query=None
    )


def listing() -> Listing:
    """The conversations that the query string asks for."""
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
        found = found.where(Conversation.follower_id.in_(FOLLOWERS.found(query, dialect)))
    rows = db.session.execute(_paged(found, sort).limit(LIST_SIZE + 1)).all()
    following = getattr(rows[LIST_SIZE - 1], _POSITIONS[sort]) if len(rows) > LIST_SIZE else None
    preload_media(rows[:LIST_SIZE])
    return Listing(tab, sort, rows[:LIST_SIZE], following, _windows(rows, now))


def _windows(rows: Sequence[Row[Any]], now: datetime) -> Mapping[int, Window]:
    """Those that are open, if the account may write at all."""
    capabilities = services().capabilities
    if not rows or not capabilities.allows(rows[0].account_id, Feature.CUSTOMER_SERVICE):
        return {}
    windows = {
        row.follower_id: estimate_window(row.subscribed, row.written_at, row.spent, now) for row in rows
    }
    return {follower_id: found for follower_id, found in windows.items() if not found.closed}


@bp.app_template_filter("list_place")
def list_place(args: Mapping[str, str]) -> dict[str, Any]:
    """Which part of the list a query string means, without what it says of the conversation."""
    return {name: args[name] for name in ("tab", "sort", "q", "list_before") if args.get(name)}


def _in_tab(tab: Tab) -> ColumnElement[bool]:
    match tab:
        case Tab.MINE:
            return and_(
                Conversation.assignee_id == current_user.id, Conversation.status != ConversationStatus.DONE
            )
        case Tab.STARRED:
            return Conversation.starred == true()
        case Tab.MENTIONS:
            return Conversation.follower_id.in_(select(Note.follower_id).join(Mention).where(*_unseen()))
        case Tab.ALL:
            return true()
        case _:
            return Conversation.status == ConversationStatus(tab.value)


def _unseen() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Mentions of the operator at the browser that they have not read."""
    return Mention.operator_id == current_user.id, Mention.seen_at.is_(None)


_POSITIONS = {Sort.WAITING: "follower_id", Sort.CLOSING: "last_in_id", Sort.NEWEST: "last_id"}
"""By what the end of a page is known."""


def _paged(found: Select[Any], sort: Sort) -> Select[Any]:
    """In order, from where the query string says."""
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


def _conversation(follower_id: int) -> dict[str, Any]:
    follower = find_follower(follower_id)
    place: dict[str, Any] = {**cursor("before", "after", "at")}
    if text := request.args.get("date"):
        try:
            place = {"day": date.fromisoformat(text)}
        except ValueError:
            abort(400, _("日期要写成 2026-11-01 这样。"))
    page = history.conversation_page(
        db.session.connection(), follower_id, **place, zone=get_timezone(), limit=PAGE_SIZE
    )
    query = Query.parse(request.args.get("find", "")[:200])
    if page.newer is None:
        _mark_read(follower, page.rows)
    found = _find(follower_id) if query else None
    preload_media([*page.rows, *(found.rows if found else [])])
    return {
        "follower": follower,
        "page": page,
        "items": timeline(page.rows, _notes(follower_id, page)),
        "here": place.get("at"),
        "query": query or None,
        "found": found,
        "operators": assignable_operators(follower_id),
        **composer(follower, page.rows if page.newer is None else None),
    }


def composer(follower: Any, newest: Sequence[Any] | None = None) -> dict[str, Any]:
    """Whether the follower can be answered, until when, or why not, as the `newest` messages tell."""
    now = datetime.now(UTC)
    if newest is None:
        found = load_window(db.session.connection(), follower.id, follower.subscribed, now)
    else:
        found = compute_window(follower.subscribed, newest, now)
    capabilities = services().capabilities
    permission = capabilities.permission(follower.account_id, Feature.CUSTOMER_SERVICE)
    return {"window": found, "permission": permission, "send_block": send_block(permission, found)}


def find_follower(follower_id: int) -> Any:
    found = (
        select(
            Follower.__table__,
            Conversation.status,
            Conversation.waiting_since,
            Conversation.starred,
            Conversation.assignee_id,
            Conversation.messages_in,
            Conversation.messages_out,
            Conversation.read_id,
            tags_of(Follower.id),
            select(Draft.text)
            .where(Draft.follower_id == Follower.id, Draft.operator_id == current_user.id)
            .scalar_subquery()
            .label("draft"),
            exists()
            .where(Note.follower_id == Follower.id, Mention.note_id == Note.id, *_unseen())
            .label("mentions_me"),
        )
        .outerjoin(Conversation, Conversation.follower_id == Follower.id)
        .where(Follower.id == follower_id)
    )
    return db.session.execute(found).one_or_none() or abort(404, _("没有这个粉丝。"))


def assignable_operators(follower_id: int | None = None) -> Sequence[Any]:
    """Operators to whom conversations can be given, and who of the others looks at this one."""
    recent = datetime.now(UTC) - PRESENCE_TIMEOUT
    here = (Presence.operator_id == Operator.id, Presence.follower_id == follower_id)
    writing = (Draft.operator_id == Operator.id, Draft.follower_id == follower_id)
    found = select(
        Operator.id,
        Operator.name,
        Presence.seen_at.is_not(None).label("present"),
        Draft.written_at.is_not(None).label("writing"),
    ).select_from(Operator)
    found = found.outerjoin(Presence, and_(*here, Presence.seen_at > recent) if follower_id else false())
    found = found.outerjoin(Draft, and_(*writing, Draft.written_at > recent) if follower_id else false())
    found = found.where(Operator.disabled == false()).order_by(Operator.name)
    return db.session.execute(found).all()


def _notes(follower_id: int, page: history.MessagePage) -> Sequence[Row[Any]]:
    """The notes that were written between the first and the last message of `page`."""
    found = (
        select(Note.__table__, Operator.name.label("author"))
        .join(Operator, Operator.id == Note.operator_id)
        .where(Note.follower_id == follower_id)
    )
    times = [row.received_at for row in page.rows]
    if page.older and times:
        found = found.where(Note.created_at >= min(times))
    if page.newer and times:
        found = found.where(Note.created_at < max(times))
    return db.session.execute(found.order_by(Note.created_at)).all()


def _find(follower_id: int) -> history.MessagePage:
    chosen = history.MessageFilter(q=request.args["find"][:200], follower=follower_id)
    return history.page(db.session.connection(), chosen, limit=PAGE_SIZE)


def _mark_read(follower: Any, rows: Sequence[Any]) -> None:
    """What is shown has been seen, if by somebody who works on it."""
    newest = max((row.id for row in rows), default=0)
    unread = newest > (follower.read_id or 0) or follower.mentions_me
    if unread and Role(current_user.role).includes(Role.OPERATOR):
        actions.mark_read(db.engine, current_user.id, follower.id, newest)


@dataclass(frozen=True)
class TimelineEntry:
    """Something in the course of a conversation: a day, a message, events of one kind, or a note."""

    kind: str
    time: datetime
    value: Any


def timeline(rows: Iterable[Any], notes: Iterable[Any]) -> list[TimelineEntry]:
    """Messages and notes in the order of time, with a line for each day of the operator's."""
    zone, entries, day = get_timezone(), [], None
    found = [(row.received_at, 0, row) for row in rows] + [(note.created_at, 1, note) for note in notes]
    for time, is_note, value in sorted(found, key=lambda each: (each[0], each[1], each[2].id)):
        if (its := time.astimezone(zone).date()) != day:
            day = its
            entries.append(TimelineEntry("day", time, its))
        if is_note:
            entries.append(TimelineEntry("note", time, value))
        elif value.kind != "event":
            entries.append(TimelineEntry("message", time, value))
        elif entries[-1].kind == "events" and entries[-1].value[0].event == value.event:
            entries[-1].value.append(value)
        else:
            entries.append(TimelineEntry("events", time, [value]))
    return entries


# What operators do


def back(follower_id: int) -> ResponseReturnValue:
    """To the conversation, beside the list that was there."""
    return redirect(url_for("admin.conversation", follower_id=follower_id, **_place_before()), 303)


def _place_before() -> dict[str, Any]:
    """Which part of the list the page with the form showed."""
    return list_place(dict(parse_qsl(urlsplit(request.referrer or "").query)))


@bp.post("/conversations/<int:follower_id>/status")
def change_status(follower_id: int) -> ResponseReturnValue:
    actions.set_status(db.engine, actor(), [follower_id], _status(request.form["status"]))
    return back(follower_id)


@bp.post("/conversations/<int:follower_id>/assignee")
def change_assignee(follower_id: int) -> ResponseReturnValue:
    _assign([follower_id])
    return back(follower_id)


@bp.post("/conversations/<int:follower_id>/star")
def change_star(follower_id: int) -> ResponseReturnValue:
    actions.star(db.engine, actor(), [follower_id], request.form["starred"] == "1")
    return back(follower_id)


@bp.post("/conversations/<int:follower_id>/notes")
def add_note(follower_id: int) -> ResponseReturnValue:
    try:
        actions.add_note(db.engine, actor(), follower_id, request.form["text"])
    except ValueError:
        abort(400, _("笔记要有 1 到 %(count)s 个字。", count=actions.MAX_NOTE))
    except LookupError:
        abort(404, _("没有这个粉丝。"))
    return back(follower_id)


@bp.post("/conversations/bulk")
def change_many() -> ResponseReturnValue:
    """One action for all conversations that are ticked."""
    ids = request.form.getlist("id", type=int)
    match request.form["action"]:
        case "status":
            actions.set_status(db.engine, actor(), ids, _status(request.form["status"]))
        case "assign":
            _assign(ids)
        case "star":
            actions.star(db.engine, actor(), ids, True)
        case "tag":
            actions.tag(db.engine, actor(), ids, request.form["tag"], write_back=writes_back())
        case _:
            abort(400, _("没有这个操作。"))
    return redirect(url_for("admin.conversations", **_place_before()), 303)


def _status(text: str) -> ConversationStatus:
    try:
        return ConversationStatus(text)
    except ValueError:
        abort(400, _("没有这个状态。"))


def _assign(ids: Sequence[int]) -> None:
    try:
        wanted = request.form["assignee"]
        actions.assign(db.engine, actor(), ids, int(wanted) if wanted else None)
    except (ValueError, LookupError):
        abort(400, _("没有这个操作员。"))
