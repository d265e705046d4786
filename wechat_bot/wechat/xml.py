"""The platform's XML (``wechat-platform.md`` section 1.8) to and from plain dictionaries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.parsers.expat import ExpatError

import xmltodict

from .errors import MalformedMessage

Fields = dict[str, Any]
"""Element names to text, None for an empty element, nested dictionaries, or lists of repeated ones."""

_MAX_DEPTH = 8  # the deepest documented event (MASSSENDJOBFINISH) has five
_ROOT = re.compile(rb"\s*(<\?xml[^>]*\?>\s*)?<xml[\s>]")  # nothing before it: so no DTD and no entities
_ILLEGAL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|\xf4\x8f\xbc\x80")
_QUOTED = re.compile("\U0010ff00([0-9a-f]+);")
"""What expat refuses and followers send goes past it as private use, hex and a semicolon."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_ESCAPED = re.compile(f"[&<>\r]|{_FORBIDDEN.pattern}")


def parse(body: bytes) -> Fields:
    """The children of ``<xml>``, text exactly as sent; MalformedMessage for anything else.

    Control characters, which XML 1.0 forbids and the platform passes on, are kept.
    """
    if not _ROOT.match(body):
        raise MalformedMessage("the body does not begin with <xml>")
    if not _ILLEGAL.search(body):
        return _parse(body)
    quoted = _ILLEGAL.sub(lambda match: f"\U0010ff00{match[0].hex()};".encode(), body)
    restored: Fields = _restore(_parse(quoted))
    return restored


def _parse(body: bytes) -> Fields:
    try:
        root = xmltodict.parse(
            body, encoding="utf-8", strip_whitespace=False, xml_attribs=False, postprocessor=_checked
        )["xml"]
    except (ExpatError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"not XML: {error}") from error
    if not isinstance(root, dict):
        raise MalformedMessage("<xml> has no elements")
    return root


def _checked(path: list[Any], name: str, value: Any) -> tuple[str, Any]:
    if len(path) > _MAX_DEPTH:
        raise MalformedMessage(f"elements are nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        value.pop("#text", None)  # the white space between elements
    return name, value


def _restore(value: Any) -> Any:
    if isinstance(value, str):
        return _QUOTED.sub(lambda match: bytes.fromhex(match[1]).decode(), value)
    if isinstance(value, dict):
        return {name: _restore(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_restore(inner) for inner in value]
    return value


def build(fields: Mapping[str, Any]) -> str:
    """``<xml>`` with these children; text is escaped, so that nothing in it can become an element."""
    return f"<xml>{_elements(fields)}</xml>"


def _elements(fields: Mapping[str, Any]) -> str:
    return "".join(_element(name, value) for name, value in fields.items())


def _element(name: str, value: Any) -> str:
    if isinstance(value, str):
        return f"<{name}>{escape(value)}</{name}>"
    if isinstance(value, Mapping):
        return f"<{name}>{_elements(value)}</{name}>"
    if isinstance(value, Sequence):
        return "".join(_element(name, item) for item in value)
    return f"<{name}/>"


def escape(text: str) -> str:
    """`text` as XML character data; what XML 1.0 forbids is removed."""
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[0], ""), text)


def legal(text: str) -> str:
    """`text` without the characters that XML 1.0 cannot carry."""
    return _FORBIDDEN.sub("", text)
