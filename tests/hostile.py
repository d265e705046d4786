"""Texts that break programs which take them for something else, and how they travel.

A page on which one of them runs sets ``window.hacked``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

_LONG = {
    "60 KB in one line": "退款" * 10_000,
    "60 KB in one word": "W" * 60_000,
    "60 KB of line ends": "\n" * 60_000,
    "a tower of combining marks": "Z" + "\u0301\u0323" * 500,
    "a family of a thousand": "\U0001f468" + "\u200d\U0001f469" * 1000,
    "brackets nested deeply": "{[(<" * 2000,
    "many words": " ".join(str(number) for number in range(5000)),
}

HOSTILE: dict[str, str] = (
    json.loads((Path(__file__).parent / "data" / "hostile.json").read_text(encoding="ascii")) | _LONG
)
"""All of them, by name."""

_SURROGATE = re.compile("[\ud800-\udfff]")

PUSHED = {name: text for name, text in HOSTILE.items() if not _SURROGATE.search(text)}
"""Those that the platform can push: UTF-8 has no lone surrogates."""

HACKED = re.compile("window.hacked|parent.hacked")
"""In the source of a page it is harmless; as a property of its window it is not."""


ACTIVE = "\x1b]0;evil\x07\x1b[2J\x9b31m\nevil\r\u202eevil\u2066\u200f\x7f"
"""A text that would change the title of a terminal, clear it, colour it, and write from right to left."""


def for_xml(text: str) -> str:
    """`text` as character data in the platform's XML: control characters, which XML forbids, stay."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def body(fields: Mapping[str, str]) -> bytes:
    """The body of a push in which all of these arrive as they are."""
    elements = "".join(f"<{name}>{for_xml(value)}</{name}>" for name, value in fields.items())
    return f"<xml>{elements}</xml>".encode()
