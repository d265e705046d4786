"""The platform: GET verifies the URL, POST pushes a message (``wechat-platform.md`` section 1)."""

from __future__ import annotations

import logging
import time

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from ..services.health.call_stats import VERIFIED
from ..services.inbox.receiving import LeftUnanswered
from ..services.inbox.recorder import NotRecorded
from ..wechat.errors import MalformedMessage, Refusal, WebhookError
from ..wiring import services

log = logging.getLogger(__name__)

bp = Blueprint("callback", __name__)

MAX_BODY = 1 << 20


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
    log.info("%s answered with %s in %.0f ms", g.kind, outcome, _count(outcome) * 1000)
    return answer


def _query() -> str:
    return request.query_string.decode("ascii", errors="replace")


def _count(outcome: str) -> float:
    """Count a push that has ended; the seconds that it took."""
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
    _count("unanswered")
    return _text("not yet", 503)


@bp.errorhandler(NotRecorded)
def ask_again(error: NotRecorded) -> Response:
    log.error("not recorded, the platform shall push again: %s", error)
    _count("not recorded")
    return _text("unavailable", 503)


@bp.errorhandler(RequestEntityTooLarge)
def refuse_size(error: RequestEntityTooLarge) -> Response:
    services().call_stats.record_request(Refusal.TOO_LARGE, f"{request.content_length or 0} bytes")
    return explain(error)


@bp.errorhandler(HTTPException)
def explain(error: HTTPException) -> Response:
    return _text(error.name, error.code or 500)


@bp.errorhandler(Exception)
def survive(_: Exception) -> Response:
    log.exception("a push failed, the platform shall push again")
    if "started" in g:
        _count("failed")
    return _text("unavailable", 503)


@bp.after_app_request
def notice_wrong_path(response: Response) -> Response:
    """The platform's requests are told from others by their signature, if the URL was entered wrongly."""
    signed = request.blueprint != bp.name and b"signature=" in request.query_string
    if signed and services().webhook.has_signed(_query()):
        services().call_stats.record_request(Refusal.WRONG_PATH, request.path)
    return response
