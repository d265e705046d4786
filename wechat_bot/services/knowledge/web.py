"""Fetches a web page whose address an operator gave, without becoming a way into the own network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx2

from ...wechat.api import NotPublic, deadline, network

MAX_BYTES = 2 << 20
"""Upper limit of a page."""
MAX_REDIRECTS = 5
SECONDS = 20
"""Time limit of all of it."""
PORTS = frozenset({80, 443})
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset=["']?([\w-]{1,40})""", re.IGNORECASE)

_CHARSETS = frozenset(
    {"utf-8", "utf8", "gb2312", "gbk", "gb18030", "big5", "utf-16", "iso-8859-1", "us-ascii", "windows-1252"}
)


class FetchProblem(StrEnum):
    """Why a page was not fetched. The values say it in English."""

    ADDRESS = "the address is not one of http or https, on their usual ports"
    PRIVATE = "the address is in a private network"
    UNREACHABLE = "the server does not answer"
    STATUS = "the server refuses the page"
    TOO_LARGE = "the page has too many bytes"
    NO_PAGE = "it is no page of text"


class FetchError(Exception):
    """A page was not fetched."""

    def __init__(self, problem: FetchProblem, detail: str = "") -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem = problem
        self.detail = detail


@dataclass(frozen=True)
class WebPage:
    """A page, and the address to which redirects led."""

    address: str
    source: str
    is_html: bool


def fetch(address: str, transport: httpx2.BaseTransport | None = None) -> WebPage:
    """Return the page at an address, which is asked for once.

    :param transport: replaces the network, for tests.
    :raises FetchError: if there is none, or it is not public.
    """
    made = transport or network(public_only=True)
    headers = {"User-Agent": "wechat_bot", "Accept": "text/html,text/plain"}
    hooks: dict[str, list[Any]] = {"request": [_check]}
    client = httpx2.Client(
        transport=made,
        trust_env=False,
        timeout=5,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        headers=headers,
        event_hooks=hooks,
    )
    try:
        with client, deadline(SECONDS), client.stream("GET", address) as response:
            return _read(response)
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        is_private = isinstance(error.__cause__, NotPublic)
        problem = FetchProblem.PRIVATE if is_private else FetchProblem.UNREACHABLE
        raise FetchError(problem, type(error).__name__) from error


def _check(request: httpx2.Request) -> None:
    """Refuse an address before it is asked for, also one of a redirect.

    :raises FetchError: if it is not one of http or https, or has another port or a password.
    """
    url = request.url
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    if url.scheme not in {"http", "https"} or port not in PORTS or not url.host or url.userinfo:
        raise FetchError(FetchProblem.ADDRESS)


def _read(response: httpx2.Response) -> WebPage:
    if not response.is_success:
        raise FetchError(FetchProblem.STATUS, str(response.status_code))
    kind = response.headers.get("Content-Type", "text/html").partition(";")[0].strip().lower()
    if kind not in {"text/html", "application/xhtml+xml", "text/plain", "text/markdown"}:
        raise FetchError(FetchProblem.NO_PAGE, kind[:64])
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_BYTES:
            raise FetchError(FetchProblem.TOO_LARGE)
    is_html = "html" in kind
    declared = response.charset_encoding or (_declared(bytes(content)) if is_html else None)
    return WebPage(str(response.url), _decoded(bytes(content), declared), is_html)


def _declared(content: bytes) -> str | None:
    found = _CHARSET.search(content[:4096])
    return found[1].decode("ascii") if found else None


def _decoded(content: bytes, charset: str | None) -> str:
    """Return the text of a page. Python knows codecs beside those of pages, of which some are slow."""
    known = charset and charset.lower() in _CHARSETS
    return content.decode(charset if charset and known else "utf-8-sig", errors="replace")
