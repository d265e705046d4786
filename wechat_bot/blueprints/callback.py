"""The callback URL: GET verifies it, POST receives a push (``wechat-platform.md`` section 1)."""

from __future__ import annotations

import logging
import time
import traceback
from pathlib import Path

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from ..services.health.call_stats import PROGRAM_FAULT, VERIFIED
from ..services.inbox.receiving import LeftUnanswered
from ..services.inbox.recorder import NotRecorded
from ..wechat.errors import MalformedMessage, Refusal, WebhookError
from ..wiring import services

log = logging.getLogger(__name__)

bp = Blueprint("callback", __name__)

MAX_BODY = 1 << 20
"""Maximum size of a push, in bytes."""


def _text(text: str, status: int = 200, mimetype: str = "text/plain") -> Response:
    return Response(text, status, mimetype=mimetype)


@bp.get("/wechat", strict_slashes=False, provide_automatic_options=False)
def verify() -> Response:
    echo = services().webhook.handshake(_query())
    services().call_stats.record_request(VERIFIED)
    return _text(echo)


@bp.post("/wechat", strict_slashes=False, provide_automatic_options=False)
def push() -> Response:
    g.started, g.kind = time.perf_counter(), "unknown"
    webhook, inbox = services().webhook, services().inbox
    request.max_content_length = MAX_BODY
    incoming = webhook.open(_query(), request.get_data(cache=False))
    g.kind = type(incoming.message).__name__
    reply = inbox.receive(incoming.message)
    answer = _text(webhook.seal(incoming, reply), mimetype="application/xml") if reply else _text("success")
    outcome = reply.kind if reply else "success"
    log.info("%s answered with %s in %.0f ms", g.kind, outcome, _record_push(outcome) * 1000)
    return answer


def _query() -> str:
    return request.query_string.decode("ascii", errors="replace")


def _record_push(outcome: str) -> float:
    """Record a push that was handled, and return its duration in seconds."""
    seconds: float = time.perf_counter() - g.started
    services().call_stats.record_push(g.kind, outcome, seconds)
    return seconds


@bp.errorhandler(WebhookError)
def refuse(error: WebhookError) -> Response:
    log.warning("refused: %s", error)
    services().call_stats.record_request(error.cause, error.detail)
    return _text("malformed", 400) if isinstance(error, MalformedMessage) else _text("forbidden", 403)


@bp.errorhandler(LeftUnanswered)
def leave_unanswered(_: LeftUnanswered) -> Response:
    log.info("left to the next push")
    _record_push("unanswered")
    return _text("not yet", 503)


@bp.errorhandler(NotRecorded)
def ask_again(error: NotRecorded) -> Response:
    log.error("not recorded, the platform shall push again: %s", error)
    _record_push("not recorded")
    return _text("unavailable", 503)


@bp.errorhandler(RequestEntityTooLarge)
def refuse_size(error: RequestEntityTooLarge) -> Response:
    services().call_stats.record_request(Refusal.TOO_LARGE, f"{request.content_length or 0} bytes")
    return explain(error)


@bp.errorhandler(HTTPException)
def explain(error: HTTPException) -> Response:
    return _text(error.name, error.code or 500)


@bp.errorhandler(Exception)
def report_fault(error: Exception) -> Response:
    """Log a fault of the program and count it for the health page; the platform pushes the message again."""
    log.exception("a push failed, the platform shall push again")
    services().call_stats.record_request(PROGRAM_FAULT, _describe(error))
    if "started" in g:
        _record_push("failed")
    return _text("unavailable", 503)


def _describe(error: Exception) -> str:
    """Return the type and the place of an error. Its text may contain what a follower wrote."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"


@bp.after_app_request
def notice_wrong_path(response: Response) -> Response:
    """Record requests with a valid signature at other paths: the URL in the platform's console is wrong."""
    signed = request.blueprint != bp.name and b"signature=" in request.query_string
    if signed and services().webhook.has_valid_signature(_query()):
        services().call_stats.record_request(Refusal.WRONG_PATH, request.path)
    return response
