"""Authentication and authorization of the console: one guard for all views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import UserMixin, current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.wrappers import Response

from ...database.clock import database_now
from ...extensions import csrf, db, login
from ...languages import LANGUAGES
from ...models import Operator, Role
from ...security import SAFE_METHODS
from ...services.audit import Actor
from ...services.operators import management
from ...services.operators.management import OperatorError, Problem
from ...services.operators.sign_in import Authenticated, SignInRefused, authenticate, check_password
from ...wiring import services
from ..shared.labels import PROBLEMS, ROLES
from ..site import explain
from .devices import address, client

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

STATIC = "admin.static"


class CurrentOperator(UserMixin):  # type: ignore[misc]
    """The operator of the browser's session, as `current_user`. Has the attributes of `Operator`."""

    def __init__(self, token: str, authenticated: Authenticated) -> None:
        self.token = token
        self.operator: Operator = authenticated.operator
        self.session_id = authenticated.session_id

    def get_id(self) -> str:
        return self.token

    def __getattr__(self, name: str) -> Any:
        return getattr(self.operator, name)


@login.user_loader  # type: ignore[untyped-decorator]
def load(token: str) -> CurrentOperator | None:
    """Return the operator of the session with this token; None if there is none.

    Also None when the database does not answer: the guard then responds with 503.
    """
    try:
        authenticated = authenticate(db.engine, token, database_now())
    except SQLAlchemyError:
        current_app.logger.exception("nobody can be recognised")
        g.authentication_failed = True
        return None
    return CurrentOperator(token, authenticated) if authenticated else None


def role(needed: Role | None) -> Callable[[View], View]:
    """Decorate a view, below its route, with the role it needs; None: it needs no session."""

    def mark(view: View) -> View:
        view.role = needed  # type: ignore[attr-defined]
        return view

    return mark


def max_content_length(size: int) -> Callable[[View], View]:
    """Decorate a view, below its route, that takes requests of up to `size` bytes from operators."""

    def mark(view: View) -> View:
        view.max_content_length = size  # type: ignore[attr-defined]
        return view

    return mark


def guard() -> ResponseReturnValue | None:
    """Check the CSRF token, the session and the role before each view.

    A view that names no role needs a viewer for GET and an operator for other methods.
    """
    view = current_app.view_functions[request.endpoint or ""]
    limit = getattr(view, "max_content_length", None)
    if limit and current_user.is_authenticated:
        request.max_content_length = limit  # before the form is parsed for its token
    csrf.protect()
    default = Role.VIEWER if request.method in SAFE_METHODS else Role.OPERATOR
    needed: Role | None = getattr(view, "role", default)
    if needed is None or request.endpoint == STATIC:
        return None
    if refusal := require(needed):
        return refusal
    _remember_language()
    return None


def require(needed: Role) -> ResponseReturnValue | None:
    """Return the response to a request without a session or before the account is secured, otherwise None.

    Aborts with 403 if the role of the signed-in operator does not include `needed`.
    """
    if not current_user.is_authenticated:
        if g.get("authentication_failed"):
            abort(503, _("数据库暂时连接不上，请过一会儿再试。"))
        return _lead_to("admin.sign_in.show", 401)
    own = Role(current_user.role)
    if not own.includes(needed):
        abort(403, _("这需要“%(needed)s”的权限，你的角色是“%(own)s”。", needed=ROLES[needed], own=ROLES[own]))
    open_views = _views_to_secure_account()
    if open_views and request.endpoint not in {*open_views, "admin.sign_in.sign_out"}:
        return _lead_to(open_views[0], 403)
    return None


def _views_to_secure_account() -> tuple[str, ...]:
    """Return the only views that are open, the first of them a page, while the account is not secure."""
    if current_user.password_temporary:
        return "admin.profile.show", "admin.profile.change_password"
    if must_have_second_factor() and not current_user.totp_secret:
        return "admin.profile.set_up_second_factor", "admin.profile.turn_on_second_factor"
    return ()


def must_have_second_factor() -> bool:
    return services().settings.admins_need_second_factor and current_user.role == Role.ADMIN


def _lead_to(endpoint: str, code: int) -> ResponseReturnValue:
    """Redirect a page to another one, from which it is reached again. Abort with `code` what is no page."""
    if "HX-Request" in request.headers or "text/html" not in request.headers.get("Accept", "text/html"):
        abort(code)
    here = request.script_root + request.full_path.removesuffix("?")
    return redirect(url_for(endpoint, next=here if request.method == "GET" else None), 303)


def require_password() -> None:
    """Check the field ``current`` of the form, which a stolen session does not know.

    :raises OperatorError: if it is not the operator's password, or too many attempts have failed.
    """
    try:
        check_password(db.engine, current_user.name, request.form["current"], client(), database_now())
    except SignInRefused as error:
        raise OperatorError(Problem.OWN_PASSWORD) from error


def _remember_language() -> None:
    """Store the language that is chosen with ``?lang=`` as the operator's preference."""
    chosen = request.args.get("lang")
    if chosen in LANGUAGES and chosen != current_user.language:
        management.set_preferences(db.engine, current_user.id, language=chosen)


def keep_out_of_caches(response: Response) -> Response:
    if request.endpoint != STATIC:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def explain_error(error: HTTPException) -> Response:
    """Show an error within the console's layout, unless it may be an error of the database that fills it."""
    framed = current_user.is_authenticated and (error.code or 500) < 500
    return explain(error, "admin/error.html" if framed else "error.html")


def refuse_forgery(_error: CSRFError) -> Response:
    return explain_error(BadRequest(_("这个页面过期了，或者请求来自别的网站：回到上一页，刷新后再试。")))


def explain_problem(error: OperatorError) -> Response:
    """Handle the error for views that have no form on which to show it."""
    kind = NotFound if error.problem is Problem.UNKNOWN else BadRequest
    return explain_error(kind(str(PROBLEMS[error.problem])))


def actor() -> Actor:
    return Actor(current_user.id, current_user.name, address())


def safe_next_url() -> str:
    """Return the parameter ``next`` if it is a path of this site, else the console's first page."""
    target = request.values.get("next", "")
    # Browsers drop tabs and line breaks, read a backslash as a slash, and two slashes as another host.
    is_path = target.startswith("/") and not target.startswith("//") and target.isprintable()
    return target if is_path and not {" ", "\\"} & set(target) else url_for("admin.home")
