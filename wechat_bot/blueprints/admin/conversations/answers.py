"""Answers of operators: sending, drafts, and template filters for sent messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, abort, flash, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select

from ....application import row_id
from ....extensions import db
from ....models import Direction, MessageState, Operator
from ....services.audit import Actor
from ....services.conversations import canned_replies
from ....services.media.formats import RefusalReason, RefusedMedia, identify
from ....services.outbox.answers import CannotSend
from ....services.outbox.decisions import RESENDABLE
from ....services.outbox.window import WINDOW_LENGTH, Window
from ....wechat.api.outgoing import Choice, MsgMenu
from ....wechat.errors import InvalidReply
from ....wechat.replies import Article, NewsReply, Reply, TextReply
from ....wiring import services
from ...shared.labels import REFUSALS, SEND_BLOCKS
from ..access import actor, max_content_length
from .views import FILE_LIMITS, MAX_CHOICES, back, composer, get_follower

bp = Blueprint("answers", __name__)

MAX_UPLOAD = 22 << 20
"""Maximum size of a form with a file in bytes: larger files than can be sent are refused in words."""


class TooManyChoices(Exception):
    """A menu has more than `MAX_CHOICES` choices."""


@bp.post("/conversations/<int:follower_id>/answers")
@max_content_length(MAX_UPLOAD)
def create(follower_id: int) -> ResponseReturnValue:
    follower = get_follower(follower_id)
    try:
        _send(follower_id)
    except InvalidReply:
        abort(400, _("还没有写内容。"))
    except (RefusedMedia, CannotSend, TooManyChoices) as error:
        _keep_draft(follower_id)
        flash(_explain(error), "danger")
    else:
        if used := request.form.get("canned", type=row_id):
            canned_replies.count_use(db.engine, follower.account_id, used)
    response = back(follower_id)
    if "HX-Request" in request.headers:  # the page's script shows the progress of an upload
        return "", 204, {"HX-Redirect": response.headers["Location"]}
    return response


def _send(follower_id: int) -> None:
    """Send what the form contains: a file, a message, or both.

    :raises InvalidReply: when the form is empty or incomplete.
    :raises RefusedMedia: when the file is not accepted.
    :raises CannotSend: when the platform would refuse the message.
    :raises TooManyChoices: when a menu is too long.
    """
    file = request.files.get("file")
    if file and file.filename:
        content = file.read()
        services().answers.send_file(actor(), follower_id, _kind_of(content), content)
        if not request.form.get("text", "").strip():
            return
    services().answers.send(actor(), follower_id, _reply())


def _kind_of(content: bytes) -> str:
    """Return the kind of message for a file by its content, since browsers do not know every type.

    :raises RefusedMedia: when it is empty, too large or damaged, or no kind of message has its format.
    """
    for kind, limit in FILE_LIMITS.items():
        try:
            identify(kind, content, MAX_UPLOAD)
        except RefusedMedia as error:
            if error.reason is not RefusalReason.FORMAT:
                raise
            continue
        if len(content) > limit:
            raise RefusedMedia(RefusalReason.TOO_LARGE)
        return kind
    raise RefusedMedia(RefusalReason.FORMAT)


def _keep_draft(follower_id: int) -> None:
    """Keep the words of a message that was refused as a draft."""
    names = ("text", "head", "choices", "tail", "title", "description", "url", "pic_url")
    words = [text for name in names if (text := request.form.get(name, "").strip())]
    if words:
        services().answers.keep_draft(actor(), follower_id, "\n".join(words))


def _explain(error: RefusedMedia | CannotSend | TooManyChoices) -> str:
    """Return why a message was not sent, and what to do."""
    match error:
        case RefusedMedia():
            return str(
                _(
                    "没有发送：%(reason)s。图片和视频不超过 10 MB，语音是 AMR 或 MP3，不超过 2 MB、60 秒。",
                    reason=REFUSALS[error.reason],
                )
            )
        case CannotSend():
            return str(SEND_BLOCKS[error.block])
        case _:
            return str(_("没有发送：菜单消息最多 10 个选项。请删去几个，或分成两条。"))


def _reply() -> Reply | MsgMenu:
    """Return the message in the form.

    :raises InvalidReply: when a required field is empty.
    :raises TooManyChoices: when a menu is too long.
    """
    form = request.form
    match form.get("kind", "text"):
        case "news":
            names = ("title", "description", "pic_url", "url")
            return NewsReply((Article(*(form.get(name, "").strip() for name in names)),))
        case "menu":
            lines = [line.strip() for line in form.get("choices", "").splitlines() if line.strip()]
            if not lines or not form.get("head", "").strip():
                raise InvalidReply
            if len(lines) > MAX_CHOICES:
                raise TooManyChoices
            choices = tuple(Choice(str(n), line) for n, line in enumerate(lines, 101))
            return MsgMenu(form["head"].strip(), choices, form.get("tail", "").strip())
        case _:
            return TextReply(form.get("text", "").strip())


@bp.post("/answers/<int:message_id>/withdraw")
def withdraw(message_id: int) -> ResponseReturnValue:
    return _changed(services().answers.withdraw, message_id)


@bp.post("/answers/<int:message_id>/retry")
def retry(message_id: int) -> ResponseReturnValue:
    return _changed(services().answers.retry, message_id)


def _changed(change: Callable[[Actor, int], int], message_id: int) -> ResponseReturnValue:
    try:
        return back(change(actor(), message_id))
    except CannotSend as error:
        abort(409, str(SEND_BLOCKS[error.block]))


@bp.get("/conversations/<int:follower_id>/composer")
def window(follower_id: int) -> ResponseReturnValue:
    """Render whether and until when the follower can be answered."""
    follower = get_follower(follower_id)
    return render_template("admin/_window.html", follower=follower, **composer(follower))


@bp.post("/conversations/<int:follower_id>/draft")
def save_draft(follower_id: int) -> ResponseReturnValue:
    """Store the text that the operator is writing; the page sends it at intervals."""
    get_follower(follower_id)
    services().answers.write(actor(), follower_id, request.form["text"])
    return "", 204


@bp.get("/conversations/<int:follower_id>/canned.json")
def list_canned_replies(follower_id: int) -> ResponseReturnValue:
    """Return the canned replies, filled in for a follower; `missing` lists variables without a value."""
    follower = get_follower(follower_id)
    values = canned_replies.values_for(follower.alias, current_user.name, datetime.now(get_timezone()).date())
    rows = canned_replies.at_hand(db.session.connection(), follower.account_id, current_user.id)
    return jsonify(
        [
            {
                "id": row.id,
                "shortcut": row.shortcut,
                "title": row.title,
                "text": canned_replies.filled(row.text, values),
                "missing": sorted(name for name in canned_replies.variables(row.text) if not values[name]),
            }
            for row in rows
        ]
    )


@bp.app_template_filter("by_operator")
def by_operator(message: Any) -> bool:
    return message.operator_id is not None


@bp.app_template_filter("resendable")
def resendable(message: Any) -> bool:
    """Whether an operator can send a message again. One that waits for a push needs the API for that."""
    if message.direction != Direction.OUT or message.state not in RESENDABLE:
        return False
    return message.state != MessageState.READY or services().outbox.available(services().account_id)


@bp.app_template_filter("author")
def author(message: Any) -> str:
    """Return the name of the operator who sent a message. All names are read once a request."""
    if "authors" not in g:
        g.authors = {row.id: row.name for row in db.session.execute(select(Operator.id, Operator.name))}
    return str(g.authors.get(message.operator_id, f"#{message.operator_id}"))


@bp.app_template_filter("remaining")
def remaining(ends_at: datetime) -> str:
    """Return the time until `ends_at` in hours and minutes, such as 31:42."""
    minutes = max(0, int((ends_at - datetime.now(UTC)).total_seconds()) // 60)
    return f"{minutes // 60}:{minutes % 60:02}"


@bp.app_template_filter("percent_left")
def percent_left(ends_at: datetime) -> int:
    """Return the remaining time as a percentage of the longest window."""
    return max(1, round((ends_at - datetime.now(UTC)) / WINDOW_LENGTH * 100))


@bp.app_template_filter("urgency")
def urgency(found: Window) -> str:
    """Return the CSS class of a window: green, yellow when little is left, red when it closes soon."""
    assert found.ends_at
    left = found.ends_at - datetime.now(UTC)
    if left <= timedelta(hours=1):
        return "bg-red-lt"
    return "bg-yellow-lt" if left <= timedelta(hours=6) or found.left == 1 else "bg-green-lt"
