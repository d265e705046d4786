"""The history: every message, to filter, to search, to read and to take away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask import Response, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone, lazy_gettext
from flask_babel import gettext as _
from sqlalchemy import select

from ...extensions import db
from ...models import Direction, Follower, MessageLog, Role, Tag
from ...services import audit
from ...services.media.archive import MEDIA_FIELDS
from ...services.messages import export, history
from ...services.messages.history import Facets, FilterError, MessageFilter
from ...services.search.index import FOLLOWERS, Query
from ..shared.display import name as name_of
from . import bp
from .access import actor, role
from .layout import WORDS, catch_up
from .media import preload_media
from .profile import save_preferences

PAGE_SIZE = 50
MAX_CHOICES = 8
OPTIONAL_COLUMNS = {
    "state": lazy_gettext("状态"),
    "latency_ms": lazy_gettext("用时"),
    "platform_id": lazy_gettext("MsgId"),
    "openid": lazy_gettext("OpenID"),
}
REASONS = {
    "q": lazy_gettext("搜索词太长。"),
    "from": lazy_gettext("开始日期要写成 2026-11-01 这样。"),
    "to": lazy_gettext("结束日期要写成 2026-11-01 这样，而且不早于开始日期。"),
    "follower": lazy_gettext("没有这个粉丝。"),
    "tag": lazy_gettext("没有这个标签。"),
}


def chosen_filter() -> MessageFilter:
    """What the query string asks for; 400 with a sentence when that makes no sense."""
    try:
        return MessageFilter.parse(request.args, get_timezone())
    except FilterError as error:
        abort(400, REASONS.get(error.field, _("筛选条件 %(name)s 无效。", name=error.field)))


def cursor(*names: str) -> dict[str, Any]:
    """The ids in the query string between which a page lies; 400 when they are none."""
    given = {name: request.args[name] for name in names if request.args.get(name)}
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in given.values()):
        abort(400, _("翻页的位置无效，请从第一页开始。"))
    return {name: int(text) for name, text in given.items()}


_PASSING = {"before", "after", "list_before", "lang", "whose"}


def kept() -> dict[str, str]:
    """The filter in the query string, without what is asked for once."""
    return {name: value for name, value in request.args.items() if name not in _PASSING}


def link(**changes: Any) -> str:
    """This page with another filter, from its beginning."""
    wanted = {name: value for name, value in {**kept(), **changes}.items() if value not in {None, ""}}
    return url_for(request.endpoint or "", **(request.view_args or {}), **wanted)


@bp.get("/messages")
def messages() -> ResponseReturnValue:
    catch_up()
    chosen = chosen_filter()
    connection = db.session.connection()
    page = history.page(connection, chosen, **cursor("before", "after"), limit=PAGE_SIZE)
    facets = history.facets(connection, chosen)
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
        link=link,
        older=page.older and link(before=page.older),
        newer=page.newer and link(after=page.newer),
    )


@bp.get("/messages/choices")
def message_choices() -> ResponseReturnValue:
    """Links to the messages of followers, or of those with a tag, that are called as `whose` says."""
    return render_template("admin/_choices.html", choices=_choices(), kept=kept())


def _choices() -> dict[str, Any]:
    text = request.args.get("whose", "")[:200]
    query = Query.parse(text)
    tags = select(Tag.id, Tag.name, Tag.colour).order_by(Tag.name).limit(MAX_CHOICES)
    followers = (
        select(Follower.id, Follower.openid, Follower.alias).order_by(Follower.id.desc()).limit(MAX_CHOICES)
    )
    if query:
        tags = tags.where(Tag.name.contains(text.strip(), autoescape=True))
        followers = followers.where(Follower.id.in_(FOLLOWERS.found(query, db.engine.dialect.name)))
    return {
        "tags": db.session.execute(tags).all(),
        "followers": db.session.execute(followers).all() if query else [],
        "asked": bool(query),
    }


@bp.get("/messages.json")
def messages_json() -> ResponseReturnValue:
    catch_up()
    page = history.page(
        db.session.connection(), chosen_filter(), **cursor("before", "after"), limit=PAGE_SIZE
    )
    return jsonify(
        messages=[_as_json(row) for row in page.rows],
        older=page.older and link(before=page.older),
        newer=page.newer and link(after=page.newer),
    )


@bp.get("/messages.csv")
@role(Role.OPERATOR)
def messages_csv() -> ResponseReturnValue:
    return _export("csv", "text/csv")


@bp.get("/messages.jsonl")
@role(Role.OPERATOR)
def messages_jsonl() -> ResponseReturnValue:
    return _export("jsonl", "application/jsonl")


@bp.get("/messages/<int:message_id>")
def message(message_id: int) -> ResponseReturnValue:
    row = _message(message_id)
    around = history.around(db.session.connection(), message_id)
    preload_media([row, *around])
    name = "_message_detail" if "HX-Request" in request.headers else "message"
    return render_template(f"admin/{name}.html", message=row, around=around)


@bp.get("/messages/<int:message_id>/raw")
@role(Role.ADMIN)
def message_raw(message_id: int) -> ResponseReturnValue:
    """Every stored field; that somebody looked is in the audit log."""
    row = _message(message_id)
    audit.note(db.engine, actor(), "raw_viewed", f"message:{message_id}")
    return render_template("admin/message_raw.html", message=row, columns=MessageLog.__table__.columns)


def _message(message_id: int) -> Any:
    found = (
        select(MessageLog.__table__, Follower.openid, Follower.alias)
        .outerjoin(Follower, Follower.id == MessageLog.follower_id)
        .where(MessageLog.id == message_id)
    )
    return db.session.execute(found).one_or_none() or abort(404, _("没有这条消息。"))


def _export(format_: str, mimetype: str) -> Response:
    chosen = chosen_filter()
    catch_up()
    query = request.query_string.decode(errors="replace")
    audit.note(db.engine, actor(), "exported", detail=f"{format_}: {query[:1000]}")
    pieces = export.stream(db.engine, chosen, format_, bom="bom" in request.args, zone=get_timezone())
    response = Response(pieces, mimetype=mimetype)
    response.headers["Content-Disposition"] = f"attachment; filename=messages.{format_}"
    return response


def _as_json(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "created_at": row.created_at.isoformat(),
        "direction": row.direction,
        "openid": row.openid,
        "alias": row.alias,
        "kind": row.kind,
        "event": row.event,
        "text": row.text,
        "state": row.state,
        "origin": row.origin,
        "url": url_for("admin.message", message_id=row.id),
    }


def describe(chosen: MessageFilter, facets: Facets) -> str:
    """What the page shows, in a sentence."""
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
    """The conditions in force, which some `rows` meet, each with the address of the page without it."""
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
        "tag": chosen.tag and db.session.scalar(select(Tag.name).where(Tag.id == chosen.tag)),
    }
    return [(str(word), link(**{name: None})) for name, word in words.items() if word]


def periods() -> list[tuple[str, date, date]]:
    """Days that are often asked for, the first and the last of each, as the operator's clock has it."""
    today = datetime.now(get_timezone()).date()
    ago = {days: today - timedelta(days=days) for days in (1, 6, 29)}
    return [
        (_("今天"), today, today),
        (_("昨天"), ago[1], ago[1]),
        (_("近 7 天"), ago[6], today),
        (_("近 30 天"), ago[29], today),
    ]


def _kinds(chosen: MessageFilter) -> str:
    if set(chosen.kinds) == set(MEDIA_FIELDS):
        return str(_("带文件的"))
    return " / ".join(str(WORDS["kinds"].get(kind, kind)) for kind in chosen.kinds)


def _follower_name(follower_id: int, rows: Sequence[Any]) -> str:
    follower = rows[0] if rows else db.session.get(Follower, follower_id)
    return name_of(follower) if follower else f"#{follower_id}"


@bp.post("/messages/columns")
@role(Role.VIEWER)
def choose_columns() -> ResponseReturnValue:

    columns = [name for name in request.form.getlist("column") if name in OPTIONAL_COLUMNS]
    save_preferences(columns=columns, dense="dense" in request.form)
    return redirect(url_for("admin.messages"), 303)
