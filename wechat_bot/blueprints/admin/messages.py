"""The list of all messages with filters and search, one message, and exports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone, lazy_gettext
from flask_babel import gettext as _
from sqlalchemy import select

from ...extensions import db
from ...models import Direction, Follower, MessageLog, Role, Tag
from ...services import audit
from ...services.media.archive import MEDIA_FIELDS
from ...services.messages import export, history
from ...services.messages.filters import FilterError, MessageFilter
from ...services.messages.history import Facets, MessagePage
from ...services.search.index import FOLLOWERS
from ...services.search.tokens import Query
from ...wiring import services
from ..shared.display import name as name_of
from ..shared.labels import STATE_MEANINGS, WORDS
from .access import actor, role
from .layout import catch_up
from .media import preload_media
from .paging import cursor, kept, link, searched
from .profile import save_preferences

bp = Blueprint("messages", __name__)

PAGE_SIZE = 50
MAX_CHOICES = 8
MIMETYPES = {"csv": "text/csv", "jsonl": "application/jsonl"}
OPTIONAL_COLUMNS = {
    "state": lazy_gettext("状态"),
    "latency_ms": lazy_gettext("用时"),
    "platform_id": lazy_gettext("MsgId"),
    "openid": lazy_gettext("OpenID"),
}
FILTER_ERRORS = {
    "from": lazy_gettext("开始日期要写成 2026-11-01 这样。"),
    "to": lazy_gettext("结束日期要写成 2026-11-01 这样，而且不早于开始日期。"),
    "follower": lazy_gettext("没有这个粉丝。"),
    "tag": lazy_gettext("没有这个标签。"),
}


def chosen_filter() -> MessageFilter:
    """Return the filter in the query string; abort with 400 if it is invalid."""
    searched("q")
    try:
        return MessageFilter.parse(request.args, get_timezone())
    except FilterError as error:
        abort(400, FILTER_ERRORS.get(error.field, _("筛选条件 %(name)s 无效。", name=error.field)))


@bp.get("/messages")
def index() -> ResponseReturnValue:
    catch_up()
    chosen = chosen_filter()
    page = _page(chosen)
    facets = history.facets(db.session.connection(), services().account_id, chosen)
    preload_media(page.rows)
    return render_template(
        "admin/messages.html",
        page=page,
        facets=facets,
        chosen=chosen,
        query=Query.parse(chosen.q),
        sentence=describe(chosen, facets),
        chips=chips(chosen, page.rows),
        periods=periods(),
        with_files=",".join(MEDIA_FIELDS),
        kept=kept(),
        choices=_choices() if "whose" in request.args else None,
        options=OPTIONAL_COLUMNS,
        older=page.older and link(before=page.older),
        newer=page.newer and link(after=page.newer),
    )


def _page(chosen: MessageFilter) -> MessagePage:
    connection, account_id = db.session.connection(), services().account_id
    return history.page(connection, account_id, chosen, **cursor("before", "after"), limit=PAGE_SIZE)


@bp.get("/messages/arrived")
def arrived() -> ResponseReturnValue:
    """Return how many messages match and are newer than `after`, up to one page, for an open list."""
    catch_up()
    page = _page(chosen_filter())
    return jsonify(count=f"{len(page.rows)}{'+' if page.newer else ''}" if page.rows else "")


@bp.get("/messages/choices")
def choices() -> ResponseReturnValue:
    """Render links that filter by a follower or a tag whose name contains the parameter `whose`."""
    return render_template("admin/_choices.html", choices=_choices(), kept=kept())


def _choices() -> dict[str, Any]:
    text = searched("whose")
    query = Query.parse(text)
    account_id = services().account_id
    tags = select(Tag.id, Tag.name, Tag.colour).where(Tag.account_id == account_id).order_by(Tag.name)
    followers = select(Follower.id, Follower.openid, Follower.alias).where(Follower.account_id == account_id)
    if query:
        tags = tags.where(Tag.name.contains(text.strip(), autoescape=True))
        followers = followers.where(Follower.id.in_(FOLLOWERS.matching_ids(query, db.engine.dialect.name)))
    newest = followers.order_by(Follower.id.desc())
    return {
        "tags": db.session.execute(tags.limit(MAX_CHOICES)).all(),
        "followers": db.session.execute(newest.limit(MAX_CHOICES)).all() if query else [],
        "asked": bool(query),
    }


@bp.get("/messages.json")
@role(Role.OPERATOR)
def index_json() -> ResponseReturnValue:
    """Return one page of the list for programs, which is an export like the files."""
    catch_up()
    page = _page(chosen_filter())
    record_export("json")
    return jsonify(
        messages=[_as_json(row) for row in page.rows],
        older=page.older and link(before=page.older),
        newer=page.newer and link(after=page.newer),
    )


@bp.get("/messages.csv", endpoint="export_csv")
@bp.get("/messages.jsonl", endpoint="export_jsonl")
@role(Role.OPERATOR)
def download() -> ResponseReturnValue:
    chosen, format_ = chosen_filter(), request.path.rpartition(".")[2]
    catch_up()
    record_export(format_)
    pieces = export.stream(
        db.engine, services().account_id, chosen, format_, bom="bom" in request.args, zone=get_timezone()
    )
    headers = {"Content-Disposition": f"attachment; filename=messages.{format_}"}
    return Response(pieces, mimetype=MIMETYPES[format_], headers=headers)


def record_export(format_: str) -> None:
    """Record in the audit log that what the query string selects was exported."""
    query = request.query_string.decode(errors="replace")
    audit.record_now(db.engine, actor(), "exported", detail=f"{format_}: {query[:1000]}")


@bp.get("/messages/<int:message_id>")
def show(message_id: int) -> ResponseReturnValue:
    row = _message(message_id)
    around = history.around(db.session.connection(), services().account_id, message_id)
    preload_media([row, *around])
    in_drawer = "HX-Request" in request.headers
    return render_template(
        "admin/_message_detail.html" if in_drawer else "admin/message.html",
        in_drawer=in_drawer,
        message=row,
        around=around,
        state_meanings=STATE_MEANINGS,
    )


@bp.app_template_filter("answers")
def answers(reply: Any, message: Any) -> bool:
    """Whether `reply` was stored as the reply to the push `message`."""
    if reply.direction != Direction.OUT or message.direction != Direction.IN:
        return False
    return bool(message.dedup_key and (reply.dedup_key or "").startswith(message.dedup_key))


@bp.get("/messages/<int:message_id>/raw")
@role(Role.ADMIN)
def show_raw(message_id: int) -> ResponseReturnValue:
    """Render every stored field, and record the access in the audit log."""
    row = _message(message_id)
    audit.record_now(db.engine, actor(), "raw_viewed", f"message:{message_id}")
    return render_template("admin/message_raw.html", message=row, columns=MessageLog.__table__.columns)


def _message(message_id: int) -> Any:
    found = (
        select(MessageLog.__table__, Follower.openid, Follower.alias)
        .outerjoin(Follower, Follower.id == MessageLog.follower_id)
        .where(MessageLog.id == message_id, MessageLog.account_id == services().account_id)
    )
    return db.session.execute(found).one_or_none() or abort(404, _("没有这条消息。"))


def _as_json(row: Any) -> dict[str, Any]:
    names = ("id", "direction", "openid", "alias", "kind", "event", "text", "state", "origin")
    return {name: getattr(row, name) for name in names} | {
        "created_at": row.created_at.isoformat(),
        "url": url_for("admin.messages.show", message_id=row.id),
    }


def describe(chosen: MessageFilter, facets: Facets) -> str:
    """Return a sentence that describes the filter and the number of messages."""
    count = f"{facets.total:,}+" if facets.capped else f"{facets.total:,}"
    period = ""
    if chosen.since and chosen.until:
        period = _("%(since)s 至 %(until)s ", since=chosen.since, until=chosen.until)
    elif chosen.since:
        period = _("%(since)s 起", since=chosen.since)
    elif chosen.until:
        period = _("%(until)s 止", until=chosen.until)
    direction = {"": "", Direction.IN: _("收到的"), Direction.OUT: _("发出的")}[chosen.direction]
    contains = _("包含“%(q)s”的", q=chosen.q) if chosen.q else ""
    kind = _("%(kind)s消息", kind=_kinds(chosen)) if chosen.kind else _("消息")
    words = {"period": period, "direction": direction, "contains": contains, "kind": kind, "count": count}
    return str(_("%(period)s%(direction)s%(contains)s%(kind)s，%(count)s 条", **words))


def chips(chosen: MessageFilter, rows: Sequence[Any]) -> list[tuple[str, str]]:
    """Return each condition in words with the URL of the list without it. `rows` match the filter."""
    words: dict[str, Any] = {
        "q": chosen.q and f"“{chosen.q}”",
        "direction": WORDS["directions"].get(chosen.direction, chosen.direction),
        "kind": _kinds(chosen),
        "event": WORDS["events"].get(chosen.event, chosen.event),
        "state": WORDS["states"].get(chosen.state, chosen.state),
        "origin": chosen.origin,
        "from": chosen.since and _("从 %(date)s", date=chosen.since),
        "to": chosen.until and _("到 %(date)s", date=chosen.until),
        "follower": chosen.follower and _follower_name(chosen.follower, rows),
        "tag": chosen.tag and _tag_name(chosen.tag),
    }
    return [(str(word), link(**{name: None})) for name, word in words.items() if word]


def periods() -> list[tuple[str, date, date]]:
    """Return periods to choose from: label, first and last day, in the operator's time zone."""
    today = datetime.now(get_timezone()).date()
    yesterday = today - timedelta(days=1)
    return [
        (_("今天"), today, today),
        (_("昨天"), yesterday, yesterday),
        (_("近 7 天"), today - timedelta(days=6), today),
        (_("近 30 天"), today - timedelta(days=29), today),
    ]


def _kinds(chosen: MessageFilter) -> str:
    if set(chosen.kinds) == set(MEDIA_FIELDS):
        return str(_("带文件的"))
    return " / ".join(str(WORDS["kinds"].get(kind, kind)) for kind in chosen.kinds)


def _tag_name(tag_id: int) -> str | None:
    of_account = Tag.id == tag_id, Tag.account_id == services().account_id
    return db.session.scalar(select(Tag.name).where(*of_account))


def _follower_name(follower_id: int, rows: Sequence[Any]) -> str:
    of_account = Follower.id == follower_id, Follower.account_id == services().account_id
    follower = rows[0] if rows else db.session.scalar(select(Follower).where(*of_account))
    return name_of(follower) if follower else f"#{follower_id}"


@bp.post("/messages/columns")
@role(Role.VIEWER)
def update_columns() -> ResponseReturnValue:
    columns = [name for name in request.form.getlist("column") if name in OPTIONAL_COLUMNS]
    save_preferences(columns=columns, dense="dense" in request.form)
    return redirect(url_for("admin.messages.index"), 303)
