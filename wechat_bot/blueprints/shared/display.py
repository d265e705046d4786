"""Template filters for times, followers and their text. Those that return markup escape their input."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import url_for
from flask_babel import format_datetime, get_timezone
from markupsafe import Markup, escape

from ...pseudonyms import pseudonym
from ...services.search.tokens import Query, highlight
from ...simulator.openids import is_simulated
from ...wechat.faces import FACE_CODE, FACES_BY_CODE
from . import bp

bp.add_app_template_filter(is_simulated)

URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+(?<![.,:;!?'])")
"""ASCII only: what follows a URL without a space is mostly Chinese text."""

MAX_SHOWN = 5000
"""Maximum number of characters of a text on a page that was not asked for all of it."""

_JOINER = "\u200d"  # joins emoji; not reported as hidden
_HIDDEN = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@bp.app_template_global("icon")
def icon(name: str, label: str = "") -> Markup:
    """Return an icon of the set, which screen readers skip unless it has a label."""
    return _icon(url_for("static", filename="vendor/icons.svg"), name, str(label))


@lru_cache(maxsize=1000)
def _icon(url: str, name: str, label: str) -> Markup:
    role = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="icon" {}><use href="{}#{}"></use></svg>').format(role, url, name)


@bp.app_template_filter("iso")
def iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@bp.app_template_filter("exact_time")
def exact_time(time: datetime) -> str:
    """Format a time in the operator's time zone and in UTC."""
    return f"{format_datetime(time, 'yyyy-MM-dd HH:mm:ss z')} · {time.astimezone(UTC):%H:%M:%S} UTC"


@bp.app_template_filter("local_time")
def local_time(time: datetime) -> str:
    """Format a time in words, in the operator's time zone."""
    return str(format_datetime(time, "medium"))


@bp.app_template_filter("short_time")
def short_time(time: datetime) -> str:
    """Format a time as 14:05 (today), 11-22 14:05 (this year) or 2025-11-22."""
    zone = get_timezone()
    local, now = time.astimezone(zone), datetime.now(zone)
    if local.date() == now.date():
        return f"{local:%H:%M}"
    return f"{local:%m-%d %H:%M}" if local.year == now.year else f"{local:%Y-%m-%d}"


@bp.app_template_filter("day")
def day(time: datetime) -> str:
    return str(format_datetime(time, "yyyy-MM-dd EEEE"))


@bp.app_template_filter("name")
def name(follower: Any) -> str:
    """Return a follower's alias, or the pseudonym."""
    return str(follower.alias or pseudonym(follower.openid))


@bp.app_template_filter("avatar")
def avatar(follower: Any, size: int = 36) -> Markup:
    """Return a symmetrical pattern that depends on the openid, since the platform provides no pictures."""
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
def rich(text: str, query: Query | None = None, whole: bool = False) -> Markup:
    """Return text with links, faces, and highlighted matches of `query`.

    Only the first `MAX_SHOWN` characters are returned, unless `whole` is true.
    """
    if exceeds_page(text) and not whole:
        text = text[:MAX_SHOWN] + "…"

    def words(text: str) -> Markup:
        return _highlighted(highlight(text, query, context=len(text))) if query else _faces(text)

    return marked_up(text, URL, lambda match: link_to(match.group(), match.group()), words)


@bp.app_template_filter("exceeds_page")
def exceeds_page(text: str) -> bool:
    return len(text) > MAX_SHOWN


@bp.app_template_filter("excerpt")
def excerpt(text: str, query: Query | None = None) -> Markup:
    """Return a text as one line, around the matches of `query` if there is one."""
    if query:
        return _highlighted(highlight(text, query))
    return _faces(" ".join(text[:20_000].split())[:300])


@bp.app_template_filter("visible")
def visible(text: str) -> Markup:
    """Return text with visible marks for control, direction and zero-width characters."""
    mark = Markup('<span class="hidden-char">U+{:04X}</span>')
    return marked_up(text, _HIDDEN, lambda match: mark.format(ord(match.group())))


@bp.app_template_filter("has_hidden")
def has_hidden(text: str) -> bool:
    return any(match.group() != _JOINER for match in _HIDDEN.finditer(text))


@bp.app_template_filter("web_address")
def web_address(url: str | None) -> str | None:
    """Return `url` if it is an HTTP(S) address, which is a safe link for a browser, else None."""
    return url if url and URL.match(url) else None


@bp.app_template_filter("map_address")
def map_address(fields: Mapping[str, Any]) -> str | None:
    """Return the address of a map with the place of a location message, or None without coordinates.

    The map of the platform's company has the same coordinates, GCJ-02.
    """
    try:
        latitude, longitude = float(fields["Location_X"]), float(fields["Location_Y"])
    except (KeyError, TypeError, ValueError):
        return None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    place = f"{latitude},{longitude}"
    title = str(fields.get("Label") or place)[:100]
    marker = f"coord:{place};title:{title.replace(';', ' ')}"
    return f"https://apis.map.qq.com/uri/v1/marker?{urlencode({'marker': marker, 'referer': 'wechat_bot'})}"


@bp.app_template_filter("host")
def host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def marked_up(
    text: str,
    pattern: re.Pattern[str],
    mark: Callable[[re.Match[str]], Markup],
    rest: Callable[[str], Markup] = escape,
) -> Markup:
    """Return the markup of `text`: `mark` of each match of `pattern`, and `rest` of the text between."""
    pieces, end = [], 0
    for match in pattern.finditer(text):
        pieces += [rest(text[end : match.start()]), mark(match)]
        end = match.end()
    return Markup("").join([*pieces, rest(text[end:])])


def link_to(url: str, label: str) -> Markup:
    link = Markup('<a href="{}" rel="noopener noreferrer nofollow" target="_blank">{}</a>')
    return link.format(url, label)


def _highlighted(pieces: Iterable[tuple[str, bool]]) -> Markup:
    return Markup("").join(
        Markup("<mark>{}</mark>").format(piece) if matches else _faces(piece) for piece, matches in pieces
    )


def _faces(text: str) -> Markup:
    """Return text whose codes are drawn as faces. The code stays the text, which is copied and read out."""
    return marked_up(text, FACE_CODE, _face)


def _face(match: re.Match[str]) -> Markup:
    code = match.group()
    face = FACES_BY_CODE[code]
    kind, drawn = ("face", face.emoji) if face.emoji else ("face face-name", face.zh)
    return Markup('<span class="{}" title="{}" data-face="{}"><span>{}</span></span>').format(
        kind, code, drawn, code
    )
