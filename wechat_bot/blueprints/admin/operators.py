"""Management of operators, for admins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import func, select

from ...database.clock import database_now
from ...extensions import db
from ...models import Operator, OperatorSession, Role
from ...services.operators import management as service
from ...services.operators import two_factor
from ...services.operators.management import OperatorError, Problem
from ...services.operators.passwords import generate
from ...services.operators.sign_in import end_all_sessions
from ..shared.labels import PROBLEMS
from .access import actor, explain_problem, require_password, role
from .profile import sessions_of

bp = Blueprint("operators", __name__)


@bp.get("/operators")
@role(Role.ADMIN)
def index() -> ResponseReturnValue:
    browsers = (
        select(OperatorSession.operator_id, func.count().label("browsers"))
        .where(OperatorSession.expires_at > database_now())
        .group_by(OperatorSession.operator_id)
        .subquery()
    )
    found = (
        select(Operator, browsers.c.browsers)
        .outerjoin(browsers, browsers.c.operator_id == Operator.id)
        .order_by(Operator.disabled, Operator.name)
    )
    return render_template("admin/operators.html", rows=db.session.execute(found).all())


@bp.get("/operators/new")
@role(Role.ADMIN)
def new() -> ResponseReturnValue:
    return render_template("admin/operator_new.html")


@bp.post("/operators/new")
@role(Role.ADMIN)
def create() -> ResponseReturnValue:
    name, typed = request.form["name"].strip(), request.form["password"]
    password = typed or generate()
    try:
        require_password()
        service.create(db.engine, actor(), name, _chosen_role(), password)
    except OperatorError as error:
        return render_template("admin/operator_new.html", problem=PROBLEMS[error.problem]), 422
    if typed:
        flash(_("已创建操作员 %(name)s。", name=name), "success")
        return redirect(url_for("admin.operators.index"), 303)
    return render_template("admin/password_shown.html", name=name, password=password)


@bp.get("/operators/<int:operator_id>")
@role(Role.ADMIN)
def show(operator_id: int) -> ResponseReturnValue:
    found = db.session.get(Operator, operator_id) or abort(404, PROBLEMS[Problem.UNKNOWN])
    return _page(found)


@bp.errorhandler(OperatorError)
def show_problem(error: OperatorError) -> ResponseReturnValue:
    """Show the page of the operator again, with the problem."""
    found = db.session.get(Operator, (request.view_args or {})["operator_id"])
    if found is None:
        return explain_problem(OperatorError(Problem.UNKNOWN))
    return _page(found, PROBLEMS[error.problem]), 400


@bp.post("/operators/<int:operator_id>/role")
@role(Role.ADMIN)
def set_role(operator_id: int) -> ResponseReturnValue:
    require_password()
    return _change(operator_id, service.set_role, _chosen_role())


@bp.post("/operators/<int:operator_id>/disable")
@role(Role.ADMIN)
def disable(operator_id: int) -> ResponseReturnValue:
    return _change(operator_id, service.disable)


@bp.post("/operators/<int:operator_id>/enable")
@role(Role.ADMIN)
def enable(operator_id: int) -> ResponseReturnValue:
    return _change(operator_id, service.enable)


@bp.post("/operators/<int:operator_id>/password")
@role(Role.ADMIN)
def reset_password(operator_id: int) -> ResponseReturnValue:
    require_password()
    password = generate()
    service.reset_password(db.engine, actor(), operator_id, password)
    name = db.session.scalar(select(Operator.name).where(Operator.id == operator_id))
    return render_template("admin/password_shown.html", name=name, password=password)


@bp.post("/operators/<int:operator_id>/second-factor/remove")
@role(Role.ADMIN)
def reset_second_factor(operator_id: int) -> ResponseReturnValue:
    require_password()
    return _change(operator_id, two_factor.turn_off)


@bp.post("/operators/<int:operator_id>/sign-out")
@role(Role.ADMIN)
def sign_out(operator_id: int) -> ResponseReturnValue:
    return _change(operator_id, end_all_sessions)


def _page(operator: Operator, problem: Any = None) -> str:
    sessions = sessions_of(operator.id)
    return render_template("admin/operator.html", operator=operator, sessions=sessions, problem=problem)


def _chosen_role() -> Role:
    try:
        return Role(request.form["role"])
    except ValueError:
        abort(400, _("没有这个角色。"))


def _change(operator_id: int, use_case: Callable[..., None], *values: object) -> ResponseReturnValue:
    use_case(db.engine, actor(), operator_id, *values)
    flash(_("已保存。"), "success")
    return redirect(url_for("admin.operators.show", operator_id=operator_id), 303)
