"""Health checks for supervisors and load balancers, and metrics for Prometheus. They reveal no details."""

from __future__ import annotations

import ipaddress
from hmac import compare_digest

from flask import Blueprint, Response, abort, request

from ..extensions import db
from ..services.health.status import check_database, describe
from ..wiring import services

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """Report that the process answers requests."""
    return Response("ok", mimetype="text/plain")


@bp.get("/readyz")
def readyz() -> Response:
    """Report whether messages can be recorded. That does not depend on a worker."""
    inbox = services().inbox
    state = check_database(db.engine, services().migrations)
    if state == "ok" and inbox.last_error:
        state = describe(inbox.last_error)
    return Response(f"database: {state}", 200 if state == "ok" else 503, mimetype="text/plain")


@bp.get("/metrics")
def metrics() -> Response:
    recorded = services().metrics or abort(404)
    if not _may_read_metrics():
        abort(401)
    return Response(recorded.text(), mimetype="text/plain")


def _may_read_metrics() -> bool:
    """Whether the request has the token, or comes from this machine and not through a proxy on it."""
    settings = services().settings
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if settings.metrics_token and compare_digest(given.encode(), settings.metrics_token.encode()):
        return True
    return is_loopback(request.remote_addr or "") and "X-Forwarded-For" not in request.headers


def is_loopback(address: str) -> bool:
    """Whether an IP address is that of this machine; False for other names."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
