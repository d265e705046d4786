"""Page of the canned replies: list, form and removal."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from ....application import row_id
from ....extensions import db
from ....models import Role
from ....services.conversations import canned_replies as service
from ....services.conversations.canned_replies import CannedText, InvalidCannedReply
from ....wiring import services
from ..access import actor, role

bp = Blueprint("canned_replies", __name__)


@bp.get("/canned")
@role(Role.OPERATOR)
def index() -> ResponseReturnValue:
    return _page()


def _page(status: int = 200) -> ResponseReturnValue:
    rows = service.at_hand(db.session.connection(), services().account_id, current_user.id)
    changed = request.args.get("change", type=row_id)
    return render_template(
        "admin/canned.html",
        rows=rows,
        changed=next((row for row in rows if row.id == changed), None),
        variables=service.VARIABLES,
        max_text=service.MAX_TEXT,
    ), status


@bp.post("/canned")
@role(Role.OPERATOR)
def save() -> ResponseReturnValue:
    form = request.form
    content = CannedText(form["shortcut"], form["title"], form["text"], own="own" in form)
    try:
        service.save(
            db.engine, actor(), services().account_id, content, request.args.get("change", type=row_id)
        )
    except InvalidCannedReply:
        flash(_("没有保存：口令和内容都要有，口令不能重复，变量只能用列出的几个。"), "danger")
        return _page(422)
    return redirect(url_for("admin.canned_replies.index"), 303)


@bp.post("/canned/<int:reply_id>/remove")
@role(Role.OPERATOR)
def delete(reply_id: int) -> ResponseReturnValue:
    service.remove(db.engine, actor(), services().account_id, reply_id)
    return redirect(url_for("admin.canned_replies.index"), 303)
