"""Requests that the application makes to itself, and their HTTP messages for display."""

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
"""Longer bodies are truncated."""
MAX_PARTS = 4
"""Number of parts of a multipart form that are processed."""
MAX_FULL_LINES = 16
"""Number of lines up to which a body is shown completely, otherwise only the context of highlighted lines."""
CONTEXT_LINES = 1
"""Number of lines that are shown before and after a highlighted one."""
TEXT_TYPES = ("text/", "application/json", "application/x-www-form-urlencoded", "image/svg")
COMMON_HEADERS = {*HEADERS, "X-Request-ID"}
"""Headers of all responses of the site."""


@dataclass(frozen=True)
class MessageLine:
    text: str
    highlighted: bool = False


@dataclass(frozen=True)
class HTTPMessage:
    start_line: MessageLine
    headers: list[MessageLine]
    common_headers: list[MessageLine]
    body: list[MessageLine]


@dataclass(frozen=True)
class HTTPExchange:
    request: HTTPMessage
    response: HTTPMessage
    set_cookies: list[str]


class Browser:
    """A client of this application with its own cookies and the visitor's address."""

    def __init__(self) -> None:
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        self._client = Client(app)
        self._stateless_client = Client(app, use_cookies=False)

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, marks: Iterable[str]
    ) -> HTTPExchange:
        """Make a request. If `headers` have a cookie, only that one is sent, and none is stored.

        :param marks: texts whose lines are highlighted.
        """
        headers = {"Accept": "text/html", "Accept-Language": str(get_locale()), **headers}
        if body:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        client = self._stateless_client if "Cookie" in headers else self._client
        # In a separate context, so that the inner request does not affect the outer one.
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
    def line(text: str) -> MessageLine:
        return MessageLine(text, any(mark in text for mark in marks))

    lines = [(name in COMMON_HEADERS, line(f"{name}: {value}")) for name, value in headers]
    return HTTPMessage(
        line(start),
        headers=[line for is_common, line in lines if not is_common],
        common_headers=[line for is_common, line in lines if is_common],
        body=_excerpt([line(text) for text in _readable(body, headers.get("Content-Type", ""))]),
    )


def _readable(body: bytes, content_type: str) -> list[str]:
    """Return the lines of a body, truncated so that large uploads cost little time."""
    mimetype, options = parse_options_header(content_type)
    if mimetype == "multipart/form-data":
        boundary = b"--" + options.get("boundary", "").encode()
        body = boundary.join(_shorten(part) for part in body.split(boundary, MAX_PARTS))
    elif body and not mimetype.startswith(TEXT_TYPES):
        body = _size(body)
    return body[:BODY_BYTES].decode("utf-8", errors="replace").splitlines()[:BODY_LINES]


def _shorten(part: bytes) -> bytes:
    head, blank, content = part.partition(b"\r\n\r\n")
    return head + blank + (content if content.isascii() else _size(content.removesuffix(b"\r\n")) + b"\r\n")


def _size(body: bytes) -> bytes:
    return f"… {len(body):,} bytes …".encode()


def _excerpt(lines: list[MessageLine]) -> list[MessageLine]:
    if len(lines) <= MAX_FULL_LINES:
        return lines
    highlighted = [number for number, line in enumerate(lines) if line.highlighted] or [0]
    excerpt: list[MessageLine] = []
    for number, line in enumerate(lines):
        if any(abs(number - other) <= CONTEXT_LINES for other in highlighted):
            excerpt.append(line)
        elif not excerpt or excerpt[-1].text != "…":
            excerpt.append(MessageLine("…"))
    return excerpt
