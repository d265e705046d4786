"""Access to the simulator: without signing in on this machine in development, otherwise for operators.

In production only admins may use it, all that they do is audited, and they speak for followers of the
simulator alone.
"""

from __future__ import annotations

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.wrappers import Response

from ...extensions import db
from ...models import Role
from ...security import SAFE_METHODS, same_origin
from ...services import audit
from ...settings import Environment
from ...simulator.openids import is_simulated
from ...simulator.store import StoreFull
from ...wiring import services
from ..admin.access import actor, require
from ..health import is_from_this_machine
from ..site import explain
from . import bp

PUBLIC_ENDPOINTS = {"simulator.api", "simulator.model", "simulator.media", "simulator.static"}
"""Endpoints for programs such as the bot, which are protected by tokens and by random names of media."""
MAX_UPLOAD = 20 << 20
"""Maximum size of a request with a file that a follower sends, in bytes."""


@bp.before_request
@same_origin
def guard() -> ResponseReturnValue | None:
    if request.endpoint in PUBLIC_ENDPOINTS:
        return None
    if not is_open():
        if not services().settings.console_is_on:
            abort(404)
        if refusal := require(Role.ADMIN if in_production() else Role.OPERATOR):
            return refusal
    request.max_content_length = MAX_UPLOAD
    if in_production() and request.method not in SAFE_METHODS:
        audit.record_now(db.engine, actor(), "simulated", detail=_described())
    return None


def _described() -> str:
    follower = request.form.get("follower", "")
    return f"{request.path} {follower}".rstrip()[:1000]


def is_open() -> bool:
    """Whether no sign-in is required: the request comes from this machine, and not through a tunnel, which
    makes a developer's machine reachable for the platform."""
    return services().settings.simulator_is_open and is_from_this_machine()


def in_production() -> bool:
    return services().settings.app_env is Environment.PRODUCTION


def may_speak_for(openid: str) -> bool:
    """Whether the simulator may push for `openid`, which in production must not be that of a person."""
    return not in_production() or is_simulated(openid)


def check_sender(openid: str) -> None:
    """Abort with 403 if the simulator may not push for `openid`."""
    if not may_speak_for(openid):
        abort(403, _("在正式环境里，模拟器只能扮演它自己编出来的粉丝。"))


@bp.errorhandler(StoreFull)
def explain_full_store(_error: StoreFull) -> Response:
    return explain(ServiceUnavailable(_("模拟器存满了：在手机的菜单里选“全部清空”。")))


@bp.after_request
def disable_caching(response: Response) -> Response:
    if request.endpoint != "simulator.static":
        response.headers["Cache-Control"] = "no-store"
    return response
