"""What bots write, as a phone shows it. Everything comes out as markup that is safe."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from markupsafe import Markup, escape

from ...simulator.sample_messages import EVENTS
from ...wechat.xml import Fields
from ..shared.display import URL, avatar, rich
from . import bp, inspection
from .dependencies import store

_ANCHOR = re.compile(r"""<a\s[^>]*?href\s*=\s*(["'])(?P<href>.*?)\1[^>]*>(?P<label>.*?)</a>""", re.I | re.S)

bp.add_app_template_filter(inspection.readable, "readable")
bp.add_app_template_filter(avatar, "face")
bp.add_app_template_filter(rich, "written")


@bp.app_template_filter("clock")
def clock(seconds: float) -> str:
    """The time of day at this machine, at which whoever tries the bot usually sits."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%H:%M:%S}"


@bp.app_template_filter("moment")
def moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%m-%d %H:%M:%S}"


@bp.app_template_filter("as_tap")
def as_tap(fields: Fields) -> str:
    """What a button pushes."""
    return json.dumps(fields, ensure_ascii=False)


@bp.app_template_filter("web_page")
def web_page(url: str | None) -> bool:
    """Whether a browser may follow it."""
    return bool(url and URL.match(url))


@bp.app_template_filter("kept")
def kept(media_id: str) -> bool:
    """Whether the simulator has the content of a picture."""
    with store().opened() as state:
        return media_id in state.media


@bp.app_template_filter("menu_tap")
def menu_tap(button: Mapping[str, Any]) -> Fields | None:
    """What a tap on a menu's button pushes (sections 4.4 and 4.5); None for kinds that push nothing."""
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


@bp.app_template_filter("menu_item")
def menu_item(item: Mapping[str, str]) -> Markup:
    return tap(item["content"], item["content"], item["id"])


@bp.app_template_filter("said")
def said(text: str) -> Markup:
    """A text of the bot: links, taps that answer (section 10.9), bare addresses and classic emoticons."""
    pieces, end = [], 0
    for match in _ANCHOR.finditer(text):
        pieces += [rich(text[end : match.start()]), _anchor(match)]
        end = match.end()
    return Markup("").join([*pieces, rich(text[end:])])


def _anchor(match: re.Match[str]) -> Markup:
    href, label = html.unescape(match["href"]), match["label"]
    if href.lower().startswith("weixin://bizmsgmenu?"):
        values = parse_qs(urlsplit(href).query)
        content = values.get("msgmenucontent", [label])[0]
        return tap(label, content, values.get("msgmenuid", [""])[0])
    if URL.match(href):
        return _link(href, label)
    return escape(label)


def tap(label: str, content: str, menu_id: str) -> Markup:
    """A button that sends `content`, as the items of menu messages do (section 7.6)."""
    fields = {"MsgType": "text", "Content": content, "bizmsgmenuid": menu_id}
    return Markup('<button class="tap" form="tap" name="fields" value="{}">{}</button>').format(
        as_tap(fields), label
    )


def _link(href: str, label: str) -> Markup:
    link = Markup('<a href="{}" rel="noopener noreferrer nofollow" target="_blank">{}</a>')
    return link.format(href, label)
