"""Demo: HTTP errors."""

from __future__ import annotations

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

bp = Blueprint("errors", __name__)


@bp.route("/test2")
def test2() -> ResponseReturnValue:
    abort(401)
