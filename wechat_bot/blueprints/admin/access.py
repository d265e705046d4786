"""Who is at the browser, and what they may do: one guard for all views of the console."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_login import UserMixin, current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response

from ...extensions import csrf, db, login
from ...languages import LANGUAGES
from ...models import Operator, Role
from ...security import SAFE_METHODS
from ...services.audit import Actor
from ...services.operators import management
from ...services.operators.management import OperatorError, Problem
from ...services.operators.sign_in import Authenticated, authenticate
from ..site import explain
from . import bp

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

ROLES = {
    Role.VIEWER: lazy_gettext("只读"),
    Role.OPERATOR: lazy_gettext("客服"),
    Role.ADMIN: lazy_gettext("管理员"),
}
PROBLEMS = {
    Problem.NAME: lazy_gettext("名称要有 1 到 64 个字母、数字、汉字或 - _ 等符号，不能有空格。"),
    Problem.NAME_TAKEN: lazy_gettext("已经有叫这个名称的操作员。"),
    Problem.PASSWORD: lazy_gettext("密码要有 10 到 256 个字符。"),
    Problem.CODE: lazy_gettext("验证码不对：核对一下手机的时间，再用一个新的验证码。"),
    Problem.TIME_ZONE: lazy_gettext("没有这个时区。"),
    Problem.LAST_ADMIN: lazy_gettext("这是最后一个管理员：先再设一个。"),
    Problem.UNKNOWN: lazy_gettext("没有这个操作员。"),
}


class CurrentOperator(UserMixin):  # type: ignore[misc]
    """`current_user`: the operator whose session this is. Has all that the operator has."""

    def __init__(self, token: str, recognised: Authenticated) -> None:
        self.token = token
        self.operator: Operator = recognised.operator
        self.session_id = recognised.session_id

    def get_id(self) -> str:
        return self.token

    def __getattr__(self, name: str) -> Any:
        return getattr(self.operator, name)


@login.user_loader  # type: ignore[untyped-decorator]
def load(token: str) -> CurrentOperator | None:
    """Asked once for each request; a database that is away is told by the guard, which knows how."""
    try:
        recognised = authenticate(db.engine, token, datetime.now(UTC))
    except SQLAlchemyError:
        current_app.logger.exception("nobody can be recognised")
        g.nobody_can_be_recognised = True
        return None
    return CurrentOperator(token, recognised) if recognised else None


def role(needed: Role | None) -> Callable[[View], View]:
    """The role that a view needs, below its route; None: no session either."""

    def mark(view: View) -> View:
        view.role = needed  # type: ignore[attr-defined]
        return view

    return mark


@bp.before_request
def guard() -> ResponseReturnValue | None:
    """Without a session to the sign-in page, without the role no further, and nothing is changed that the
    browser was not asked to. A view that names no role can be read by viewers and written to by operators."""
    csrf.protect()
    default = Role.VIEWER if request.method in SAFE_METHODS else Role.OPERATOR
    needed: Role | None = getattr(current_app.view_functions[request.endpoint or ""], "role", default)
    if needed is None or request.endpoint == f"{bp.name}.static":
        return None
    if not current_user.is_authenticated:
        return ask_to_sign_in()
    own = Role(current_user.role)
    if not own.includes(needed):
        abort(403, _("这需要“%(needed)s”的权限，你的角色是“%(own)s”。", needed=ROLES[needed], own=ROLES[own]))
    _remember_language()
    return None


def ask_to_sign_in() -> ResponseReturnValue:
    """The answer to a request of nobody."""
    if g.get("nobody_can_be_recognised"):
        abort(503, _("数据库暂时连接不上，请过一会儿再试。"))
    if "HX-Request" in request.headers or "text/html" not in request.headers.get("Accept", "text/html"):
        abort(401)
    here = request.script_root + request.full_path.removesuffix("?")
    return redirect(url_for("admin.sign_in", next=here if request.method == "GET" else None), 303)


def _remember_language() -> None:
    """What is chosen with ``?lang=`` is the operator's language everywhere."""
    chosen = request.args.get("lang")
    if chosen in LANGUAGES and chosen != current_user.language:
        management.set_preferences(db.engine, current_user.id, language=chosen)


@bp.after_request
def keep_out_of_caches(response: Response) -> Response:
    if request.endpoint != f"{bp.name}.static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


@bp.errorhandler(CSRFError)
def refuse_forgery(_error: CSRFError) -> Response:
    return explain(BadRequest(_("这个页面过期了，或者请求来自别的网站：回到上一页，刷新后再试。")))


@bp.errorhandler(OperatorError)
def tell_problem(error: OperatorError) -> Response:
    """For views that have no form to show it on."""
    kind = NotFound if error.problem is Problem.UNKNOWN else BadRequest
    return explain(kind(str(PROBLEMS[error.problem])))


@bp.context_processor
def inject_current_operator() -> dict[str, Any]:
    return {"current_user": current_user, "roles": ROLES}


def actor() -> Actor:
    """Who makes this request, for the audit log."""
    return Actor(current_user.id, current_user.name, address())


def address() -> str:
    return request.remote_addr or ""


def safe_next_url() -> str:
    """Where ``next`` leads, if that is a page of this site; else the console's first page."""
    target = request.values.get("next", "")
    # Browsers leave out tabs and line breaks, take a backslash for a slash, and two slashes for another site.
    is_path = target.startswith("/") and not target.startswith("//") and target.isprintable()
    return target if is_path and not {" ", "\\"} & set(target) else url_for("admin.home")
