"""The platform: GET verifies the URL, POST pushes a message (``wechat-platform.md`` section 1)."""

from __future__ import annotations

import logging
import time

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException

from ..services.inbox import Inbox, LeftUnanswered
from ..services.recorder import NotRecorded
from ..wechat.errors import MalformedMessage, WebhookError
from ..wechat.webhook import Webhook

log = logging.getLogger(__name__)

bp = Blueprint("callback", __name__)

MAX_BODY = 1 << 20


def _text(text: str, status: int = 200, mimetype: str = "text/plain") -> Response:
    return Response(text, status, mimetype=mimetype)


@bp.get("/wechat", strict_slashes=False, provide_automatic_options=False)
def verify() -> Response:
    webhook: Webhook = current_app.extensions["webhook"]
    return _text(webhook.handshake(_query()))


@bp.post("/wechat", strict_slashes=False, provide_automatic_options=False)
def push() -> Response:
    started = time.perf_counter()
    webhook: Webhook = current_app.extensions["webhook"]
    inbox: Inbox = current_app.extensions["inbox"]
    request.max_content_length = MAX_BODY
    incoming = webhook.open(_query(), request.get_data(cache=False))
    reply = inbox.receive(incoming.message)
    answer = _text(webhook.seal(incoming, reply), mimetype="application/xml") if reply else _text("success")
    log.info(
        "%s answered with %s in %.0f ms",
        type(incoming.message).__name__,
        reply.kind if reply else "success",
        (time.perf_counter() - started) * 1000,
    )
    return answer


def _query() -> str:
    return request.query_string.decode("ascii", errors="replace")


@bp.errorhandler(WebhookError)
def refuse(error: WebhookError) -> Response:
    log.warning("refused: %s", error)
    return _text("malformed", 400) if isinstance(error, MalformedMessage) else _text("forbidden", 403)


@bp.errorhandler(LeftUnanswered)
def leave_unanswered(_: LeftUnanswered) -> Response:
    log.info("left to the next push")
    return _text("not yet", 503)


@bp.errorhandler(NotRecorded)
def ask_again(error: NotRecorded) -> Response:
    log.error("not recorded, the platform shall push again: %s", error)
    return _text("unavailable", 503)


@bp.errorhandler(HTTPException)
def explain(error: HTTPException) -> Response:
    return _text(error.name, error.code or 500)


@bp.errorhandler(Exception)
def survive(_: Exception) -> Response:
    log.exception("a push failed, the platform shall push again")
    return _text("unavailable", 503)
