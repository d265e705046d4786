"""An operator's own settings: preferences, password, second factor and sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import segno
from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_login import current_user
from sqlalchemy import select

from ...extensions import db
from ...languages import LANGUAGES
from ...models import OperatorSession, Role, Theme
from ...services.operators import management as service
from ...services.operators import two_factor as factor
from ...services.operators.management import OperatorError
from ...services.operators.sign_in import SignInRefused, check_password, end_all_sessions, end_session
from ..shared.labels import PROBLEMS
from .access import actor, address, role

bp = Blueprint("profile", __name__)

SECRET = "totp_secret"
"""Session key of the secret of a second factor that is being set up."""

THEMES = {
    Theme.AUTO: lazy_gettext("跟随系统"),
    Theme.LIGHT: lazy_gettext("浅色"),
    Theme.DARK: lazy_gettext("深色"),
}

_BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "MicroMessenger": "WeChat",
    "Firefox": "Firefox",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "CrOS", "Linux")


@bp.app_template_filter("browser_name")
def browser_name(user_agent: str) -> str:
    """Return browser and operating system from a User-Agent, or the beginning of an unknown one."""
    browser = next((name for mark, name in _BROWSERS.items() if f"{mark}/" in user_agent), "")
    system = next((name for name in _SYSTEMS if name in user_agent), "")
    return " · ".join(filter(None, (browser, system))) or user_agent[:40] or "–"


@bp.get("/profile")
def show() -> ResponseReturnValue:
    return _page()


@bp.post("/profile/preferences")
@role(Role.VIEWER)
def update() -> ResponseReturnValue:
    form = request.form
    if form["language"] not in {"", *LANGUAGES} or form["theme"] not in set(Theme):
        abort(400, _("没有这个选项。"))
    switches = {name: name in form for name in ("shortcuts", "sound", "dense")}
    try:
        save_preferences(
            language=form["language"], time_zone=form["time_zone"].strip(), theme=form["theme"], **switches
        )
    except OperatorError as error:
        return _page(problem=("time_zone", PROBLEMS[error.problem]))
    flash(_("设置已保存。"), "success")
    return redirect(url_for("admin.profile.show"), 303)


def save_preferences(**values: Any) -> None:
    """Store preferences of the signed-in operator.

    :raises OperatorError: when a value is invalid.
    """
    service.set_preferences(db.engine, current_user.id, **values)


@bp.post("/profile/password")
@role(Role.VIEWER)
def change_password() -> ResponseReturnValue:
    if not _is_own_password(request.form["current"]):
        return _page(problem=("current", _("现在的密码不对，或者尝试太多次了，请过一会儿再试。")))
    if request.form["password"] != request.form["again"]:
        return _page(problem=("again", _("两次输入的新密码不一样。")))
    try:
        service.change_password(
            db.engine, actor(), current_user.id, request.form["password"], current_user.session_id
        )
    except OperatorError as error:
        return _page(problem=("password", PROBLEMS[error.problem]))
    flash(_("密码已更换，其他浏览器里的登录已经退出。"), "success")
    return redirect(url_for("admin.profile.show"), 303)


@bp.get("/profile/second-factor")
def set_up_second_factor() -> ResponseReturnValue:
    if current_user.totp_secret:
        return redirect(url_for("admin.profile.show"))
    session.setdefault(SECRET, factor.make_secret())
    return _setup()


@bp.post("/profile/second-factor")
@role(Role.VIEWER)
def turn_on_second_factor() -> ResponseReturnValue:
    if SECRET not in session or current_user.totp_secret:
        return redirect(url_for("admin.profile.set_up_second_factor"), 303)
    now = datetime.now(UTC)
    try:
        codes = factor.turn_on(
            db.engine, actor(), current_user.id, session[SECRET], request.form["code"], now
        )
    except OperatorError as error:
        return _setup(PROBLEMS[error.problem])
    del session[SECRET]
    return render_template("admin/recovery_codes.html", codes=codes)


@bp.post("/profile/second-factor/remove")
@role(Role.VIEWER)
def turn_off_second_factor() -> ResponseReturnValue:
    if not _is_own_password(request.form["current"]):
        return _page(problem=("factor", _("现在的密码不对，或者尝试太多次了，请过一会儿再试。")))
    factor.turn_off(db.engine, actor(), current_user.id)
    flash(_("两步验证已关闭。"), "success")
    return redirect(url_for("admin.profile.show"), 303)


@bp.post("/profile/sessions/<int:session_id>/revoke")
@role(Role.VIEWER)
def revoke_session(session_id: int) -> ResponseReturnValue:
    end_session(db.engine, actor(), current_user.id, session_id, "session_revoked")
    return redirect(url_for("admin.profile.show", _anchor="sessions"), 303)


@bp.post("/profile/sessions/revoke")
@role(Role.VIEWER)
def sign_out_everywhere() -> ResponseReturnValue:
    end_all_sessions(db.engine, actor(), current_user.id)
    session.clear()
    return redirect(url_for("admin.sign_in.show"), 303)


def _is_own_password(password: str) -> bool:
    try:
        check_password(db.engine, current_user.name, password, address(), datetime.now(UTC))
    except SignInRefused:
        return False
    return True


def _page(problem: tuple[str, Any] | None = None) -> ResponseReturnValue:
    """Render the settings, with 422 if there is a `problem`: a field and its error message."""
    page = render_template(
        "admin/profile.html",
        problem=dict([problem]) if problem else {},
        sessions=sessions_of(current_user.id),
        themes=THEMES,
        time_zones=service.time_zones(),
    )
    return page, 422 if problem else 200


def sessions_of(operator_id: int) -> Sequence[OperatorSession]:
    """Return the sessions that have not expired, the last used first."""
    unexpired = OperatorSession.expires_at > datetime.now(UTC)
    found = select(OperatorSession).where(OperatorSession.operator_id == operator_id, unexpired)
    return db.session.scalars(found.order_by(OperatorSession.seen_at.desc())).all()


def _setup(problem: Any = None) -> ResponseReturnValue:
    secret = session[SECRET]
    code = segno.make(factor.provisioning_uri(current_user.name, secret)).svg_data_uri(
        scale=5, border=2, light="#fff"
    )
    page = render_template("admin/second_factor_setup.html", secret=secret, qr_code=code, problem=problem)
    return page, 422 if problem else 200
