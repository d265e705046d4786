"""The Flask class of the application, its requests and its sessions. They cost a push little."""

from __future__ import annotations

from collections.abc import Callable
from io import BufferedReader
from threading import Semaphore
from typing import IO, Any, cast

from flask import Flask, Request, Response, current_app, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from werkzeug.utils import cached_property

from .request_body import RequestBody


class BoundedRequest(Request):
    """A request whose body is read while `Application.body_reads` has places."""

    @cached_property
    def stream(self) -> IO[bytes]:
        return BufferedReader(RequestBody(super().stream, cast(Application, current_app).body_reads))


class Sessions(SecureCookieSessionInterface):
    """Flask's cookie sessions. A request that has no session and starts none, such as a push, skips them."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


class Application(Flask):
    """Flask without coroutines: views and hooks are plain functions."""

    request_class = BoundedRequest
    session_interface = Sessions()

    def __init__(self, *args: Any, body_reads: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.body_reads = Semaphore(body_reads)
        """Bounds the bodies, other than those of pushes, that are read at once."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` as it is. Flask would ask whether it is a coroutine function, at each call."""
        return func
