"""What browsers are told about every page, and which requests of theirs are not ours."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from flask_babel import gettext as _

P = ParamSpec("P")
R = TypeVar("R")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self';"
        " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Every answer carries these, but those to the platform, which reads none; a view may set its own."""
HSTS = "max-age=31536000"

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def init_app(app: Flask) -> None:
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    if request.blueprint == "callback":
        return response
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", HSTS)
    return response


def same_origin(view: Callable[P, R]) -> Callable[P, R]:
    """Answer 403 when the page of another site made a browser send a request that changes something.

    Needs no token: every browser tells where such a request comes from, and what sends neither of the
    two headers is no browser, so it carries nobody's cookies against their will.
    """

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if request.method not in SAFE_METHODS and _comes_from_elsewhere():
            abort(403, _("这个请求是另一个网站发起的。"))
        return view(*args, **kwargs)

    return guarded


def _comes_from_elsewhere() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host
