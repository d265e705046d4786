"""Turns lines of the dialogues into the XML fields of pushes and into replies."""

from __future__ import annotations

from random import Random
from typing import Any

from ..wechat.replies import Article, ImageReply, NewsReply, Reply, TextReply, VideoReply
from ..wechat.xml import Fields

OPENID_PREFIX = "oSeed"
"""The openids of all sample followers begin with it."""
_HEX = "0123456789abcdef"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def openid(rng: Random) -> str:
    return OPENID_PREFIX + _random(rng, _LETTERS, 23)


def push_fields(kind: str, words: str, rng: Random) -> Fields:
    """Return MsgType and the XML fields of a message or event; empty fields are None, as in a parsed push."""
    match kind:
        case "text":
            return {"MsgType": "text", "Content": words}
        case "image":
            picture = f"http://mmbiz.qpic.cn/mmbiz_jpg/{_random(rng, _LETTERS, 32)}/0"
            return {"MsgType": "image", "PicUrl": picture, "MediaId": _media_id(rng)}
        case "voice":
            return _voice(words, rng)
        case "video" | "shortvideo":
            return {"MsgType": kind, "MediaId": _media_id(rng), "ThumbMediaId": _media_id(rng)}
        case "location":
            latitude, longitude = f"{rng.uniform(30.1, 30.4):.6f}", f"{rng.uniform(120, 120.3):.6f}"
            place = {"Location_X": latitude, "Location_Y": longitude, "Scale": "16", "Label": words or None}
            return {"MsgType": "location", **place}
        case "link":
            title, description, url = _parts(words)
            return {"MsgType": "link", "Title": title, "Description": description or None, "Url": url}
        case "file":
            size = str(rng.randint(8_000, 900_000))
            file = {
                "FileKey": _random(rng, _HEX, 32),
                "FileMd5": _random(rng, _HEX, 32),
                "FileTotalLen": size,
            }
            return {"MsgType": "file", "Title": words, "Description": None, **file}
        case "kind":
            name, *fields = _parts(words)
            return {"MsgType": name, **_named(fields)}
        case _:
            return {"MsgType": "event", **_event(kind, words, rng)}


def _voice(words: str, rng: Random) -> Fields:
    media = {"MediaId": _media_id(rng), "Format": "amr", "MediaId16K": _media_id(rng)}
    return {"MsgType": "voice", **media, "Recognition": words or None}


def _event(kind: str, words: str, rng: Random) -> Fields:
    match kind:
        case "click":
            return {"Event": "CLICK", "EventKey": words}
        case "view":
            return {"Event": "VIEW", "EventKey": words, "MenuId": "420000001"}
        case "scan":
            return {"Event": "SCAN", "EventKey": words, "Ticket": _ticket(rng)}
        case "follow":
            scanned = {"EventKey": f"qrscene_{words}", "Ticket": _ticket(rng)}
            return {"Event": "subscribe", **(scanned if words else {"EventKey": None})}
        case "unfollow":
            return {"Event": "unsubscribe", "EventKey": None}
        case "event":
            name, *fields = _parts(words)
            return {"Event": name, **_named(fields)}
        case _:
            raise ValueError(f"unknown kind: {kind}")


def build_reply(kind: str, words: str) -> Reply:
    match kind:
        case "text":
            return TextReply(words)
        case "image":
            return ImageReply(f"permanent-image-{words}")
        case "video":
            title, description = _parts(words)
            return VideoReply("permanent-video-1", title, description)
        case "news":
            return NewsReply(tuple(_article(*_parts(article)) for article in words.split(" ; ")))
        case _:
            raise ValueError(f"unknown kind: {kind}")


def _article(title: str, description: str, name: str) -> Article:
    shop = "https://www.example.com"
    return Article(title, description, f"{shop}/pictures/{name}.jpg", f"{shop}/{name}")


def _parts(words: str) -> list[str]:
    return [part.strip() for part in words.split("|")]


def _named(fields: list[str]) -> Fields:
    """Parse ``Name=value``, and ``Outer.Name=value`` of a nested element."""
    named: dict[str, Any] = {}
    for text in fields:
        name, _, value = text.partition("=")
        outer, _, inner = name.rpartition(".")
        (named.setdefault(outer, {}) if outer else named)[inner] = value or None
    return named


def _media_id(rng: Random) -> str:
    return _random(rng, _LETTERS, 64)


def _ticket(rng: Random) -> str:
    return f"gQ{_random(rng, _LETTERS, 60)}=="


def _random(rng: Random, letters: str, length: int) -> str:
    return "".join(rng.choices(letters, k=length))
