"""Pages of conversations: the list, one conversation, and the actions of operators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from ....application import row_id
from ....extensions import db
from ....models import ConversationStatus, Role
from ....services.accounts.capabilities import Feature
from ....services.conversations import actions, queries
from ....services.followers import profiles
from ....services.messages import history
from ....services.messages.filters import MessageFilter
from ....services.outbox.answers import send_block
from ....services.outbox.window import compute_window, load_window
from ....services.search.tokens import Query
from ....wechat.replies import MAX_TEXT_BYTES
from ....wiring import services
from ...shared.labels import SEND_BLOCKS, SEND_REASONS
from ..access import actor
from ..layout import catch_up
from ..media import preload_media
from ..paging import cursor
from .listing import SORTS, TABS, list_place, listing
from .timeline import notes_of, timeline

bp = Blueprint("conversations", __name__)
bp.add_app_template_filter(queries.split_tags, "tags")
bp.add_app_template_filter(list_place)

PAGE_SIZE = 50
"""Messages of one page of a conversation."""
MAX_CHOICES = 10
"""Maximum number of choices of a menu message (section 7.4)."""
FILE_LIMITS = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20}
"""Maximum size in bytes of a file that is chosen, by kind of message (section 7.7)."""


@bp.get("/conversations")
def index() -> ResponseReturnValue:
    catch_up()
    return render_template(
        "admin/conversations.html",
        listing=listing(),
        tabs=TABS,
        sorts=SORTS,
        operators=queries.assignable_operators(db.session.connection()),
    )


@bp.get("/conversations/<int:follower_id>")
def show(follower_id: int) -> ResponseReturnValue:
    """Render the conversation beside the list, or alone for HTMX."""
    context = _conversation(follower_id)
    if "HX-Request" in request.headers:
        return render_template("admin/_conversation.html", **context)
    catch_up()
    return render_template("admin/conversations.html", listing=listing(), tabs=TABS, sorts=SORTS, **context)


@bp.get("/conversations/<int:follower_id>/messages")
def messages(follower_id: int) -> ResponseReturnValue:
    """Render messages older than `before`, or newer than `after` (204 if there are none).

    With `id`, render these messages again, since their state may have changed.
    """
    follower = get_follower(follower_id)
    if ids := request.args.getlist("id", type=row_id):
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
    return _log(follower, page, notes_of(follower_id, page))


def _log(follower: Any, page: history.MessagePage, notes: Sequence[Any]) -> ResponseReturnValue:
    preload_media(page.rows)
    return render_template(
        "admin/_log.html", follower=follower, page=page, items=timeline(page.rows, notes), query=None
    )


def _conversation(follower_id: int) -> dict[str, Any]:
    follower = get_follower(follower_id)
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
        "items": timeline(page.rows, notes_of(follower_id, page)),
        "here": place.get("at"),
        "query": query or None,
        "found": found,
        "operators": queries.assignable_operators(db.session.connection(), follower_id),
        **composer(follower, page.rows if page.newer is None else None),
    }


def get_follower(follower_id: int) -> Any:
    """Return a follower as `queries.find_follower` does; abort with 404 if there is none."""
    found = queries.find_follower(db.session.connection(), follower_id, current_user.id)
    return found or abort(404, _("没有这个粉丝。"))


def composer(follower: Any, newest: Sequence[Any] | None = None) -> dict[str, Any]:
    """Return the template variables of the form for answers: until when one can be sent, or why not.

    `newest` are the conversation's last messages; None: they are read.
    """
    now = datetime.now(UTC)
    if newest is None:
        found = load_window(db.session.connection(), follower.id, follower.subscribed, now)
    else:
        found = compute_window(follower.subscribed, newest, now)
    capabilities = services().capabilities
    permission = capabilities.permission(follower.account_id, Feature.CUSTOMER_SERVICE)
    return {
        "window": found,
        "permission": permission,
        "send_block": send_block(permission, found),
        "send_blocks": SEND_BLOCKS,
        "reasons": SEND_REASONS,
        "max_bytes": MAX_TEXT_BYTES,
        "max_choices": MAX_CHOICES,
        "file_limits": FILE_LIMITS,
    }


def _find(follower_id: int) -> history.MessagePage:
    chosen = MessageFilter(q=request.args["find"][:200], follower=follower_id)
    return history.page(db.session.connection(), chosen, limit=PAGE_SIZE)


def _mark_read(follower: Any, rows: Sequence[Any]) -> None:
    """Mark the shown messages as read, unless the operator is a viewer."""
    newest = max((row.id for row in rows), default=0)
    unread = newest > (follower.read_id or 0) or follower.mentions_me
    if unread and Role(current_user.role).includes(Role.OPERATOR):
        actions.mark_read(db.engine, current_user.id, follower.id, newest)


# Actions


def back(follower_id: int) -> Response:
    """Redirect to the conversation, beside the same page of the list."""
    return redirect(url_for("admin.conversations.show", follower_id=follower_id, **_list_of_referrer()), 303)


def _list_of_referrer() -> dict[str, Any]:
    """Return the parameters of the list on the page from which the form was sent."""
    return list_place(dict(parse_qsl((request.referrer or "").partition("?")[2])))


@bp.post("/conversations/<int:follower_id>/status")
def update_status(follower_id: int) -> ResponseReturnValue:
    actions.set_status(db.engine, actor(), [follower_id], _status(request.form["status"]))
    return back(follower_id)


@bp.post("/conversations/<int:follower_id>/assignee")
def update_assignee(follower_id: int) -> ResponseReturnValue:
    _assign([follower_id])
    return back(follower_id)


@bp.post("/conversations/<int:follower_id>/star")
def update_star(follower_id: int) -> ResponseReturnValue:
    actions.star(db.engine, actor(), [follower_id], request.form["starred"] == "1")
    return back(follower_id)


@bp.post("/conversations/<int:follower_id>/notes")
def create_note(follower_id: int) -> ResponseReturnValue:
    try:
        actions.add_note(db.engine, actor(), follower_id, request.form["text"])
    except ValueError:
        abort(400, _("笔记要有 1 到 %(count)s 个字。", count=actions.MAX_NOTE))
    except LookupError:
        abort(404, _("没有这个粉丝。"))
    return back(follower_id)


@bp.post("/conversations/bulk")
def update_many() -> ResponseReturnValue:
    ids = request.form.getlist("id", type=row_id)
    match request.form["action"]:
        case "status":
            actions.set_status(db.engine, actor(), ids, _status(request.form["status"]))
        case "assign":
            _assign(ids)
        case "star":
            actions.star(db.engine, actor(), ids, True)
        case "tag":
            profiles.tag(db.engine, services().capabilities, actor(), ids, request.form["tag"])
        case _:
            abort(400, _("没有这个操作。"))
    return redirect(url_for("admin.conversations.index", **_list_of_referrer()), 303)


def _status(text: str) -> ConversationStatus:
    try:
        return ConversationStatus(text)
    except ValueError:
        abort(400, _("没有这个状态。"))


def _assign(ids: Sequence[int]) -> None:
    try:
        wanted = request.form["assignee"]
        actions.assign(db.engine, actor(), ids, row_id(wanted) if wanted else None)
    except (ValueError, LookupError):
        abort(400, _("没有这个操作员。"))
