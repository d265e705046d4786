"""Requests to this application, made by itself, and what was said in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import Context
from dataclasses import dataclass

from flask import current_app, request
from flask_babel import get_locale
from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header
from werkzeug.test import Client

from ...security import HEADERS

BODY_BYTES = 1 << 16
BODY_LINES = 200
"""What is longer is cut."""
PARTS = 4
"""So many parts of a form with files are looked into."""
SHOWN_WHOLE = 16
"""Of a body with more lines only those around the marked ones are shown."""
AROUND = 1
TEXT_TYPES = ("text/", "application/json", "application/x-www-form-urlencoded", "image/svg")
ON_EVERY_ANSWER = {*HEADERS, "X-Request-ID"}


@dataclass(frozen=True)
class Line:
    text: str
    marked: bool = False


@dataclass(frozen=True)
class HTTPMessage:
    """A request or a response; `common` are the headers that every answer of the site carries."""

    start: Line
    headers: list[Line]
    common: list[Line]
    body: list[Line]


@dataclass(frozen=True)
class HTTPExchange:
    request: HTTPMessage
    response: HTTPMessage
    set_cookies: list[str]


class Browser:
    """A client of this application that begins with no cookies, and comes from the visitor's address."""

    def __init__(self) -> None:
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        self._client = Client(app)
        self._client_without_memory = Client(app, use_cookies=False)

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, marks: Iterable[str]
    ) -> HTTPExchange:
        """Make a request and tell what happened; `headers` with a cookie of their own use no other."""
        headers = {"Accept": "text/html", "Accept-Language": str(get_locale()), **headers}
        if body:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        client = self._client_without_memory if "Cookie" in headers else self._client
        # In a context of its own: the inner request must not see or change what belongs to the outer one.
        response = Context().run(
            client.open,
            target.removeprefix(request.root_path),
            method=method,
            base_url=request.root_url,
            headers=headers,
            data=body,
            environ_overrides={"REMOTE_ADDR": request.remote_addr},
            buffered=True,
        )
        return HTTPExchange(
            _message(f"{method} {target} HTTP/1.1", Headers(response.request.headers), body, marks),
            _message(f"HTTP/1.1 {response.status}", response.headers, response.get_data(), marks),
            response.headers.getlist("Set-Cookie"),
        )


def _message(start: str, headers: Headers, body: bytes, marks: Iterable[str]) -> HTTPMessage:
    def line(text: str) -> Line:
        return Line(text, any(mark in text for mark in marks))

    lines = [(name in ON_EVERY_ANSWER, line(f"{name}: {value}")) for name, value in headers]
    return HTTPMessage(
        line(start),
        headers=[line for is_common, line in lines if not is_common],
        common=[line for is_common, line in lines if is_common],
        body=_excerpt([line(text) for text in _readable(body, headers.get("Content-Type", ""))]),
    )


def _readable(body: bytes, content_type: str) -> list[str]:
    """The lines of a body, as far as they are shown: what a visitor sends must not make us work for long."""
    mimetype, options = parse_options_header(content_type)
    if mimetype == "multipart/form-data":
        boundary = b"--" + options.get("boundary", "").encode()
        body = boundary.join(_shorten(part) for part in body.split(boundary, PARTS))
    elif body and not mimetype.startswith(TEXT_TYPES):
        body = _size(body)
    return body[:BODY_BYTES].decode("utf-8", errors="replace").splitlines()[:BODY_LINES]


def _shorten(part: bytes) -> bytes:
    head, blank, content = part.partition(b"\r\n\r\n")
    return head + blank + (content if content.isascii() else _size(content.removesuffix(b"\r\n")) + b"\r\n")


def _size(body: bytes) -> bytes:
    return f"… {len(body):,} bytes …".encode()


def _excerpt(lines: list[Line]) -> list[Line]:
    if len(lines) <= SHOWN_WHOLE:
        return lines
    marked = [number for number, line in enumerate(lines) if line.marked] or [0]
    excerpt: list[Line] = []
    for number, line in enumerate(lines):
        if any(abs(number - other) <= AROUND for other in marked):
            excerpt.append(line)
        elif not excerpt or excerpt[-1].text != "…":
            excerpt.append(Line("…"))
    return excerpt
