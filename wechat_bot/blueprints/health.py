"""Supervisors and load balancers: quick, and silent about details."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from ..extensions import db
from ..services.health import check_database, describe
from ..services.inbox import Inbox

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return Response("ok", mimetype="text/plain")


@bp.get("/readyz")
def readyz() -> Response:
    """Messages can be recorded."""
    inbox: Inbox = current_app.extensions["inbox"]
    state = check_database(db.engine, current_app.extensions["migrate"].directory)
    if state == "ok" and inbox.trouble:
        state = describe(inbox.trouble)
    return Response(f"database: {state}", 200 if state == "ok" else 503, mimetype="text/plain")
