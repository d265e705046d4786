"""Answers of operators: sending, drafts, and template filters for sent messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from flask import Blueprint, abort, flash, g, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select

from ....application import row_id
from ....database.clock import database_now
from ....extensions import db
from ....models import ConversationStatus, Direction, MessageState, Operator
from ....routing.answers import Giving, unfilled
from ....services.audit import Actor
from ....services.conversations import actions, canned_replies
from ....services.conversations.canned_replies import CannedEntry, CannedNotFound
from ....services.media.formats import RefusalReason, RefusedMedia, identify
from ....services.outbox.answers import CannotSend, SendBlock
from ....services.outbox.decisions import RESENDABLE
from ....services.outbox.window import WINDOW_LENGTH, Window
from ....wechat.api.outgoing import Choice, MsgMenu, NativeReply
from ....wechat.errors import InvalidReply
from ....wechat.faces import FACES
from ....wechat.replies import Article, NewsReply, Reply, TextReply
from ....wiring import services
from ...shared.labels import REFUSALS, SEND_BLOCKS
from ..access import actor, max_content_length
from ..answers.files import library_files
from .canned_replies import described, problems
from .views import FILE_LIMITS, MAX_CHOICES, back, composer, get_follower, written

bp = Blueprint("answers", __name__)

MAX_UPLOAD = 22 << 20
"""Maximum size of a form with a file in bytes: larger files than can be sent are refused in words."""


class TooManyChoices(Exception):
    """A menu has more than `MAX_CHOICES` choices."""


@bp.post("/conversations/<int:follower_id>/answers")
@max_content_length(MAX_UPLOAD)
def create(follower_id: int) -> ResponseReturnValue:
    follower, by_script = get_follower(follower_id), "HX-Request" in request.headers
    try:
        sent = _send(follower)
    except InvalidReply:
        abort(400, _("还没有写内容。"))
    except (RefusedMedia, CannotSend, TooManyChoices) as error:
        if by_script:  # it gives the operator the words back
            abort(409, _explain(error))
        _keep_draft(follower_id)
        flash(_explain(error), "error")
        return back(follower_id)
    if request.form.get("then") == ConversationStatus.DONE:
        actions.set_status(db.engine, actor(), services().account_id, [follower_id], ConversationStatus.DONE)
    return written(follower_id, sent) if by_script else back(follower_id)


def _send(follower: Any) -> list[int]:
    """Send what the form contains: files, canned replies and a message; return the ids of the answers.

    :raises InvalidReply: when the form is empty or incomplete; nothing is sent.
    :raises RefusedMedia: when a file is not accepted; nothing is sent.
    :raises TooManyChoices: when a menu is too long; nothing is sent.
    :raises CannotSend: when the platform would refuse the message. What is before it has been sent.
    """
    answers, form, key = services().answers, request.form, request.form.get("key", "")[:64]
    files = [file.read() for file in request.files.getlist("file") if file.filename]
    kinds = [_kind_of(content) for content in files]
    prepared = [_canned(reply_id) for reply_id in form.getlist("reply", type=row_id)]
    message = _reply() if not (files or prepared) or form.get("text", "").strip() else None
    sent = [
        answers.send_file(actor(), follower.id, kind, content, key and f"{key}:{number}")
        for number, (kind, content) in enumerate(zip(kinds, files, strict=True))
    ]
    for entry in prepared:
        one, whose = key and f"{key}:canned:{entry.id}", (follower.account_id, follower.id)
        sent.append(answers.send_canned(actor(), *whose, entry, _values(follower), one))
    if message:
        used = form.getlist("canned", type=row_id)
        sent.append(answers.send(actor(), follower.id, message, key, used))
    return sent


def _canned(reply_id: int) -> CannedEntry:
    """Return a canned reply that the operator may send.

    :raises CannotSend: if it is deleted.
    """
    try:
        entry = canned_replies.find(db.session.connection(), services().account_id, current_user.id, reply_id)
    except CannedNotFound:
        raise CannotSend(SendBlock.CANNED_GONE) from None
    if entry.deleted:
        raise CannotSend(SendBlock.CANNED_GONE)
    return entry


def _values(follower: Any) -> dict[str, str]:
    today = datetime.now(get_timezone()).date()
    return canned_replies.values_for(follower.alias, current_user.name, today)


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


def _reply() -> Reply:
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
            menu = MsgMenu(form["head"].strip(), choices, form.get("tail", "").strip())
            return NativeReply(menu, TextReply(menu.as_text))
        case _:
            return TextReply(form.get("text", "").strip())


@bp.post("/answers/<int:message_id>/withdraw")
def withdraw(message_id: int) -> ResponseReturnValue:
    return _changed(services().answers.withdraw, message_id)


@bp.post("/answers/<int:message_id>/retry")
def retry(message_id: int) -> ResponseReturnValue:
    return _changed(services().answers.retry, message_id)


@bp.post("/answers/<int:message_id>/send-withheld")
def send_withheld(message_id: int) -> ResponseReturnValue:
    return _changed(services().answers.send_withheld, message_id)


def _changed(change: Callable[[Actor, int, int], int], message_id: int) -> ResponseReturnValue:
    try:
        follower_id = change(actor(), services().account_id, message_id)
    except CannotSend as error:
        abort(409, str(SEND_BLOCKS[error.block]))
    return written(follower_id, [message_id]) if "HX-Request" in request.headers else back(follower_id)


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
    entries = canned_replies.at_hand(db.session.connection(), follower.account_id, current_user.id)
    values, files, blocked = _values(follower), library_files(), problems(entries)
    names = {file_id: file.name for file_id, file in files.items()}

    def content(entry: CannedEntry) -> dict[str, Any]:
        answer = entry.definition["answer"]
        if answer["kind"] == "text":
            return _filled_in(answer["text"], values)
        picture = _picture(files.get(answer.get("file_id") or answer.get("cover_file_id")))
        problem = blocked.get(entry.id, "")
        return {"says": described(entry, names), "problem": problem, "picture": picture}

    return jsonify([_named(entry) | content(entry) for entry in entries])


def _named(entry: CannedEntry) -> dict[str, Any]:
    definition = entry.definition
    return {"id": entry.id, "shortcut": definition["shortcut"], "title": definition.get("title", "")}


def _filled_in(text: str, values: Mapping[str, str]) -> dict[str, Any]:
    return {"text": Giving(str, values).fill(text), "missing": sorted(unfilled(text, values))}


def _picture(file: Any) -> str:
    """Return the URL of the thumbnail of a file of the library; empty if there is none."""
    return url_for("admin.library.show", file_id=file.id, form="thumbnail") if file and file.thumbnail else ""


@bp.get("/faces.json")
def list_faces() -> ResponseReturnValue:
    """Return the faces that WeChat draws for codes and that look like an emoji."""
    drawn = [
        {"code": face.codes[0], "emoji": face.emoji, "zh": face.zh, "en": face.en or face.zh}
        for face in FACES
        if face.emoji
    ]
    response = jsonify(drawn)
    response.cache_control.max_age = 24 * 3600
    return response


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
    minutes = max(0, int((ends_at - database_now()).total_seconds()) // 60)
    return f"{minutes // 60}:{minutes % 60:02}"


@bp.app_template_filter("minutes_left")
def minutes_left(ends_at: datetime) -> int:
    """Return the minutes until `ends_at`, rounded up; 0 when it has passed."""
    return max(0, ceil((ends_at - database_now()).total_seconds() / 60))


@bp.app_template_filter("percent_left")
def percent_left(ends_at: datetime) -> int:
    """Return the remaining time as a percentage of the longest window."""
    return max(1, round((ends_at - database_now()) / WINDOW_LENGTH * 100))


@bp.app_template_filter("urgency")
def urgency(found: Window) -> str:
    """Return the CSS class of a window: green, yellow when little is left, red when it closes soon."""
    assert found.ends_at
    left = found.ends_at - database_now()
    if left <= timedelta(hours=1):
        return "bg-red-lt"
    return "bg-yellow-lt" if left <= timedelta(hours=6) or found.left == 1 else "bg-green-lt"
