"""Pages of conversations: the list, one conversation, and the actions of operators."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from ....application import row_id
from ....database.clock import database_now
from ....extensions import db
from ....models import ConversationStatus, MessageState, Note, Role
from ....routing.ownership import Owner
from ....services.accounts.capabilities import Feature
from ....services.conversations import actions, canned_replies, handover, queries
from ....services.conversations.handover import OwnerChanged
from ....services.conversations.saved_views import parse_query
from ....services.followers import profiles
from ....services.messages import history
from ....services.messages.filters import MessageFilter
from ....services.outbox.answers import send_block
from ....services.outbox.window import compute_window, load_window
from ....services.search.tokens import Query
from ....wechat.replies import MAX_TEXT_BYTES
from ....wiring import services
from ...shared.labels import SEND_BLOCKS, SEND_REASONS, WORDS
from ..access import actor
from ..layout import catch_up
from ..media import preload_media
from ..model_answers import preload_model_answers
from ..paging import cursor, searched
from .listing import (
    SORTS,
    SUBSCRIBED,
    TABS,
    Listing,
    can_answer,
    changes,
    chosen_filter,
    list_place,
    listing,
    matching_ids,
    menus,
)
from .timeline import TimelineEntry, remarks, select_notes, timeline

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
    """Render the list, or its rows alone for HTMX."""
    catch_up()
    if "HX-Request" in request.headers:
        return render_template("admin/_inbox.html", **_inbox())
    return render_template("admin/conversations.html", **_inbox(), **menus())


@bp.get("/conversations/rows")
def rows() -> ResponseReturnValue:
    """Render the rows of a list that look different from what the browser shows, and how many came in.

    An open page asks for it when something has happened.
    """
    catch_up()
    found = changes()
    return render_template("admin/_inbox_changes.html", **_inbox(found.listing), arrived=found.arrived)


@bp.get("/conversations/count")
def count() -> ResponseReturnValue:
    """Return how many conversations match the filter, up to the limit of what one action changes."""
    return jsonify(count=len(matching_ids(chosen_filter())))


def _inbox(found: Listing | None = None) -> dict[str, Any]:
    return {
        "listing": found or listing(),
        "tabs": TABS,
        "sorts": SORTS,
        "subscribed_words": SUBSCRIBED,
        "max_bulk": profiles.MAX_BULK,
        "can_answer": can_answer,
    }


@bp.get("/conversations/<int:follower_id>")
def show(follower_id: int) -> ResponseReturnValue:
    """Render the conversation beside the list, or alone for HTMX."""
    if "HX-Request" in request.headers:
        return render_template("admin/_conversation.html", **_conversation(follower_id))
    catch_up()
    context = menus() | _conversation(follower_id)  # whose operators have their presence
    return render_template("admin/conversations.html", **_inbox(), **context)


@bp.get("/conversations/<int:follower_id>/messages")
def messages(follower_id: int) -> ResponseReturnValue:
    """Render messages older than `before`, or newer than `after` with the presence of other operators.

    With `id`, render these messages again, since their state may have changed.
    """
    follower = get_follower(follower_id)
    if ids := request.args.getlist("id", type=row_id):
        page = history.reload_messages(db.session.connection(), follower_id, ids[:PAGE_SIZE])
        return _log(follower, page, False)
    connection, place = db.session.connection(), cursor("before", "after")
    page = history.conversation_page(connection, follower.account_id, follower_id, **place, limit=PAGE_SIZE)
    if "after" in request.args:
        if page.rows:
            _mark_read(follower, page.rows)
        return _log(
            follower, page, bool(page.rows), "_conversation_arrived", operators=_be_present(follower_id)
        )
    return _log(follower, page, True)


@bp.get("/conversations/<int:follower_id>/presence")
def presence(follower_id: int) -> ResponseReturnValue:
    """Render which other operators look at the conversation, for a page without its newest messages."""
    follower = get_follower(follower_id)
    return render_template("admin/_presence.html", follower=follower, operators=_be_present(follower_id))


def _be_present(follower_id: int) -> Sequence[Any]:
    """Record that the operator has the conversation open; return the operators as it shows them."""
    actions.touch_presence(db.engine, current_user.id, follower_id, database_now())
    return queries.assignable_operators(db.session.connection(), follower_id)


def _log(
    follower: Any, page: history.MessagePage, is_complete: bool, name: str = "_log", **context: Any
) -> str:
    """Render messages, and if they are a complete part of the conversation all that is between them."""
    preload_media(page.rows)
    preload_model_answers(page.rows)
    items = _entries(follower.id, page) if is_complete else timeline(page.rows, ())
    return render_template(
        f"admin/{name}.html", follower=follower, page=page, items=items, query=None, **context
    )


def _entries(follower_id: int, page: history.MessagePage) -> list[TimelineEntry]:
    return timeline(page.rows, remarks(follower_id, page))


def written(follower_id: int, messages: Sequence[int] = (), notes: Sequence[int] = ()) -> ResponseReturnValue:
    """Render what an operator has just written or changed, for the page's script: entries, window, draft."""
    db.session.rollback()  # what was read before is out of date
    connection, follower = db.session.connection(), get_follower(follower_id)
    page = history.reload_messages(connection, follower_id, messages)
    found = connection.execute(select_notes(follower_id).where(Note.id.in_(notes))).all()
    preload_media(page.rows)
    preload_model_answers(page.rows)
    return render_template(
        "admin/_written.html",
        follower=follower,
        page=page,
        items=timeline(page.rows, found),
        query=None,
        **composer(follower),
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
        db.session.connection(),
        follower.account_id,
        follower_id,
        **place,
        zone=get_timezone(),
        limit=PAGE_SIZE,
    )
    query = Query.parse(searched("find"))
    if page.newer is None:
        _mark_read(follower, page.rows)
    found = _find(follower) if query else None
    preload_media([*page.rows, *(found.rows if found else [])])
    preload_model_answers(page.rows)
    return {
        "follower": follower,
        "place": list_place(request.args),
        "page": page,
        "items": () if found else _entries(follower_id, page),
        "suggestion": _suggestion(page),
        "here": place.get("at"),
        "query": query or None,
        "found": found,
        "operators": queries.assignable_operators(db.session.connection(), follower_id),
        "canned": _canned_replies(follower.account_id) if "canned" in request.args else (),
        **composer(follower, page.rows if page.newer is None else None),
    }


def _suggestion(page: history.MessagePage) -> Any:
    """Return what the bot would have answered last, unless an operator has answered since."""
    for row in () if page.newer else page.rows:
        if row.state == MessageState.WITHHELD or row.operator_id is not None:
            return row if row.operator_id is None else None
    return None


def _canned_replies(account_id: int) -> Sequence[Any]:
    """Return what can be chosen without a script, which asks for it while something is typed."""
    return canned_replies.at_hand(db.session.connection(), account_id, current_user.id)


def get_follower(follower_id: int) -> Any:
    """Return a follower as `queries.find_follower` does; abort with 404 if there is none."""
    connection, account_id = db.session.connection(), services().account_id
    found = queries.find_follower(connection, account_id, follower_id, current_user.id)
    return found or abort(404, _("没有这个粉丝。"))


def composer(follower: Any, newest: Sequence[Any] | None = None) -> dict[str, Any]:
    """Return the template variables of the form for answers: until when one can be sent, or why not.

    `newest` are the conversation's last messages; None: they are read.
    """
    now = database_now()
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


def _find(follower: Any) -> history.MessagePage:
    chosen = MessageFilter(q=request.args["find"], follower=follower.id)
    return history.page(db.session.connection(), follower.account_id, chosen, limit=PAGE_SIZE)


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


def changed(follower_id: int, said: str, event: str = "changed") -> ResponseReturnValue:
    """Show a change of the conversation, of which `said` tells in a few words.

    Without JavaScript this is a redirect to the conversation. For HTMX the parts that differ are rendered,
    and the page dispatches ``conversation:changed``, or ``conversation:done``, after which it opens the next.
    """
    if "HX-Request" not in request.headers:
        return back(follower_id)
    page = render_template(
        "admin/_conversation_changed.html",
        follower=get_follower(follower_id),
        place=_list_of_referrer(),
        operators=queries.assignable_operators(db.session.connection(), follower_id),
        said=said,
    )
    return page, {"HX-Trigger": json.dumps({f"conversation:{event}": {"follower": follower_id}})}


def _list_of_referrer() -> dict[str, Any]:
    """Return the parameters of the list on the page from which the form was sent."""
    return list_place(dict(parse_qsl((request.referrer or "").partition("?")[2])))


@bp.post("/conversations/<int:follower_id>/status")
def update_status(follower_id: int) -> ResponseReturnValue:
    status = _status(request.form["status"])
    actions.set_status(db.engine, actor(), services().account_id, [follower_id], status)
    event = "done" if status is ConversationStatus.DONE else "changed"
    return changed(follower_id, str(WORDS["statuses"][status]), event)


@bp.post("/conversations/<int:follower_id>/assignee")
def update_assignee(follower_id: int) -> ResponseReturnValue:
    _assign([follower_id], request.form["assignee"])
    return changed(follower_id, _("负责人已更改"))


@bp.post("/conversations/<int:follower_id>/owner")
def update_owner(follower_id: int) -> ResponseReturnValue:
    """Let the operator have the conversation, or with ``owner=bot`` give it back."""
    account_id = services().account_id
    try:
        if request.form["owner"] == Owner.BOT:
            handover.give_back(db.engine, actor(), account_id, follower_id, request.form.get("note", ""))
            return changed(follower_id, _("已交还给机器人"))
        seen = request.form.get("seen", type=int)
        handover.take(db.engine, actor(), account_id, follower_id, seen)
    except OwnerChanged as error:
        abort(409, _("%(name)s刚刚接手了这个对话。", name=error.operator))
    except ValueError:
        abort(400, _("留言最多 %(count)s 个字。", count=handover.MAX_NOTE))
    except LookupError:
        abort(404, _("没有这个粉丝。"))
    return changed(follower_id, _("你接手了对话，机器人不再回答"))


@bp.post("/conversations/<int:follower_id>/star")
def update_star(follower_id: int) -> ResponseReturnValue:
    starred = request.form["starred"] == "1"
    actions.star(db.engine, actor(), services().account_id, [follower_id], starred)
    return changed(follower_id, _("已加星标") if starred else _("已去掉星标"))


@bp.post("/conversations/<int:follower_id>/notes")
def create_note(follower_id: int) -> ResponseReturnValue:
    try:
        note_id = actions.add_note(
            db.engine, actor(), services().account_id, follower_id, request.form["text"]
        )
    except ValueError:
        abort(400, _("笔记要有 1 到 %(count)s 个字。", count=actions.MAX_NOTE))
    except LookupError:
        abort(404, _("没有这个粉丝。"))
    return written(follower_id, notes=[note_id]) if "HX-Request" in request.headers else back(follower_id)


@bp.post("/conversations/bulk")
def update_many() -> ResponseReturnValue:
    """Change the chosen conversations, or with ``all`` those that match the filter in ``query``."""
    ids = request.form.getlist("id", type=row_id)
    if "all" in request.form:
        ids = list(matching_ids(parse_query(request.form["query"]) or abort(400, _("筛选条件无效。"))))
    told = _change_many(ids) if ids else str(_("没有选中对话。"))
    if "HX-Request" in request.headers:
        return told
    flash(told)
    return redirect(url_for("admin.conversations.index", **_list_of_referrer()), 303)


def _change_many(ids: list[int]) -> str:
    """Apply the action of the form to conversations; return what to tell of it."""
    action, _colon, value = request.form["action"].partition(":")
    match action:
        case "status":
            changed = actions.set_status(db.engine, actor(), services().account_id, ids, _status(value))
        case "assign":
            changed = _assign(ids, value)
        case "star":
            changed = actions.star(db.engine, actor(), services().account_id, ids, True)
        case "tag":
            bot, name = services(), request.form["tag"]
            changed = profiles.tag(db.engine, bot.capabilities, actor(), bot.account_id, ids, name)
        case _:
            abort(400, _("没有这个操作。"))
    skipped = len(ids) - changed
    if not skipped:
        return str(_("%(count)s 个对话已处理", count=changed))
    return str(_("%(count)s 个对话已处理，跳过 %(skipped)s 个（没有变化）", count=changed, skipped=skipped))


def _status(text: str) -> ConversationStatus:
    try:
        return ConversationStatus(text)
    except ValueError:
        abort(400, _("没有这个状态。"))


def _assign(ids: Sequence[int], wanted: str) -> int:
    """Assign conversations to the operator with the id `wanted`; "": to nobody."""
    try:
        return actions.assign(
            db.engine, actor(), services().account_id, ids, row_id(wanted) if wanted else None
        )
    except (ValueError, LookupError):
        abort(400, _("没有这个操作员。"))
