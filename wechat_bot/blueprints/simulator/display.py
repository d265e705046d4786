"""Template filters that show messages as a phone does. They return escaped markup."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask_babel import get_timezone
from markupsafe import Markup, escape

from ...services.media import formats
from ...simulator.journal import MAX_ENTRIES
from ...simulator.sample_messages import EVENTS
from ...wechat.xml import Fields
from ..shared.display import link_to, marked_up, rich, web_address
from . import bp, inspection
from .dependencies import read_media, store

_ANCHOR = re.compile(r"""<a\s[^>]*?href\s*=\s*(["'])(?P<href>.*?)\1[^>]*>(?P<label>.*?)</a>""", re.I | re.S)

_BUBBLES = {
    **dict.fromkeys(("image", "video", "shortvideo"), "bubble plain"),
    **dict.fromkeys(("location", "link", "news", "music", "miniprogrampage", "file"), "bubble card"),
}
"""Classes of messages that are no coloured bubbles: media by themselves, and white cards."""

bp.add_app_template_filter(inspection.format_body, "readable")


@bp.app_template_filter("bubble")
def bubble(kind: Any) -> str:
    """Return the classes of a message of that kind."""
    return _BUBBLES.get(str(kind), "bubble")


@bp.app_template_filter("clock")
def clock(seconds: float) -> str:
    """Return the time of day in the time zone of the console."""
    return f"{datetime.fromtimestamp(seconds, get_timezone()):%H:%M:%S}"


@bp.app_template_filter("moment")
def moment(seconds: float) -> str:
    """Return date and time in the time zone of the console."""
    return f"{datetime.fromtimestamp(seconds, get_timezone()):%m-%d %H:%M}"


@bp.app_template_filter("as_tap")
def as_tap(fields: Fields) -> str:
    """Return the value of a button that pushes `fields`."""
    return json.dumps(fields, ensure_ascii=False)


@bp.app_template_filter("kept")
def is_stored(media_id: str) -> bool:
    with store().opened() as state:
        return media_id in state.media


@bp.app_template_filter("seconds")
@lru_cache(maxsize=MAX_ENTRIES)
def voice_seconds(media_id: str) -> int:
    """Return the duration of a stored voice, rounded up; 0 if it is unknown."""
    content, _content_type = read_media(media_id) or (b"", "")
    found = formats.detect(content)
    return formats.seconds(content, found)


@bp.app_template_filter("menu_tap")
def menu_tap(button: Mapping[str, Any]) -> Fields | None:
    """Return what a tap on a menu button pushes (sections 4.4 and 4.5), or None if it pushes nothing."""
    kind = button.get("type", "")
    match kind:
        case "click":
            return {"MsgType": "event", "Event": "CLICK", "EventKey": button.get("key", "")}
        case "view":
            return {"MsgType": "event", "Event": "VIEW", "EventKey": button.get("url", "")}
        case "miniprogram":
            return {"MsgType": "event", "Event": "view_miniprogram", "EventKey": button.get("pagepath", "")}
        case _ if kind in EVENTS:
            return {"MsgType": "event", "Event": kind, **EVENTS[kind], "EventKey": button.get("key", "")}
        case _:
            return None


@bp.app_template_filter("sends_itself")
def sends_itself(button: Mapping[str, Any]) -> bool:
    """Whether a tap on a menu button makes the platform itself send something."""
    return button.get("type") in {"text", "img", "voice", "video", "news", "media_id"}


@bp.app_template_filter("menu_item")
def menu_item(item: Mapping[str, str]) -> Markup:
    return tap(item["content"], item["content"], item["id"])


@bp.app_template_filter("said")
def bot_text(text: str) -> Markup:
    """Render a text of the bot with links, menu items (section 10.9), bare URLs and faces."""
    return marked_up(text, _ANCHOR, _anchor, rich)


def _anchor(match: re.Match[str]) -> Markup:
    href, label = html.unescape(match["href"]), match["label"]
    if href.lower().startswith("weixin://bizmsgmenu?"):
        values = parse_qs(urlsplit(href).query)
        content = values.get("msgmenucontent", [label])[0]
        return tap(label, content, values.get("msgmenuid", [""])[0])
    return link_to(href, label) if web_address(href) else escape(label)


def tap(label: str, content: str, menu_id: str) -> Markup:
    """Return a button that sends `content`, as an item of a menu message does (section 7.6)."""
    fields = {"MsgType": "text", "Content": content, "bizmsgmenuid": menu_id}
    return Markup('<button class="tap" form="tap" name="fields" value="{}">{}</button>').format(
        as_tap(fields), label
    )
