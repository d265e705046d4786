"""Access to the simulator: without signing in on this machine in development, otherwise for operators."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.wrappers import Response

from ...models import Role
from ...security import same_origin
from ...wiring import services
from ..admin.access import ask_to_sign_in, check_role
from ..health import is_loopback
from . import bp

PUBLIC_ENDPOINTS = {"simulator.api", "simulator.media", "simulator.static"}
"""Endpoints for programs such as the bot, which are protected by tokens and by random names of media."""
MAX_UPLOAD = 20 << 20
"""Maximum size of a request with a file that a follower sends, in bytes."""


@bp.before_request
@same_origin
def guard() -> ResponseReturnValue | None:
    request.max_content_length = MAX_UPLOAD
    if is_open() or request.endpoint in PUBLIC_ENDPOINTS:
        return None
    if not services().settings.console_is_on:
        abort(404)
    if not current_user.is_authenticated:
        return ask_to_sign_in()
    check_role(Role.OPERATOR)
    return None


def is_open() -> bool:
    """Whether no sign-in is required: the request comes from this machine, and not through a tunnel, which
    makes a developer's machine reachable for the platform."""
    name = urlsplit(f"//{request.host}").hostname or ""
    is_local = name == "localhost" or is_loopback(name)
    return services().settings.simulator_is_open and is_local and "X-Forwarded-For" not in request.headers


@bp.after_request
def disable_caching(response: Response) -> Response:
    if request.endpoint not in PUBLIC_ENDPOINTS:
        response.headers["Cache-Control"] = "no-store"
    return response
