"""Reads the bodies of pushes, including those that are not well-formed (``wechat-platform.md`` section 1.8).

The platform may paste a follower's text into CDATA as it is. If there is ``]]>`` in it, the body is not
well-formed, or has elements that the follower wrote. Then the elements are cut out of the body without a
parser. What a follower wrote reaches to the *last* closing tag of its element, so that all of it is text.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import unescape

from . import xml
from .errors import MalformedMessage
from .xml import Fields

_BY_FOLLOWERS = {
    *("Content", "Recognition", "Title", "Description", "Url", "PagePath", "Label", "Poiname", "ScanResult")
}
"""Elements with what a follower wrote, said, shared or scanned. It is text, whatever is in it."""
_BY_PLATFORM = {
    *("ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "MsgId", "MsgID", "MsgDataId", "Idx"),
    *("bizmsgmenuid", "MediaId", "MediaId16K", "ThumbMediaId", "PicUrl", "Format", "Scale", "Location_X"),
    *("Location_Y", "Latitude", "Longitude", "Precision", "Ticket", "MenuId", "ScanType"),
}
"""Elements that contain no tags: they reach to the first closing tag."""

_CONTAINERS = {"ScanCodeInfo", "SendLocationInfo"}
"""Elements that contain one with what a follower scanned or chose."""
_SENT_ONCE = _BY_FOLLOWERS | _BY_PLATFORM | _CONTAINERS
_PASTED = re.compile(rb"\]\]>(?!\s*</|<!\[CDATA\[>|&#)")
"""An end of CDATA that neither ends its element nor escapes ``]]>`` (section 1.8) or a character."""
_ROOT = re.compile(r"\s*(?:<\?xml[^>]*\?>\s*)?<xml(?:\s[^>]*)?>(.*)</xml>\s*", re.DOTALL)
_OPENING = re.compile(r"\s*<([^\s<>/!?]+)(/?)>")
_FOLLOWED_BY_ELEMENT = re.compile(r"\s*(?:<[^/!]|\Z)")
_CDATA = re.compile(r"\s*<!\[CDATA\[(.*)\]\]>\s*", re.DOTALL)
_LINE_END = re.compile("\r\n?")
_MAX_ELEMENTS = 60
_MAX_DEPTH = 8


def read(body: bytes) -> Fields:
    """Return the children of ``<xml>`` in the body of a push.

    Byte-order marks before it are ignored, and bytes that are not UTF-8 become U+FFFD.

    :raises MalformedMessage: if it does not consist of elements, or one that a follower wrote may be taken
        for the kind of the message.
    """
    try:
        fields = xml.parse(body)
    except MalformedMessage:
        decoded = body.decode(errors="replace").lstrip("\ufeff")
        valid = decoded.encode()
        return _cut(decoded) if valid == body else read(valid)
    if _has_forged(fields) or _PASTED.search(body):
        return _cut(body.decode())
    return fields


def _has_forged(fields: Fields) -> bool:
    """Whether an element is repeated that the platform sends once, or nested that it sends as text."""
    for name, value in fields.items():
        if name in _CONTAINERS and isinstance(value, dict):
            if _has_forged(value):
                return True
        elif name in _SENT_ONCE and isinstance(value, list | dict):
            return True
    return False


def _cut(text: str) -> Fields:
    root = _ROOT.fullmatch(text)
    if root is None:
        raise MalformedMessage("not XML: <xml> does not enclose the body")
    fields = _elements(_LINE_END.sub("\n", root[1]))
    for name in fields:
        if name == "MsgType":  # nothing that a follower wrote precedes it, so it is the platform's
            return fields
        if name not in _BY_PLATFORM:
            break
    raise MalformedMessage("not XML, and the kind is not certain")


def _elements(text: str, depth: int = 1) -> Fields:
    """Return the elements of which `text` consists; of several with the same name, the first."""
    fields: Fields = {}
    end = 0
    while opening := _OPENING.match(text, end):
        name, is_empty = opening.groups()
        value, end = (None, opening.end()) if is_empty else _element(name, text, opening.end(), depth)
        fields.setdefault(name, value)
        if len(fields) > _MAX_ELEMENTS:
            raise MalformedMessage("not XML, and too many elements")
    if text[end:].strip() or not fields:
        raise MalformedMessage("not XML, and no sequence of elements")
    return fields


def _element(name: str, text: str, start: int, depth: int) -> tuple[object, int]:
    """Return the value of an element whose content begins at `start`, and where the element ends."""
    closing = f"</{name}>"
    end = text.find(closing, start) if name in _BY_PLATFORM else _last(closing, text, start)
    if end < 0:
        raise MalformedMessage("not XML, and an element has no end")
    return _value(name, text[start:end], depth), end + len(closing)


def _last(closing: str, text: str, start: int) -> int:
    """Return the position of the last closing tag before an element or the end of `text`; -1 if none."""
    end = text.rfind(closing, start)
    while end >= 0 and not _FOLLOWED_BY_ELEMENT.match(text, end + len(closing)):
        end = text.rfind(closing, start, end)
    return end


def _value(name: str, text: str, depth: int) -> object:
    if cdata := _CDATA.fullmatch(text):
        return cdata[1] or None
    if name not in _BY_FOLLOWERS and depth < _MAX_DEPTH and _OPENING.match(text):
        try:
            return _elements(text, depth + 1)
        except MalformedMessage:  # it is text that begins like an element
            pass
    return unescape(text) or None
