"""An operator's own settings: preferences, password, second factor and sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import segno
from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_login import current_user
from sqlalchemy import select

from ...database.clock import database_now
from ...extensions import db
from ...languages import LANGUAGES
from ...models import OperatorSession, Role, Theme
from ...services.operators import management as service
from ...services.operators import two_factor as factor
from ...services.operators.management import OperatorError, Problem
from ...services.operators.sign_in import end_all_sessions, end_session
from ...wiring import services
from ..shared.labels import PROBLEMS
from .access import actor, must_have_second_factor, require_password, role, safe_next_url

bp = Blueprint("profile", __name__)

SECRET = "totp_secret"
"""Session key of the sealed secret of a second factor that is being set up."""

THEMES = {
    Theme.AUTO: lazy_gettext("跟随系统"),
    Theme.LIGHT: lazy_gettext("浅色"),
    Theme.DARK: lazy_gettext("深色"),
}

SWITCHES = ("shortcuts", "sound", "notifications", "notification_text", "dense")
"""Preferences that are on or off."""

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
    switches = {name: name in form for name in SWITCHES}
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
    form, was_temporary = request.form, current_user.password_temporary
    if form["password"] != form["again"]:
        return _page(problem=("again", _("两次输入的新密码不一样。")))
    if form["password"] == form["current"]:
        return _page(problem=("password", _("这就是现在的密码，换一个。")))
    try:
        require_password()
        service.change_password(
            db.engine, actor(), current_user.id, form["password"], current_user.session_id
        )
    except OperatorError as error:
        field = "current" if error.problem is Problem.OWN_PASSWORD else "password"
        return _page(problem=(field, PROBLEMS[error.problem]))
    flash(_("密码已更换，其他浏览器里的登录已经退出。"), "success")
    return redirect(safe_next_url() if was_temporary else url_for("admin.profile.show"), 303)


@bp.get("/profile/second-factor")
def set_up_second_factor() -> ResponseReturnValue:
    if current_user.totp_secret:
        return redirect(url_for("admin.profile.show"))
    secret = _pending_secret()
    if not secret:
        secret = factor.make_secret()
        session[SECRET] = services().sealer.seal(secret)
    return _setup(secret)


@bp.post("/profile/second-factor")
@role(Role.VIEWER)
def turn_on_second_factor() -> ResponseReturnValue:
    secret, sealer = _pending_secret(), services().sealer
    if not secret or current_user.totp_secret:
        return redirect(url_for("admin.profile.set_up_second_factor"), 303)
    code, now = request.form["code"], database_now()
    try:
        require_password()
        codes = factor.turn_on(db.engine, sealer, actor(), current_user.id, secret, code, now)
    except OperatorError as error:
        field = "current" if error.problem is Problem.OWN_PASSWORD else "code"
        return _setup(secret, (field, PROBLEMS[error.problem]))
    del session[SECRET]
    return render_template("admin/recovery_codes.html", codes=codes)


@bp.post("/profile/second-factor/remove")
@role(Role.VIEWER)
def turn_off_second_factor() -> ResponseReturnValue:
    try:
        require_password()
    except OperatorError as error:
        return _page(problem=("factor", PROBLEMS[error.problem]))
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


def _page(problem: tuple[str, Any] | None = None) -> ResponseReturnValue:
    """Render the settings, with 422 if there is a `problem`: a field and its error message.

    While the password is temporary, the page only asks for another one.
    """
    name = "new_password" if current_user.password_temporary else "profile"
    page = render_template(
        f"admin/{name}.html",
        next_url=safe_next_url(),
        problem=dict([problem]) if problem else {},
        sessions=sessions_of(current_user.id),
        themes=THEMES,
        time_zones=service.time_zones(),
    )
    return page, 422 if problem else 200


def sessions_of(operator_id: int) -> Sequence[OperatorSession]:
    """Return the sessions that have not expired, the last used first."""
    unexpired = OperatorSession.expires_at > database_now()
    found = select(OperatorSession).where(OperatorSession.operator_id == operator_id, unexpired)
    return db.session.scalars(found.order_by(OperatorSession.seen_at.desc())).all()


def _pending_secret() -> str | None:
    """Return the secret that is being set up. It is sealed, since browsers keep cookies on disk."""
    return services().sealer.open(session.get(SECRET, ""))


def _setup(secret: str, problem: tuple[str, Any] | None = None) -> ResponseReturnValue:
    code = segno.make(factor.provisioning_uri(current_user.name, secret)).svg_data_uri(
        scale=5, border=2, light="#fff"
    )
    page = render_template(
        "admin/second_factor_setup.html",
        secret=secret,
        qr_code=code,
        demanded=must_have_second_factor(),
        problem=dict([problem]) if problem else {},
    )
    return page, 422 if problem else 200
