"""Conditions of routes: functions of a message and its context, whose true result becomes ``ctx.match``."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from ..wechat.messages import Event, Message, TextMessage
from .router import Condition


def keyword(*words: str) -> Condition[TextMessage]:
    """Match a text that equals one of `words`, regardless of case, width and surrounding blanks."""
    normalized = {normalize(word) for word in words}
    return lambda message, _: normalize(message.content) in normalized


def matches(pattern: str) -> Condition[TextMessage]:
    """Match a text, without surrounding blanks, against a regular expression; ``ctx.match`` is the match."""
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda message, _: compiled.fullmatch(message.content.strip())


def key(*keys: str) -> Condition[Event]:
    """Match an event whose key (of a menu button, or a scene) is one of `keys`."""
    return lambda message, _: message.key in keys


def state(name: str) -> Condition[Message]:
    """Match while ``ctx.state`` is `name`."""
    return lambda _, ctx: ctx.state == name


@lru_cache(maxsize=256)  # all keyword conditions of a router normalize the same text
def normalize(text: str) -> str:
    """Return `text` for comparison: cleaned (`clean`), with folded case."""
    return clean(text).casefold()


def clean(text: str) -> str:
    """Return `text` in NFKC, without zero-width characters and outer blanks."""
    composed = unicodedata.normalize("NFKC", text)
    if not composed.isprintable():  # zero-width characters are not
        composed = "".join(char for char in composed if unicodedata.category(char) != "Cf")
    return composed.strip()
