"""Device cookies, by which a browser in which an operator has signed in is known again.

Failures of strangers make a name wait, but not the browsers that its operator has used before. The cookie
proves nothing else. See "Slow Down Online Guessing Attacks with Device Cookies" of OWASP.
"""

from __future__ import annotations

from flask import request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from ...services.operators.sign_in import ClientInfo
from ...services.operators.throttle import new_device
from ...wiring import services

COOKIE = "device"
MAX_AGE = 365 * 24 * 3600
"""In seconds, since the last sign-in."""


def address() -> str:
    return request.remote_addr or ""


def client() -> ClientInfo:
    """Return the address, the browser and the device cookie of the current request."""
    return ClientInfo(address(), request.user_agent.string, _device())


def remember_device(response: Response, operator_id: int) -> None:
    """Give the browser a new device cookie after a sign-in of this operator."""
    response.set_cookie(
        COOKIE,
        _serializer().dumps(new_device(operator_id)),
        max_age=MAX_AGE,
        path=url_for("admin.home"),
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )


def _device() -> str:
    try:
        return str(_serializer().loads(request.cookies.get(COOKIE, ""), MAX_AGE))
    except BadSignature:
        return ""


def _serializer() -> URLSafeTimedSerializer:
    newest_last = services().settings.secret_keys[::-1]
    return URLSafeTimedSerializer(newest_last, salt="wechat_bot device")
