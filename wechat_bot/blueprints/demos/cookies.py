"""Demo: cookies."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, request, url_for
from flask_babel import gettext as _
from markupsafe import escape

bp = Blueprint("cookies", __name__)


@bp.route("/setcookie")
def setcookie() -> Response:
    resp = make_response(_("Cookie 已设置。"))
    resp.set_cookie(
        "username", "zhanggd", max_age=3600, path=url_for("demos.index"), httponly=True, samesite="Lax"
    )
    return resp


@bp.route("/getcookie")
def getcookie() -> str:
    return escape(request.cookies.get("username", _("还没有名为 username 的 cookie。")))


@bp.route("/deletecookie")
def deletecookie() -> Response:
    resp = make_response(_("Cookie 已删除。"))
    resp.delete_cookie("username", path=url_for("demos.index"))
    return resp
