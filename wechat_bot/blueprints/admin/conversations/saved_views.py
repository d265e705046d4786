"""Saved views of the list of conversations: saving the present filter, and a page to manage them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from ....extensions import db
from ....models import Role
from ....services.conversations import saved_views as service
from ....services.conversations.saved_views import InvalidSavedView, TooManyViews
from ....wiring import services
from ..access import actor, role

bp = Blueprint("saved_views", __name__)


@bp.get("/conversations/views")
@role(Role.OPERATOR)
def index() -> ResponseReturnValue:
    rows = service.saved_views(db.session.connection(), services().account_id, current_user.id)
    return render_template("admin/saved_views.html", rows=rows)


@bp.post("/conversations/views")
def save() -> ResponseReturnValue:
    """Save the filter in ``query``, and return to the list that it selects."""
    name, query, shared = request.form["name"], request.form["query"], "shared" in request.form
    try:
        service.save(db.engine, actor(), services().account_id, name, query, shared=shared)
    except InvalidSavedView:
        _explain()
    except TooManyViews:
        flash(_("没有保存：已经有 %(count)s 个视图，先删去一个。", count=service.MAX_VIEWS), "error")
    chosen = service.parse_query(query)
    fields: dict[str, Any] = {**chosen.fields()} if chosen else {}
    return redirect(url_for("admin.conversations.index", **fields), 303)


@bp.post("/conversations/views/<int:view_id>/name")
def rename(view_id: int) -> ResponseReturnValue:
    try:
        service.rename(db.engine, actor(), services().account_id, view_id, request.form["name"])
    except InvalidSavedView:
        _explain()
    return redirect(url_for("admin.saved_views.index"), 303)


@bp.post("/conversations/views/<int:view_id>/remove")
def remove(view_id: int) -> ResponseReturnValue:
    service.remove(db.engine, actor(), services().account_id, view_id)
    return redirect(url_for("admin.saved_views.index"), 303)


def _explain() -> None:
    flash(_("没有保存：视图要有名称，名称不能重复。"), "error")
