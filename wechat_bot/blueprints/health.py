"""Supervisors, load balancers and Prometheus: quick, and silent about details to strangers."""

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
    """The process answers."""
    return Response("ok", mimetype="text/plain")


@bp.get("/readyz")
def readyz() -> Response:
    """Messages can be recorded. Without a worker they still are, and answered."""
    inbox = services().inbox
    state = check_database(db.engine, services().migrations)
    if state == "ok" and inbox.last_error:
        state = describe(inbox.last_error)
    return Response(f"database: {state}", 200 if state == "ok" else 503, mimetype="text/plain")


@bp.get("/metrics")
def metrics() -> Response:
    """Figures for Prometheus, if they are on."""
    figures = services().metrics or abort(404)
    if not _may_read_figures():
        abort(401)
    return Response(figures.text(), mimetype="text/plain")


def _may_read_figures() -> bool:
    """Whoever has the token, and this machine itself; a proxy on it speaks for others."""
    settings = services().settings
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if settings.metrics_token and compare_digest(given.encode(), settings.metrics_token.encode()):
        return True
    return is_local() and "X-Forwarded-For" not in request.headers


def is_local() -> bool:
    """Whether the request comes from this machine."""
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
