"""Demo: decorators of views."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import ParamSpec

from flask import Blueprint, Response, make_response
from flask.typing import ResponseReturnValue

P = ParamSpec("P")

bp = Blueprint("decorators", __name__)


def timed(view: Callable[P, ResponseReturnValue]) -> Callable[P, Response]:
    @functools.wraps(view)
    def timed_view(*args: P.args, **kwargs: P.kwargs) -> Response:
        started = time.perf_counter()
        response = make_response(view(*args, **kwargs))
        milliseconds = (time.perf_counter() - started) * 1000
        response.headers["Server-Timing"] = f"view;dur={milliseconds:.3f}"
        return response

    return timed_view


@bp.route("/decorated")
@timed
def decorated() -> str:
    return "see the header Server-Timing"
