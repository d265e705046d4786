"""Demo: request data in the query, forms, JSON and headers."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import escape

bp = Blueprint("request_data", __name__)


@bp.route("/login", methods=["GET", "POST"])
def login() -> str:
    if request.method == "GET":
        username = request.args.get("username")
        passwd = request.args.get("passwd")
        return render_template("demos/login.html", m="GET METHOD", username=username, passwd=passwd)
    username = request.form["username"]
    passwd = request.form["passwd"]
    return render_template("demos/login.html", m="POST METHOD", username=username, passwd=passwd)


@bp.post("/json")
def echo_json() -> ResponseReturnValue:
    return {"received": request.get_json()}


@bp.get("/headers")
def user_agent() -> str:
    return f"your browser says that it is {escape(request.headers['User-Agent'])}"
