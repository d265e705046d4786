"""Responses of the platform's API: JSON objects, files, and error messages without secrets."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx2

from ..errors import TooLarge, Unreachable, api_error
from .values import Answer

_ERRCODE = re.compile(r"-?[0-9]{1,19}")
"""An errcode, which may be text."""
_JSON_OR_HTML = re.compile(rb"(\xef\xbb\xbf)?\s*[{<]")
"""The first bytes of JSON objects and of web pages, with which no file begins."""


@dataclass(frozen=True)
class Download:
    """A downloaded file. `filename` is empty if the platform gives none.

    The `content_type` of its header is often wrong; the first bytes tell the format (section 0.3).
    """

    content: bytes = field(repr=False)
    content_type: str
    filename: str


def read(response: httpx2.Response, max_bytes: int) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > max_bytes:
            raise TooLarge(f"an answer of more than {max_bytes} bytes", delivered=True)
    return bytes(content)


def file_in(response: httpx2.Response, content: bytes) -> Download | None:
    """Return the file in `response`, or None if it is JSON, as errors are, or a web page.

    The first bytes decide; the header tells nothing (section 10.7).
    """
    if response.status_code != 200 or not content or _JSON_OR_HTML.match(content):
        return None
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    found = re.search(r'filename="?([^";]+)', response.headers.get("content-disposition", ""))
    filename = re.split(r"[/\\]", found[1].strip())[-1] if found else ""
    return Download(content, content_type, filename)


def parse(status: int, content: bytes, accept: tuple[int, ...], secrets: set[str]) -> Answer:
    """Return the JSON object in a response, which may contain whatever followers and owners typed
    (section 0.3): control characters, invalid UTF-8 and lone surrogates."""
    try:
        answer = _without_surrogates(json.loads(content.decode("utf-8-sig", "replace"), strict=False))
    except (ValueError, RecursionError):
        is_html = content.lstrip()[:1] == b"<"
        found = "with a web page in place of JSON: something between answers for the platform"
        text = f"status {status} {found if is_html else 'without JSON'}"
        raise Unreachable(text, delivered=True, status=status) from None
    if not isinstance(answer, dict) or not (code := _ERRCODE.fullmatch(str(answer.get("errcode") or 0))):
        raise Unreachable(f"status {status} without an answer", delivered=True, status=status)
    errcode = int(code[0])
    if errcode and errcode not in accept:
        raise api_error(errcode, masked(str(answer.get("errmsg", "")), secrets))
    if status != 200:
        raise Unreachable(f"status {status} without an errcode", delivered=True, status=status)
    return answer


def _without_surrogates(value: Any) -> Any:
    """Return a JSON value in which U+FFFD replaces lone surrogates, which cannot be encoded."""
    match value:
        case str():
            return re.sub("[\ud800-\udfff]", "\ufffd", value)
        case list():
            return [_without_surrogates(element) for element in value]
        case dict():
            return {name: _without_surrogates(element) for name, element in value.items()}
        case _:
            return value


def masked(text: str, secrets: set[str]) -> str:
    for secret in secrets - {""}:
        text = text.replace(secret, "…")
    return text


def without_rid(errmsg: str) -> str:
    """Return `errmsg` without the id of the call, so that equal errors have equal texts (section 10.6)."""
    return re.sub(r"[\s,]*\b(rid|hint):.*", "", errmsg, flags=re.DOTALL)
