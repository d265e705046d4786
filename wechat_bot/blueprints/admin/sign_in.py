"""Sign-in, its second step with a code, and sign-out."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_datetime, refresh
from flask_babel import gettext as _
from flask_login import current_user, login_user
from sqlalchemy import exists, select

from ...database.clock import database_now
from ...extensions import db
from ...models import Operator, Role
from ...services.operators import sign_in as signing_in
from ...services.operators.sign_in import CodeNeeded, SignedIn, SignInRefused
from ...wiring import services
from .access import actor, load, role, safe_next_url
from .devices import client, remember_device

bp = Blueprint("sign_in", __name__)

PENDING = "pending"
"""Session key of a sign-in whose password was correct and whose code is still missing."""
PENDING_SECONDS = 300
"""Seconds for which the code is accepted after the password."""


@bp.get("/sign-in")
@role(None)
def show() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(safe_next_url())
    return _form("sign_in")


@bp.post("/sign-in")
@role(None)
def submit() -> ResponseReturnValue:
    name, password, keep = request.form["name"].strip(), request.form["password"], "keep" in request.form
    now = database_now()
    try:
        result = signing_in.sign_in(db.engine, name, password, client(), now, persistent=keep)
    except SignInRefused as refused:
        return _refusal("sign_in", refused)
    if isinstance(result, CodeNeeded):
        session[PENDING] = [result.operator_id, result.proof, keep, int(now.timestamp())]
        return redirect(url_for("admin.sign_in.show_second_factor", next=safe_next_url()), 303)
    return _begin(result, keep)


@bp.get("/sign-in/code")
@role(None)
def show_second_factor() -> ResponseReturnValue:
    pending = _pending()
    if not pending:
        return redirect(url_for("admin.sign_in.show", next=safe_next_url()))
    return _form("second_factor", readable=_is_readable(pending[0]))


@bp.post("/sign-in/code")
@role(None)
def submit_second_factor() -> ResponseReturnValue:
    pending = _pending()
    if not pending:
        return redirect(url_for("admin.sign_in.show", next=safe_next_url()), 303)
    verified, keep = pending
    code, now, sealer = request.form["code"], database_now(), services().sealer
    try:
        result = signing_in.enter_code(db.engine, sealer, verified, code, client(), now, persistent=keep)
    except SignInRefused as refused:
        return _refusal("second_factor", refused, readable=_is_readable(verified))
    return _begin(result, keep)


@bp.post("/sign-out")
@role(Role.VIEWER)
def sign_out() -> ResponseReturnValue:
    signing_in.end_session(db.engine, actor(), current_user.id, current_user.session_id, "sign_out")
    session.clear()
    return redirect(url_for("admin.sign_in.show"), 303)


def _pending() -> tuple[CodeNeeded, bool] | None:
    if PENDING not in session:
        return None
    operator_id, proof, keep, since = session[PENDING]
    if database_now().timestamp() - since > PENDING_SECONDS:
        return None
    return CodeNeeded(operator_id, proof), keep


def _begin(signed_in: SignedIn, keep: bool) -> ResponseReturnValue:
    """Start a session that keeps nothing of the previous one."""
    target = safe_next_url()
    session.clear()
    session.permanent = keep
    login_user(load(signed_in.token))
    refresh()
    if signed_in.last_at:
        when = format_datetime(signed_in.last_at, "yyyy-MM-dd HH:mm")
        flash(_("上次登录：%(when)s，来自 %(address)s", when=when, address=signed_in.last_address))
    response = redirect(target, 303)
    remember_device(response, current_user.id)
    return response


def _form(name: str, **values: object) -> str:
    nobody = not db.session.scalar(select(exists().where(Operator.id.is_not(None))))
    return render_template(f"admin/{name}.html", next_url=safe_next_url(), nobody=nobody, **values)


def _is_readable(pending: CodeNeeded) -> bool:
    return signing_in.can_check_codes(db.engine, services().sealer, pending)


def _refusal(name: str, refused: SignInRefused, **values: object) -> ResponseReturnValue:
    """Respond alike whatever was wrong, but name the waiting time when there is one."""
    page = _form(name, refused=True, **values)
    if refused.wait is None:
        return page, 401
    return page, 429, {"Retry-After": str(int(refused.wait.total_seconds()) + 1)}
