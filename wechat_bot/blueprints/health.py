"""Health checks for supervisors and load balancers, and metrics for Prometheus. They reveal no details."""

from __future__ import annotations

import ipaddress
import re
from hmac import compare_digest

from flask import Blueprint, Response, abort, request

from ..services.health.status import READY, describe
from ..wiring import services

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """Report that the process answers requests."""
    return Response("ok", mimetype="text/plain")


@bp.get("/readyz")
def readyz() -> Response:
    """Report whether messages can be recorded. That does not depend on a worker."""
    error = services().inbox.last_error
    state = describe(error) if error else services().doctor.readiness()
    return Response(f"database: {state}", 200 if state in READY else 503, mimetype="text/plain")


@bp.get("/metrics")
def metrics() -> Response:
    recorded = services().metrics or abort(404)
    if not _may_read_metrics():
        abort(401)
    return Response(recorded.text(), mimetype="text/plain")


def _may_read_metrics() -> bool:
    """Whether the request has the token, or comes from this machine."""
    settings = services().settings
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if settings.metrics_token and compare_digest(given.encode(), settings.metrics_token.encode()):
        return True
    return is_from_this_machine()


def is_from_this_machine() -> bool:
    """Whether the request comes from this machine, to an address of it, and not through a proxy on it.

    A page of another site reaches an address of this machine under a name of its own (DNS rebinding), so
    that name does not count.
    """
    name = re.sub(r":\d+$", "", request.host).strip("[]")
    addresses = (request.remote_addr or "", "127.0.0.1" if name == "localhost" else name)
    own = services().settings.host
    is_local = all(is_loopback(address) or address == own for address in addresses)
    return is_local and "X-Forwarded-For" not in request.headers


def is_loopback(address: str) -> bool:
    """Whether an IP address is that of this machine; False for other names."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
