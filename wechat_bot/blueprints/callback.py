"""The callback URL: GET verifies it, POST receives a push (``wechat-platform.md`` section 1)."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from .. import logs
from ..semaphore import Turn
from ..services.health.call_stats import PARTLY_UNDERSTOOD, PROGRAM_FAULT, VERIFIED, PushOutcome
from ..services.inbox.handling import PUSH_TIMEOUT
from ..services.inbox.receiving import LeftUnanswered
from ..services.inbox.recorder import NotRecorded
from ..wechat.errors import MalformedMessage, Refusal, WebhookError
from ..wiring import Services, services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

bp = Blueprint("callback", __name__)

MAX_BODY = 1 << 20
"""Maximum size of a push, in bytes."""
SLOW_SECONDS = 1.0
"""Seconds from which the log has a line of a push."""

_PATH = "/wechat"
_UNKNOWN = "unknown"
"""The kind of a push before it is read."""
_TURN = "wechat_bot.turn"
"""The key of a push's `Turn` in its WSGI environment."""


class PlatformResponse(Response):
    """A response whose headers are complete when it is made, so that Werkzeug need not look them through."""

    def __init__(self, text: str, status: int = 200, mimetype: str = "text/plain") -> None:
        body = text.encode()
        headers = [("Content-Type", f"{mimetype}; charset=utf-8"), ("Content-Length", str(len(body)))]
        super().__init__([body], status, headers, direct_passthrough=True)

    def get_wsgi_headers(self, environ: Any) -> Headers:
        return self.headers


class PushesInTurn:
    """WSGI middleware: of the pushes that arrive at once, so many enter `app` as can be worked on.

    The others wait in the order of their arrival. If all entered, each would have begun before the first
    was finished, and all would be late.
    """

    def __init__(self, app: WSGIApplication, services: Services) -> None:
        self._app = app
        self._services = services

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"].removesuffix("/") != _PATH:
            return self._app(environ, start_response)
        with self._services.inbox.turn() as turn:
            if turn.elapsed > PUSH_TIMEOUT:  # the platform no longer listens, and others wait
                PushRequest(self._services, turn).record(PushOutcome.TOO_LATE)
                return PlatformResponse("too late", 503)(environ, start_response)
            environ[_TURN] = turn
            return self._app(environ, start_response)


class PushRequest:
    """A request that pushes a message. How it ends is counted, except if no message is found in it."""

    def __init__(self, services: Services, turn: Turn) -> None:
        self._turn = turn
        self._services = services
        self._kind = _UNKNOWN

    def answer(self) -> Response:
        """Return the response to the push.

        :raises WebhookError: if it is refused.
        """
        try:
            return self._reply()
        except LeftUnanswered as left:
            self.record(left.outcome)
            return PlatformResponse("not yet", 503)
        except NotRecorded as error:
            log.error("not recorded, the platform shall push again: %s", error)
            self.record(PushOutcome.NOT_RECORDED)
            return PlatformResponse("unavailable", 503)
        except (WebhookError, HTTPException):
            raise
        except Exception:
            self.record(PushOutcome.FAULT)
            raise

    def _reply(self) -> Response:
        webhook = self._services.webhook
        # The signature is verified first, and vouches for a sender that does not hold the body back.
        signed = webhook.authenticate(_query())
        body = get_input_stream(request.environ, max_content_length=MAX_BODY)
        incoming = webhook.open(signed, body.read())
        message = incoming.message
        self._kind = type(message).__name__
        account = self._services.account.app_id
        logs.bind(account=account, dedup_key=message.dedup_key, msg_id=message.msg_id)
        if invalid := message.invalid_fields:
            self._services.call_stats.record_request(PARTLY_UNDERSTOOD, f"{self._kind}: {', '.join(invalid)}")
        reply, outcome = self._services.inbox.receive(message, self._turn)
        if reply:
            response = PlatformResponse(webhook.seal(incoming, reply), mimetype="application/xml")
        else:
            response = PlatformResponse("success")
        self.record(outcome)
        return response

    def record(self, outcome: PushOutcome) -> None:
        """Count how the push ended, and log it if it failed or took long."""
        seconds = self._turn.elapsed
        self._services.call_stats.record_push(self._kind, outcome, seconds)
        noteworthy = outcome.is_failure or seconds > SLOW_SECONDS
        level = logging.INFO if noteworthy else logging.DEBUG
        log.log(level, "%s: %s after %.0f ms", self._kind, outcome, seconds * 1000)


@bp.get(_PATH, strict_slashes=False, provide_automatic_options=False)
def verify() -> Response:
    echo = services().webhook.handshake(_query())
    services().call_stats.record_request(VERIFIED)
    return PlatformResponse(echo)


@bp.post(_PATH, strict_slashes=False, provide_automatic_options=False)
def push() -> Response:
    return PushRequest(services(), request.environ[_TURN]).answer()


def _query() -> str:
    return request.query_string.decode("ascii", errors="replace")


@bp.errorhandler(WebhookError)
def refuse(error: WebhookError) -> Response:
    log.warning("refused: %s", error)
    services().call_stats.record_request(error.cause, error.detail)
    return (
        PlatformResponse("malformed", 400)
        if isinstance(error, MalformedMessage)
        else PlatformResponse("forbidden", 403)
    )


@bp.errorhandler(RequestEntityTooLarge)
def refuse_size(error: RequestEntityTooLarge) -> Response:
    services().call_stats.record_request(Refusal.TOO_LARGE, f"{request.content_length or 0} bytes")
    return explain(error)


@bp.errorhandler(HTTPException)
def explain(error: HTTPException) -> Response:
    return PlatformResponse(error.name, error.code or 500)


@bp.errorhandler(Exception)
def report_fault(error: Exception) -> Response:
    """Log a fault of the program and count it for the health page; the platform pushes the message again."""
    log.exception("a push failed, the platform shall push again")
    services().call_stats.record_request(PROGRAM_FAULT, _describe(error))
    return PlatformResponse("unavailable", 503)


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
