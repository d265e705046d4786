"""Followers: who they are, as far as anybody can know, and what happened with each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy import ColumnElement, Row, Select, exists, false, func, or_, select, true

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
)
from ....services.conversations import actions as desk
from ....services.followers.write_back import MAX_ATTEMPTS, REMARK
from ....services.media.archive import MEDIA_FIELDS
from ....services.messages import history
from ....services.messages.filters import MessageFilter
from ....services.search.index import FOLLOWERS, Query
from .. import bp
from ..access import actor
from ..audit import ACTIONS
from ..conversations.views import TimelineEntry, back, tags_of
from ..layout import catch_up
from ..media import preload_media
from ..messages import cursor, link
from .sync import progress, writes_back

PAGE_SIZE = 50
MAX_TIMELINE_ENTRIES = 100
MAX_FILES = 12
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
"""How followers found the account, in the platform's words and in ours."""
STATES = {"following": lazy_gettext("已关注"), "left": lazy_gettext("已取消关注")}


@bp.get("/followers")
def followers() -> ResponseReturnValue:
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
        link=link,
        sync=progress(),
    )


@bp.get("/followers/<int:follower_id>")
def follower(follower_id: int) -> ResponseReturnValue:
    catch_up()
    found = _listed().where(Follower.id == follower_id)
    row = db.session.execute(found).one_or_none() or abort(404, _("没有这个粉丝。"))
    untold = _untold(follower_id)
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
        story=_story(follower_id),
        notes=_notes(follower_id),
        actions=ACTIONS,
        untold=untold,
        tag_names=_tag_names(untold),
        max_attempts=MAX_ATTEMPTS,
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
    """With the conditions of the query string; 400 with a sentence for those that make no sense."""
    for name, condition in _CONDITIONS.items():
        if text := request.args.get(name):
            found = found.where(condition(text))
    return found


def _has_words(text: str) -> ColumnElement[bool]:
    query = Query.parse(text[:200])
    if not query:
        return true()
    return or_(
        Follower.id.in_(FOLLOWERS.found(query, db.engine.dialect.name)),
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


def _story(follower_id: int) -> list[TimelineEntry]:
    """What happened with a follower, newest first: messages and events, notes, and what operators changed."""
    messages = select(MessageLog).where(MessageLog.follower_id == follower_id).order_by(MessageLog.id.desc())
    changes = (
        select(AuditEntry)
        .where(AuditEntry.subject == desk.subject(follower_id), AuditEntry.action != "note_added")
        .order_by(AuditEntry.id.desc())
    )
    told = db.session.scalars(messages.limit(MAX_TIMELINE_ENTRIES)).all()
    preload_media(told)
    entries = [TimelineEntry("message", row.received_at, row) for row in told]
    entries += [
        TimelineEntry("change", row.at, row)
        for row in db.session.scalars(changes.limit(MAX_TIMELINE_ENTRIES))
    ]
    entries += [TimelineEntry("note", note.created_at, note) for note in _notes(follower_id)]
    return sorted(entries, key=lambda entry: entry.time, reverse=True)[:MAX_TIMELINE_ENTRIES]


def _notes(follower_id: int) -> Sequence[Row[Any]]:
    return db.session.execute(
        select(Note.__table__, Operator.name.label("author"))
        .join(Operator, Operator.id == Note.operator_id)
        .where(Note.follower_id == follower_id)
        .order_by(Note.created_at.desc())
        .limit(MAX_TIMELINE_ENTRIES)
    ).all()


def _untold(follower_id: int) -> Sequence[PendingUpdate]:
    """What the platform does not know yet."""
    of_follower = select(PendingUpdate).where(PendingUpdate.follower_id == follower_id)
    return db.session.scalars(of_follower.order_by(PendingUpdate.id)).all()


def _tag_names(changes: Sequence[PendingUpdate]) -> dict[int, str]:
    """Names of the tags that changes are about."""
    ids = [int(change.value) for change in changes if change.what != REMARK]
    found = select(Tag.id, Tag.name).where(Tag.id.in_(ids))
    return {row.id: row.name for row in db.session.execute(found)} if ids else {}


# What operators do


def _back(follower_id: int) -> ResponseReturnValue:
    """To the page on which the form was, if that was the follower's."""
    came_from = (request.referrer or "").partition("?")[0]
    if came_from.endswith(f"/followers/{follower_id}"):
        return redirect(url_for("admin.follower", follower_id=follower_id), 303)
    return back(follower_id)


@bp.post("/followers/<int:follower_id>/alias")
def rename(follower_id: int) -> ResponseReturnValue:
    desk.rename(db.engine, actor(), follower_id, request.form["alias"], write_back=writes_back())
    return _back(follower_id)


@bp.post("/followers/<int:follower_id>/tags")
def tag(follower_id: int) -> ResponseReturnValue:
    desk.tag(db.engine, actor(), [follower_id], request.form["tag"], write_back=writes_back())
    return _back(follower_id)


@bp.post("/followers/<int:follower_id>/tags/<int:tag_id>/remove")
def untag(follower_id: int, tag_id: int) -> ResponseReturnValue:
    desk.untag(db.engine, actor(), [follower_id], tag_id, write_back=writes_back())
    return _back(follower_id)


@bp.post("/followers/bulk")
def tag_many() -> ResponseReturnValue:
    """Put a tag on all followers that are ticked."""
    ids = request.form.getlist("id", type=int)
    desk.tag(db.engine, actor(), ids, request.form["tag"], write_back=writes_back())
    return redirect(url_for("admin.followers"), 303)
