"""How times, followers and what they wrote are shown. Everything comes out as markup that is safe."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from flask_babel import format_datetime, get_timezone
from markupsafe import Markup, escape

from ...services.search.index import Query, highlight
from . import bp

URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
"""ASCII only: what follows an address without a blank is mostly Chinese text."""
TRAILING = ".,:;!?'\""

EMOTICONS = {
    "/::)": "🙂", "/::~": "😖", "/::B": "😍", "/::|": "😳", "/:8-)": "😎", "/::<": "😭", "/::$": "😊",
    "/::X": "🤐", "/::Z": "😴", "/::'(": "😢", "/::-|": "😅", "/::@": "😡", "/::P": "😜", "/::D": "😁",
    "/::O": "😮", "/::(": "🙁", "/::+": "😎", "/:--b": "😰", "/::Q": "😫", "/::T": "🤮", "/:,@P": "🤭",
    "/:,@-D": "☺️", "/::d": "🙄", "/:,@o": "😏", "/::g": "🤤", "/:|-)": "😪", "/::!": "😨",
    "/::L": "😓", "/::>": "😄", "/::,@": "😌", "/:,@f": "💪", "/::-S": "🤬", "/:?": "🤔", "/:,@x": "🤫",
    "/:,@@": "😵", "/::8": "😣", "/:,@!": "😩", "/:!!!": "💀", "/:xx": "🔨", "/:bye": "👋",
    "/:wipe": "😥", "/:handclap": "👏", "/:&-(": "😳", "/:B-)": "😼", "/:P-(": "🥺", "/::'|": "😿",
    "/:X-)": "😈", "/::*": "😚", "/:@x": "😱", "/:pd": "🔪", "/:beer": "🍺", "/:coffee": "☕",
    "/:pig": "🐷", "/:rose": "🌹", "/:fade": "🥀", "/:showlove": "💋", "/:heart": "❤️",
    "/:break": "💔", "/:cake": "🎂", "/:li": "⚡", "/:bome": "💣", "/:shit": "💩", "/:moon": "🌙",
    "/:sun": "☀️", "/:hug": "🤗", "/:strong": "👍", "/:weak": "👎", "/:share": "🤝", "/:v": "✌️",
    "/:@)": "🙏", "/:jj": "☝️", "/:@@": "👊", "/:ok": "👌", "/:no": "🙅", "/:love": "🥰",
    "/:<L>": "😘", "/:jump": "🤸",
}  # fmt: skip
"""The platform's classic codes, and the emoji that come closest."""
_CODES = re.compile("|".join(re.escape(code) for code in sorted(EMOTICONS, key=len, reverse=True)))

_JOINER = "\u200d"  # holds emoji together, and is no more than that
_HIDDEN = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@bp.app_template_filter("iso")
def iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@bp.app_template_filter("exact_time")
def exact_time(time: datetime) -> str:
    """In the operator's zone, and in UTC."""
    return f"{format_datetime(time, 'yyyy-MM-dd HH:mm:ss z')} · {time.astimezone(UTC):%H:%M:%S} UTC"


@bp.app_template_filter("short_time")
def short_time(time: datetime) -> str:
    """Today 14:05, this year 11-22 14:05, before that 2025-11-22."""
    zone = get_timezone()
    local, now = time.astimezone(zone), datetime.now(zone)
    if local.date() == now.date():
        return f"{local:%H:%M}"
    return f"{local:%m-%d %H:%M}" if local.year == now.year else f"{local:%Y-%m-%d}"


@bp.app_template_filter("day")
def day(time: datetime) -> str:
    """A day as a heading, with its weekday."""
    return str(format_datetime(time, "yyyy-MM-dd EEEE"))


@bp.app_template_filter("name")
def name(follower: Any) -> str:
    """What to call a follower: the alias, or the end of the openid."""
    return str(follower.alias or f"…{follower.openid[-6:]}")


@bp.app_template_filter("avatar")
def avatar(follower: Any, size: int = 36) -> Markup:
    """A picture that is always the same for an openid: a symmetrical pattern, as nobody tells us a face."""
    digest = hashlib.sha256(follower.openid.encode()).digest()
    hue, bits = digest[0] * 360 // 256, int.from_bytes(digest[1:3], "big")
    cells = [(x, y) for y in range(5) for x in range(3) if bits >> (y * 3 + x) & 1]
    cells += [(4 - x, y) for x, y in cells if x < 2]
    squares = "".join(f"M{x + 2} {y + 2}h1v1h-1z" for x, y in cells)
    return Markup(
        '<svg class="avatar-art" width="{size}" height="{size}" viewBox="0 0 9 9" aria-hidden="true">'
        '<rect width="9" height="9" rx="2" fill="hsl({hue} 42% 46%)"/><path d="{squares}" fill="#fff"/></svg>'
    ).format(size=size, hue=hue, squares=squares)


@bp.app_template_filter("rich")
def rich(text: str, query: Query | None = None) -> Markup:
    """Text as a follower wrote it: links, classic emoticons, and what was searched for."""
    pieces, end = [], 0
    for match in URL.finditer(text):
        url = match.group().rstrip(TRAILING)
        pieces += [_words(text[end : match.start()], query), _link(url)]
        end = match.start() + len(url)
    pieces.append(_words(text[end:], query))
    return Markup("").join(pieces)


@bp.app_template_filter("excerpt")
def excerpt(text: str, query: Query | None = None) -> Markup:
    """One line of a text, from where it matches `query`."""
    line = " ".join(text[:20_000].split()) if not query else text
    if query:
        return _highlighted(highlight(line, query))
    return _emoticons(line[:300])


@bp.app_template_filter("visible")
def visible(text: str) -> Markup:
    """Text whose control, direction and zero-width characters can be seen."""
    pieces, end = [], 0
    for match in _HIDDEN.finditer(text):
        mark = Markup('<span class="hidden-char">U+{:04X}</span>').format(ord(match.group()))
        pieces += [escape(text[end : match.start()]), mark]
        end = match.end()
    return Markup("").join([*pieces, escape(text[end:])])


@bp.app_template_filter("has_hidden")
def has_hidden(text: str) -> bool:
    return any(match.group() != _JOINER for match in _HIDDEN.finditer(text))


@bp.app_template_filter("web_address")
def web_address(url: str) -> str | None:
    """`url` if a browser may follow it."""
    return url if URL.match(url) else None


@bp.app_template_filter("host")
def host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _link(url: str) -> Markup:
    return Markup('<a href="{0}" rel="noopener noreferrer nofollow" target="_blank">{0}</a>').format(url)


def _words(text: str, query: Query | None) -> Markup:
    return _highlighted(highlight(text, query, context=len(text))) if query else _emoticons(text)


def _highlighted(pieces: Iterable[tuple[str, bool]]) -> Markup:
    return Markup("").join(
        Markup("<mark>{}</mark>").format(piece) if matches else _emoticons(piece) for piece, matches in pieces
    )


def _emoticons(text: str) -> Markup:
    pieces, end = [], 0
    for match in _CODES.finditer(text):
        code = match.group()
        shown = Markup('<span class="emoticon" title="{}">{}</span>').format(code, EMOTICONS[code])
        pieces += [escape(text[end : match.start()]), shown]
        end = match.end()
    return Markup("").join([*pieces, escape(text[end:])])
