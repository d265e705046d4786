"""The Flask class of the application, its requests and its sessions. They cost a push little."""

from __future__ import annotations

from collections.abc import Callable
from io import BufferedReader
from threading import Semaphore
from typing import IO, Any, NoReturn, cast

import flask
from flask import Flask, Response, abort, current_app, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.datastructures import ImmutableDict
from werkzeug.routing import IntegerConverter, Map, Rule, ValidationError
from werkzeug.utils import cached_property

from .request_body import RequestBody

MAX_ID = 2**63 - 2
"""The largest id that is looked for: the databases can store the next one, too, where a page may begin."""


def row_id(text: str) -> int:
    """Return the id in a field, for ``request.form.get("id", type=row_id)``.

    :raises ValueError: if it is no number, or larger than `MAX_ID`.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_ID):
        raise ValueError(text)
    return int(text)


class _RowIdConverter(IntegerConverter):
    """Numbers in URLs. There is no page with one that the databases cannot store."""

    def to_python(self, value: str) -> int:
        try:
            return row_id(value)
        except ValueError:
            raise ValidationError from None


class _URLMap(Map):
    default_converters = ImmutableDict({**Map.default_converters, "int": _RowIdConverter})


class _Rule(Rule):
    """A rule that compiles its function for making URLs when that is first used.

    Werkzeug does so for all rules at once, which takes more than half of the time to create the application.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_now, compiled = super()._compile_builder, None

        def build(rule: Rule, /, **values: Any) -> tuple[str, str]:
            nonlocal compiled
            compiled = compiled or compile_now(append_unknown)
            return compiled(rule, **values)

        return build


class Request(flask.Request):
    """A request whose body is read while `Application.body_reads` has places, and whose form has no NUL.

    :raises BadRequest: when its form is read and has one.
    """

    @cached_property
    def stream(self) -> IO[bytes]:
        return BufferedReader(RequestBody(super().stream, cast(Application, current_app).body_reads))

    def _load_form_data(self) -> None:
        super()._load_form_data()
        if any("\x00" in value for values in self.__dict__["form"].listvalues() for value in values):
            _refuse_nul()


def _refuse_nul() -> NoReturn:
    """Abort with 400. No browser sends a NUL in a field, and PostgreSQL cannot store it."""
    abort(400, _("请求里有不该有的字符（NUL）。"))


class Sessions(SecureCookieSessionInterface):
    """Flask's cookie sessions. A request that has no session and starts none, such as a push, skips them."""

    def open_session(self, app: Flask, request: flask.Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


class Application(Flask):
    """Flask without coroutines: views and hooks are plain functions. Views get no NUL in parameters."""

    session_interface = Sessions()
    request_class = Request
    url_map_class = _URLMap
    url_rule_class = _Rule

    def __init__(self, *args: Any, body_reads: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.body_reads = Semaphore(body_reads)
        """Bounds the bodies, other than those of pushes, that are read at once."""

    def dispatch_request(self) -> ResponseReturnValue:
        if b"%00" in request.query_string and request.blueprint != "callback":
            _refuse_nul()
        return super().dispatch_request()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` as it is. Flask would ask whether it is a coroutine function, at each call."""
        return func
