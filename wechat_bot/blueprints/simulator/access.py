"""Who may play the platform: anybody at this machine in development, elsewhere operators."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from ...models import Role
from ...security import same_origin
from ...wiring import services
from ..admin.access import ROLES, ask_to_sign_in
from . import bp

FOR_PROGRAMS = {"simulator.api", "simulator.media", "simulator.static"}
"""What the bot asks for has other ways to tell who asks: tokens, and names that nobody guesses."""
MAX_UPLOAD = 20 << 20
"""Bytes of a file that a follower sends."""


@bp.before_request
@same_origin
def guard() -> ResponseReturnValue | None:
    request.max_content_length = MAX_UPLOAD
    if is_open() or request.endpoint in FOR_PROGRAMS:
        return None
    if not services().settings.console_is_on:
        abort(404)
    if not current_user.is_authenticated:
        return ask_to_sign_in()
    own = Role(current_user.role)
    if not own.includes(Role.OPERATOR):
        needed = ROLES[Role.OPERATOR]
        abort(403, _("这需要“%(needed)s”的权限，你的角色是“%(own)s”。", needed=needed, own=ROLES[own]))
    return None


def is_open() -> bool:
    """Whether nobody needs to sign in: the request comes from this machine, and not through a tunnel to it,
    as developers have who let the platform in."""
    return (
        services().settings.simulator_is_open
        and "X-Forwarded-For" not in request.headers
        and _is_for_this_machine()
    )


def _is_for_this_machine() -> bool:
    name = urlsplit(f"//{request.host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


@bp.after_request
def keep_out_of_caches(response: Response) -> Response:
    if request.endpoint not in FOR_PROGRAMS:
        response.headers["Cache-Control"] = "no-store"
    return response
