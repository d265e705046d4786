"""What operators say to followers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import abort, flash, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, get_timezone, lazy_gettext
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select

from ....extensions import db
from ....models import Operator
from ....services.accounts.capabilities import PermissionReason
from ....services.audit import Actor
from ....services.conversations import canned_replies
from ....services.media.formats import RefusalReason as Refusal
from ....services.media.formats import RefusedMedia
from ....services.outbox.answers import CannotSend, SendBlock
from ....services.outbox.sending import BY_OPERATOR, UNDO_SECONDS
from ....services.outbox.window import WINDOW_LENGTH, Window
from ....wechat import errcodes
from ....wechat.api.outgoing import Choice, MsgMenu
from ....wechat.errors import InvalidReply
from ....wechat.replies import MAX_TEXT_BYTES, Article, NewsReply, Reply, TextReply
from ....wiring import services
from .. import bp
from ..access import actor
from ..media import REFUSALS
from .views import back, composer, find_follower

MAX_CHOICES = 10
MAX_UPLOAD = 22 << 20
"""Bytes of a form with a file."""
KINDS = {"image": "image", "audio": "voice", "video": "video"}
"""Of media types, by their beginnings."""

SEND_BLOCKS = {
    SendBlock.NO_API: lazy_gettext("这个账号不能主动发消息。"),
    SendBlock.SILENT: lazy_gettext("粉丝 48 小时内没有发过消息，微信不允许主动回复；等对方再来一条消息。"),
    SendBlock.USED_UP: lazy_gettext("这个窗口里能发的条数已用完；等对方再来一条消息。"),
    SendBlock.LEFT: lazy_gettext("对方已取消关注，收不到消息。"),
    SendBlock.TOO_LONG: lazy_gettext("文字超过了微信的上限 2048 字节（约 680 个汉字），请分成几条。"),
    SendBlock.GONE: lazy_gettext("这条消息已经发出或被处理了。"),
}
REASONS = {
    PermissionReason.NO_SECRET: lazy_gettext("还没有配置 AppID 和 AppSecret：填进 .env 后重启即可。"),
    PermissionReason.SETTINGS: lazy_gettext("设置 WECHAT_CUSTOMER_SERVICE=no 关掉了它。"),
    PermissionReason.KIND: lazy_gettext("未认证的账号没有客服消息接口；完成微信认证后才有。"),
    PermissionReason.LEARNED: lazy_gettext(
        "微信回答过 48001：账号没有客服消息接口。获得权限后，到“健康”页改回来。"
    ),
    PermissionReason.OPERATOR: lazy_gettext("管理员在“健康”页关掉了它。"),
}


@bp.context_processor
def inject_composer() -> dict[str, Any]:
    return {
        "send_blocks": SEND_BLOCKS,
        "reasons": REASONS,
        "max_bytes": MAX_TEXT_BYTES,
        "undo_seconds": UNDO_SECONDS,
    }


@bp.post("/conversations/<int:follower_id>/answers")
def answer(follower_id: int) -> ResponseReturnValue:
    request.max_content_length = MAX_UPLOAD
    try:
        _send(follower_id)
    except InvalidReply:
        abort(400, _("还没有写内容。"))
    except RefusedMedia as error:
        flash(REFUSALS[error.reason], "danger")
        return back(follower_id)
    except CannotSend as error:
        services().answers.keep_draft(actor(), follower_id, request.form.get("text", ""))
        flash(SEND_BLOCKS[error.block], "danger")
        return back(follower_id)
    if used := request.form.get("canned", type=int):
        canned_replies.count_use(db.engine, find_follower(follower_id).account_id, used)
    return back(follower_id)


def _send(follower_id: int) -> None:
    """What the form holds: a file, something written, or both. InvalidReply, RefusedMedia, CannotSend."""
    file = request.files.get("file")
    if file and file.filename:
        kind = KINDS.get(file.mimetype.partition("/")[0])
        if kind is None:
            raise RefusedMedia(Refusal.FORMAT)
        services().answers.send_file(actor(), follower_id, kind, file.read())
        if not request.form.get("text", "").strip():
            return
    services().answers.send(actor(), follower_id, _reply())


def _reply() -> Reply | MsgMenu:
    """What the form says; InvalidReply."""
    form = request.form
    match form.get("kind", "text"):
        case "news":
            names = ("title", "description", "pic_url", "url")
            return NewsReply((Article(*(form.get(name, "").strip() for name in names)),))
        case "menu":
            lines = [line.strip() for line in form.get("choices", "").splitlines() if line.strip()]
            if not lines or not form.get("head", "").strip():
                raise InvalidReply
            choices = tuple(Choice(str(n), line) for n, line in enumerate(lines[:MAX_CHOICES], 101))
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
def composer_again(follower_id: int) -> ResponseReturnValue:
    """Whether the follower can be answered now."""
    follower = find_follower(follower_id)
    return render_template("admin/_window.html", follower=follower, **composer(follower))


@bp.post("/conversations/<int:follower_id>/draft")
def keep_draft(follower_id: int) -> ResponseReturnValue:
    """Sent every now and then while the operator writes."""
    find_follower(follower_id)
    services().answers.write(actor(), follower_id, request.form["text"])
    return "", 204


@bp.get("/conversations/<int:follower_id>/canned.json")
def canned_for(follower_id: int) -> ResponseReturnValue:
    """Canned replies, filled in for a follower; `missing` names the variables that have no value."""
    follower = find_follower(follower_id)
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
    return bool(message.origin.startswith(BY_OPERATOR))


@bp.app_template_filter("author")
def author(message: Any) -> str:
    """The operator who sent a message; all names are read once for a page."""
    if "authors" not in g:
        g.authors = {
            str(each.id): each.name for each in db.session.execute(select(Operator.id, Operator.name))
        }
    number = message.origin.removeprefix(BY_OPERATOR)
    return str(g.authors.get(number, f"#{number}"))


@bp.app_template_filter("what_went_wrong")
def what_went_wrong(message: Any) -> str:
    """The error of a message, in the reader's words, with what to do."""
    code = re.match(r"-?\d+", message.error)
    if not code:
        return str(_("发送失败：%(error)s", error=message.error))
    explanation = errcodes.explain(int(code[0]), message.error)
    language = "zh" if str(get_locale()).startswith("zh") else "en"
    meaning, remedy = (getattr(words, language) for words in (explanation.meaning, explanation.remedy))
    return f"{meaning} {remedy} ({code[0]})"


@bp.app_template_filter("remaining")
def remaining(ends_at: datetime) -> str:
    """How long until then: 31:42."""
    minutes = max(0, int((ends_at - datetime.now(UTC)).total_seconds()) // 60)
    return f"{minutes // 60}:{minutes % 60:02}"


@bp.app_template_filter("percent_left")
def percent_left(ends_at: datetime) -> int:
    """How much of the longest time is left."""
    return max(1, round((ends_at - datetime.now(UTC)) / WINDOW_LENGTH * 100))


@bp.app_template_filter("urgency")
def urgency(found: Window) -> str:
    """The colour of a window: green, yellow when there is little left, red when it closes soon."""
    assert found.ends_at
    left = found.ends_at - datetime.now(UTC)
    if left <= timedelta(hours=1):
        return "bg-red-lt"
    return "bg-yellow-lt" if left <= timedelta(hours=6) or found.left == 1 else "bg-green-lt"
