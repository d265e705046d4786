"""Demo: routes and their variables."""

from __future__ import annotations

from flask import Blueprint
from markupsafe import escape

bp = Blueprint("routing", __name__)


@bp.route("/hello")
def index() -> str:
    return "hello,world"


@bp.route("/hello/<username>")
def hello(username: str) -> str:
    return f"hello {escape(username)}"


@bp.route("/count/<int:c>")
@bp.route("/hello1/<int:c>")
def count(c: int) -> str:
    return f"you entered {c}"


@bp.route("/path/<path:p>")
@bp.route("/hello2/<path:p>")
def hello2(p: str) -> str:
    return f"the path is {escape(p)}"


@bp.route("/hello3/<float:f>")
def hello3(f: float) -> str:
    return f"the float is {f}"


@bp.route("/float/<float(signed=True):f>")
def signed(f: float) -> str:
    return f"the float is {f}"
