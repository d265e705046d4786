"""The session interface of the demos, whose sessions are separate from those of the rest of the site."""

from __future__ import annotations

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin

COOKIE = "demo_session"


class _DemoCookie(SecureCookieSessionInterface):
    """Sessions in a cookie with its own name, path and signing key."""

    salt = "demo-session"  # so that the cookie is not valid for the rest of the site

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def get_cookie_name(self, app: Flask) -> str:
        return COOKIE

    def get_cookie_path(self, app: Flask) -> str:
        return request.root_path + self.prefix

    def get_cookie_samesite(self, app: Flask) -> str:
        return "Lax"

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


class DemoSessions(SessionInterface):
    """Uses separate sessions for paths below `prefix`, and `others` for the rest of the site."""

    def __init__(self, prefix: str, others: SessionInterface) -> None:
        self.prefix = prefix
        self.demo_sessions = _DemoCookie(prefix)
        self.others = others

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        return self._of(request).open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        self._of(request).save_session(app, session, response)

    def is_null_session(self, obj: object) -> bool:
        return self.others.is_null_session(obj)

    def _of(self, request: Request) -> SessionInterface:
        # By path, because a session is opened before the request is matched to a blueprint.
        return self.demo_sessions if f"{request.path}/".startswith(f"{self.prefix}/") else self.others
