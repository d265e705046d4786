"""Demo: HTTP methods."""

from __future__ import annotations

from flask import Blueprint, request

bp = Blueprint("methods", __name__)


@bp.route("/testzz", methods=["GET", "POST"])
def testzz() -> str:
    if request.method == "GET":
        return "the get"
    return "the post"


@bp.get("/methods")
def read() -> str:
    return "the get"


@bp.post("/methods")
def write() -> str:
    return "the post"
