"""Conversion of the platform's XML to and from dictionaries (``wechat-platform.md`` section 1.8)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.parsers.expat import ExpatError

import xmltodict

from .errors import MalformedMessage

Fields = dict[str, Any]
"""Maps element names to text, None (an empty element), a nested dictionary, or a list (repeated elements)."""

_MAX_DEPTH = 8  # the deepest documented event (MASSSENDJOBFINISH) has 5 levels
_ROOT = re.compile(rb"\s*(<\?xml[^>]*\?>\s*)?<xml[\s>]")  # excludes DTDs, and so entities
_ILLEGAL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|\xf4\x8f\xbc\x80")
_ESCAPED_ILLEGAL = re.compile("\U0010ff00([01][0-9a-f]|efbfb[ef]|f48fbc80);")
"""Escape of a character that expat rejects: U+10FF00, its UTF-8 bytes in hex, and a semicolon."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_TO_ESCAPE = re.compile(f"[&<>\r]|{_FORBIDDEN.pattern}")


def parse(body: bytes) -> Fields:
    """Return the children of ``<xml>``, with their text exactly as sent.

    Control characters are kept: XML 1.0 forbids them, but the platform forwards them.

    :raises MalformedMessage: if `body` is not an ``<xml>`` document with child elements.
    """
    if not _ROOT.match(body):
        raise MalformedMessage("the body does not begin with <xml>")
    if not _ILLEGAL.search(body):
        return _parse(body)
    escaped = _ILLEGAL.sub(lambda match: f"\U0010ff00{match[0].hex()};".encode(), body)
    unescaped: Fields = _unescape_illegal(_parse(escaped))
    return unescaped


def _parse(body: bytes) -> Fields:
    try:
        root = xmltodict.parse(
            body, encoding="utf-8", strip_whitespace=False, xml_attribs=False, postprocessor=_postprocess
        )["xml"]
    except (ExpatError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"not XML: {error}") from error
    if not isinstance(root, dict):
        raise MalformedMessage("<xml> has no elements")
    return root


def _postprocess(path: list[Any], name: str, value: Any) -> tuple[str, Any]:
    if len(path) > _MAX_DEPTH:
        raise MalformedMessage(f"elements are nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        value.pop("#text", None)  # the white space between elements
    return name, value


def _unescape_illegal(value: Any) -> Any:
    if isinstance(value, str):
        return _ESCAPED_ILLEGAL.sub(lambda match: bytes.fromhex(match[1]).decode(), value)
    if isinstance(value, dict):
        return {name: _unescape_illegal(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_unescape_illegal(inner) for inner in value]
    return value


def build(fields: Mapping[str, Any]) -> str:
    """Return ``<xml>`` with these children. Their text is escaped."""
    return f"<xml>{_elements(fields)}</xml>"


def _elements(fields: Mapping[str, Any]) -> str:
    return "".join([_element(name, value) for name, value in fields.items()])


def _element(name: str, value: Any) -> str:
    if isinstance(value, str):
        return f"<{name}>{escape(value)}</{name}>"
    if isinstance(value, Mapping):
        return f"<{name}>{_elements(value)}</{name}>"
    if isinstance(value, Sequence):
        return "".join(_element(name, item) for item in value)
    return f"<{name}/>"


def escape(text: str) -> str:
    """Return `text` as XML character data, without the characters that XML 1.0 forbids."""
    return _TO_ESCAPE.sub(lambda match: _ESCAPES.get(match[0], ""), text)


def strip_illegal_characters(text: str) -> str:
    """Return `text` without the characters that XML 1.0 forbids."""
    return _FORBIDDEN.sub("", text)
