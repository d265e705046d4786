"""Demo: return values of views."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response, make_response, render_template
from flask.typing import ResponseReturnValue

bp = Blueprint("responses", __name__)


@bp.route("/test3")
def test3() -> Response:
    resp = make_response(render_template("demos/404.html"), 404)
    resp.headers["test"] = "test"
    return resp


@bp.route("/responses/string")
def string() -> str:
    return "only a body"


@bp.route("/responses/tuple")
def in_a_tuple() -> ResponseReturnValue:
    return "body, status, headers", 201, {"test": "test"}


@bp.route("/responses/object")
def response_object() -> Response:
    return Response("a response object", mimetype="text/plain")


@bp.route("/responses/json")
def json() -> ResponseReturnValue:
    return {"hello": "world"}


@bp.route("/responses/stream")
def stream() -> Response:
    def lines() -> Iterator[str]:
        for number in range(1, 4):
            yield f"line {number}\n"

    return Response(lines(), mimetype="text/plain")
