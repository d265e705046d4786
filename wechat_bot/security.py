"""Security headers of responses, protection from cross-site request forgery, and modes of files."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from flask import Flask, Response, abort, request
from flask_babel import gettext as _

log = logging.getLogger(__name__)

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
"""Default headers of all responses but those to the platform, which ignores them. Views may override them."""
HSTS = "max-age=31536000"

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def init_app(app: Flask) -> None:
    _keep_files_private(Path(app.instance_path))
    app.after_request(add_headers)


def _keep_files_private(folder: Path) -> None:
    """Let no other user of the machine read what this process writes, nor what `folder` holds already."""
    os.umask(0o077)
    try:
        folder.chmod(0o700)
    except FileNotFoundError:  # it is created when it is needed
        pass
    except OSError as error:  # it belongs to another user, or is read-only
        log.warning("%s should have the mode 700, but cannot get it: %s", folder, error.strerror)


def add_headers(response: Response) -> Response:
    if request.blueprint == "callback":
        return response
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", HSTS)
    return response


def same_origin(view: Callable[P, R]) -> Callable[P, R]:
    """Answer 403 to a state-changing request that a page of another site caused.

    No CSRF token is needed: every browser sends ``Sec-Fetch-Site`` or ``Origin`` with such a request. A
    client that sends neither is not a browser, so no user's cookies can be misused with it.
    """

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if request.method not in SAFE_METHODS and _is_cross_site():
            abort(403, _("这个请求是另一个网站发起的。"))
        return view(*args, **kwargs)

    return guarded


def _is_cross_site() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host
