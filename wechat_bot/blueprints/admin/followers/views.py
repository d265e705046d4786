"""Pages of followers: the list, one follower with a timeline, aliases and tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy import ColumnElement, Row, Select, exists, false, func, or_, select, true

from ....application import row_id
from ....extensions import db
from ....models import (
    AuditEntry,
    Conversation,
    Follower,
    FollowerTag,
    MessageLog,
    Note,
    Operator,
    PendingUpdate,
    Tag,
    UpdateKind,
)
from ....services.conversations.queries import tags_of
from ....services.followers import profiles, write_back
from ....services.media.archive import MEDIA_FIELDS
from ....services.messages import history
from ....services.messages.filters import MessageFilter
from ....services.search.index import FOLLOWERS
from ....services.search.tokens import Query
from ....wiring import services
from ...shared.labels import ACTIONS
from ..access import actor
from ..conversations.timeline import TimelineEntry, select_notes
from ..conversations.views import back
from ..layout import catch_up
from ..media import preload_media
from ..paging import cursor, link
from .sync import progress

bp = Blueprint("followers", __name__)

PAGE_SIZE = 50
MAX_TIMELINE_ENTRIES = 100
MAX_FILES = 12
"""Upper limit of a follower's latest messages with files."""
SPOKEN = {
    "day": lazy_gettext("24 小时内"),
    "week": lazy_gettext("7 天内"),
    "month": lazy_gettext("30 天内"),
    "never": lazy_gettext("从未说话"),
}
_DAYS = {"day": 1, "week": 7, "month": 30}
SOURCES = {
    "ADD_SCENE_SEARCH": lazy_gettext("公众号搜索"),
    "ADD_SCENE_ACCOUNT_MIGRATION": lazy_gettext("公众号迁移"),
    "ADD_SCENE_PROFILE_CARD": lazy_gettext("名片分享"),
    "ADD_SCENE_QR_CODE": lazy_gettext("扫描二维码"),
    "ADD_SCENE_PROFILE_LINK": lazy_gettext("文章里的名称"),
    "ADD_SCENE_PROFILE_ITEM": lazy_gettext("文章右上角菜单"),
    "ADD_SCENE_PAID": lazy_gettext("支付后关注"),
    "ADD_SCENE_WECHAT_ADVERTISEMENT": lazy_gettext("微信广告"),
    "ADD_SCENE_REPRINT": lazy_gettext("他人转载"),
    "ADD_SCENE_LIVESTREAM": lazy_gettext("视频号直播"),
    "ADD_SCENE_CHANNELS": lazy_gettext("视频号"),
    "ADD_SCENE_WXA": lazy_gettext("小程序"),
    "ADD_SCENE_OTHERS": lazy_gettext("其他"),
}
"""How followers found the account, by the platform's value."""
STATES = {"following": lazy_gettext("已关注"), "left": lazy_gettext("已取消关注")}


@bp.get("/followers")
def index() -> ResponseReturnValue:
    catch_up()
    rows = db.session.execute(_paged(_filtered(_listed()))).all()
    newer_first = "after" in request.args
    rows, more = rows[:PAGE_SIZE], len(rows) > PAGE_SIZE
    if newer_first:
        rows = rows[::-1]
    has_older, has_newer = (True, more) if newer_first else (more, "before" in request.args)
    return render_template(
        "admin/followers.html",
        rows=rows,
        older=link(before=rows[-1].id) if rows and has_older else None,
        newer=link(after=rows[0].id) if rows and has_newer else None,
        all_tags=_all_tags(),
        spoken=SPOKEN,
        states=STATES,
        sync=progress(),
    )


@bp.get("/followers/<int:follower_id>")
def show(follower_id: int) -> ResponseReturnValue:
    catch_up()
    found = _listed().where(Follower.id == follower_id)
    row = db.session.execute(found).one_or_none() or abort(404, _("没有这个粉丝。"))
    pending_updates = _pending_updates(follower_id)
    kinds = ",".join(MEDIA_FIELDS)
    files = history.page(
        db.session.connection(), MessageFilter(follower=follower_id, kind=kinds), limit=MAX_FILES
    ).rows
    preload_media(files)
    return render_template(
        "admin/follower.html",
        follower=row,
        files=files,
        with_files=kinds,
        timeline=_timeline(follower_id),
        notes=_notes(follower_id),
        actions=ACTIONS,
        pending_updates=pending_updates,
        tag_names=_tag_names(pending_updates),
        max_attempts=write_back.MAX_ATTEMPTS,
        sources=SOURCES,
    )


def _listed() -> Select[Any]:
    return select(
        Follower.__table__,
        Conversation.messages_in,
        Conversation.messages_out,
        Conversation.status,
        Conversation.starred,
        Operator.name.label("assignee"),
        tags_of(Follower.id),
    ).select_from(
        Follower.__table__.outerjoin(
            Conversation.__table__, Conversation.follower_id == Follower.id
        ).outerjoin(Operator.__table__, Operator.id == Conversation.assignee_id)
    )


def _filtered(found: Select[Any]) -> Select[Any]:
    """Apply the filter in the query string; abort with 400 if it is invalid."""
    for name, condition in _CONDITIONS.items():
        if text := request.args.get(name):
            found = found.where(condition(text))
    return found


def _has_words(text: str) -> ColumnElement[bool]:
    query = Query.parse(text[:200])
    if not query:
        return true()
    return or_(
        Follower.id.in_(FOLLOWERS.matching_ids(query, db.engine.dialect.name)),
        Follower.openid == text.strip(),
    )


def _has_tag(text: str) -> ColumnElement[bool]:
    if not (text.isascii() and text.isdigit()):
        abort(400, _("没有这个标签。"))
    return exists().where(FollowerTag.follower_id == Follower.id, FollowerTag.tag_id == int(text[:18]))


def _has_state(text: str) -> ColumnElement[bool]:
    if text not in STATES:
        abort(400, _("没有这个状态。"))
    return Follower.subscribed == (true() if text == "following" else false())


def _has_spoken(text: str) -> ColumnElement[bool]:
    if text == "never":
        return func.coalesce(Conversation.messages_in, 0) == 0
    if text not in _DAYS:
        abort(400, _("没有这个期间。"))
    return Follower.last_seen_at > datetime.now(UTC) - timedelta(days=_DAYS[text])


_CONDITIONS: dict[str, Callable[[str], ColumnElement[bool]]] = {
    "q": _has_words,
    "tag": _has_tag,
    "state": _has_state,
    "spoken": _has_spoken,
    "scene": lambda text: Follower.scene == text,
}


def _paged(found: Select[Any]) -> Select[Any]:
    place = cursor("before", "after")
    if "after" in place:
        return found.where(Follower.id > place["after"]).order_by(Follower.id).limit(PAGE_SIZE + 1)
    if "before" in place:
        found = found.where(Follower.id < place["before"])
    return found.order_by(Follower.id.desc()).limit(PAGE_SIZE + 1)


def _all_tags() -> Sequence[Any]:
    return db.session.execute(
        select(Tag.id, Tag.name, Tag.colour, func.count(FollowerTag.follower_id).label("count"))
        .outerjoin(FollowerTag, FollowerTag.tag_id == Tag.id)
        .group_by(Tag.id, Tag.name, Tag.colour)
        .order_by(Tag.name)
    ).all()


def _timeline(follower_id: int) -> list[TimelineEntry]:
    """Return messages, notes and changes by operators of a follower, newest first."""
    messages = select(MessageLog).where(MessageLog.follower_id == follower_id).order_by(MessageLog.id.desc())
    changes = (
        select(AuditEntry)
        .where(AuditEntry.subject == profiles.subject(follower_id), AuditEntry.action != "note_added")
        .order_by(AuditEntry.id.desc())
    )
    rows = db.session.scalars(messages.limit(MAX_TIMELINE_ENTRIES)).all()
    preload_media(rows)
    entries = [TimelineEntry("message", row.received_at, row) for row in rows]
    entries += [
        TimelineEntry("change", row.at, row)
        for row in db.session.scalars(changes.limit(MAX_TIMELINE_ENTRIES))
    ]
    entries += [TimelineEntry("note", note.created_at, note) for note in _notes(follower_id)]
    return sorted(entries, key=lambda entry: entry.time, reverse=True)[:MAX_TIMELINE_ENTRIES]


def _notes(follower_id: int) -> Sequence[Row[Any]]:
    newest = select_notes(follower_id).order_by(Note.created_at.desc())
    return db.session.execute(newest.limit(MAX_TIMELINE_ENTRIES)).all()


def _pending_updates(follower_id: int) -> Sequence[PendingUpdate]:
    of_follower = select(PendingUpdate).where(PendingUpdate.follower_id == follower_id)
    return db.session.scalars(of_follower.order_by(PendingUpdate.id)).all()


def _tag_names(changes: Sequence[PendingUpdate]) -> dict[int, str]:
    ids = [int(change.value) for change in changes if change.kind != UpdateKind.REMARK]
    found = select(Tag.id, Tag.name).where(Tag.id.in_(ids))
    return {row.id: row.name for row in db.session.execute(found)} if ids else {}


# Actions


def _back(follower_id: int) -> ResponseReturnValue:
    """Redirect to the page from which the form was sent: the follower's, or the conversation."""
    came_from = (request.referrer or "").partition("?")[0]
    if came_from.endswith(f"/followers/{follower_id}"):
        return redirect(url_for("admin.followers.show", follower_id=follower_id), 303)
    return back(follower_id)


@bp.post("/followers/<int:follower_id>/alias")
def rename(follower_id: int) -> ResponseReturnValue:
    profiles.rename(db.engine, services().capabilities, actor(), follower_id, request.form["alias"])
    return _back(follower_id)


@bp.post("/followers/<int:follower_id>/tags")
def tag(follower_id: int) -> ResponseReturnValue:
    profiles.tag(db.engine, services().capabilities, actor(), [follower_id], request.form["tag"])
    return _back(follower_id)


@bp.post("/followers/<int:follower_id>/tags/<int:tag_id>/remove")
def untag(follower_id: int, tag_id: int) -> ResponseReturnValue:
    profiles.untag(db.engine, services().capabilities, actor(), [follower_id], tag_id)
    return _back(follower_id)


@bp.post("/followers/<int:follower_id>/writebacks")
def retry_updates(follower_id: int) -> ResponseReturnValue:
    """Send the changes again that the platform refused."""
    write_back.try_again(db.engine, follower_id)
    return redirect(url_for("admin.followers.show", follower_id=follower_id), 303)


@bp.post("/followers/bulk")
def tag_many() -> ResponseReturnValue:
    ids = request.form.getlist("id", type=row_id)
    profiles.tag(db.engine, services().capabilities, actor(), ids, request.form["tag"])
    return redirect(url_for("admin.followers.index"), 303)
