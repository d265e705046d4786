"""Pages of the whole site: the home page ``/`` and the error pages."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import BadRequestKeyError, HTTPException, ServiceUnavailable
from werkzeug.wrappers import Response as BaseResponse

from ..database.transactions import is_unavailable

bp = Blueprint("site", __name__)

HOMES = ("simulator.phone", "admin.home", "demos.index")
"""``/`` redirects to the first of these endpoints that is registered."""

RETRY_SECONDS = 5
"""Seconds after which a browser may ask again for a page that the database did not answer."""

ERRORS = {
    400: (lazy_gettext("请求有误"), lazy_gettext("服务器看不懂这个请求。")),
    401: (lazy_gettext("需要登录"), lazy_gettext("先登录，才能看到这里的内容。")),
    403: (lazy_gettext("不允许"), lazy_gettext("你没有做这件事的权限。")),
    404: (lazy_gettext("没有这个页面"), lazy_gettext("网址可能打错了，或者内容已经搬走。")),
    405: (lazy_gettext("不支持这种方法"), lazy_gettext("这个网址存在，但不接受这种 HTTP 方法。")),
    413: (lazy_gettext("太大了"), lazy_gettext("发送的内容超过了上限：请换小一些的文件，或分几次发送。")),
    429: (lazy_gettext("太频繁了"), lazy_gettext("请过一会儿再试。")),
    500: (lazy_gettext("出错了"), lazy_gettext("是我们这边的问题，已经记录下来。")),
    503: (lazy_gettext("暂时不行"), lazy_gettext("请过一会儿再试。")),
}
"""Title and sentence by status. Errors without them are shown under the standard's name."""


@bp.get("/")
def home() -> ResponseReturnValue:
    for endpoint in HOMES:
        if endpoint in current_app.view_functions:
            return redirect(url_for(endpoint))
    return render_template("home.html")


@bp.get("/favicon.ico")
def favicon() -> Response:
    """Answer browsers, which ask for it on pages that name no icon."""
    return current_app.send_static_file("icon.svg")


@bp.app_errorhandler(HTTPException)
def explain(error: HTTPException, template: str = "error.html") -> BaseResponse:
    """Answer browsers with an HTML page, programs with one line. Status and headers are the error's."""
    response = error.get_response()
    title, sentence = ERRORS.get(error.code or 500, (error.name, error.name))
    sentence = _own_sentence(error) or str(sentence or error.name)
    if "text/html" in request.headers.get("Accept", "text/html"):
        response.data = render_template(template, error=error, title=title, sentence=sentence, back=_back())
    else:
        response.data = f"{error.code} {error.name}: {sentence}\n"
        response.mimetype = "text/plain"
    return response


@bp.app_errorhandler(SQLAlchemyError)
def explain_outage(error: SQLAlchemyError) -> BaseResponse:
    """Answer with 503 while the database is busy or away. Other errors are faults of the program."""
    if not is_unavailable(error):
        raise error
    current_app.logger.error("the database is busy or away", exc_info=error)
    return explain(
        ServiceUnavailable(gettext("数据库暂时连接不上，请过一会儿再试。"), retry_after=RETRY_SECONDS)
    )


def _own_sentence(error: HTTPException) -> str | None:
    """Return what the view that raised the error said about it."""
    if isinstance(error, BadRequestKeyError):
        return str(gettext("缺少字段 %(name)s。", name=error.args[0]))
    return error.description if error.description != type(error).description else None


def _back() -> str:
    """Return the page of this site that led to the error, or else the first page of its part of the site."""
    referrer, own = request.referrer or "", f"://{request.host}/"
    is_same_page = request.method == "GET" and referrer == request.url
    if referrer.startswith((f"http{own}", f"https{own}")) and not is_same_page:
        return referrer
    homes = [url_for(endpoint) for endpoint in HOMES if endpoint in current_app.view_functions]
    here = request.script_root + request.path
    return next((home for home in homes if here.startswith(home) and here != home), url_for("site.home"))
