"""What the platform would refuse in a menu, and what followers would see badly.

Lengths are in bytes of UTF-8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from ...wechat.api.menu import Button
from .audiences import Audience
from .buttons import KINDS, MAX_SUB, MAX_TOP, Menu, Place, is_kept, places, published

TOP_NAME, SUB_NAME = 16, 60
"""Bytes of a name at the bottom, and of one in a sub-menu."""
MAX_BYTES = {"key": 128, "url": 1024}
SHOWN_TOP, SHOWN_SUB = 4, 7
"""Chinese characters of a name for which every phone has room."""
MAX_DOMAINS = 3
OWN_DOMAIN = "mp.weixin.qq.com"
"""Addresses of the platform, which do not count as foreign."""


class Fault(StrEnum):
    """What is to be mended."""

    EMPTY = "empty"
    TOO_MANY_COLUMNS = "too_many_columns"
    TOO_MANY_SUBS = "too_many_subs"
    THIRD_LEVEL = "third_level"
    NO_NAME = "no_name"
    NAME_TOO_LONG = "name_too_long"
    NO_ACTION = "no_action"
    MISSING = "missing"
    """A field of the button's kind has no value."""
    TOO_LONG = "too_long"
    NO_ADDRESS = "no_address"
    TOO_MANY_DOMAINS = "too_many_domains"
    NO_AUDIENCE = "no_audience"
    """A conditional menu has no condition."""
    # Advice
    NAME_CUT = "name_cut"
    SAME_KEY = "same_key"
    SHADOWED = "shadowed"
    """A menu that is asked before is shown to everybody for whom this one is meant."""
    KEPT = "kept"
    """The button cannot be published, and is left out."""


ADVICE = frozenset({Fault.NAME_CUT, Fault.SAME_KEY, Fault.SHADOWED, Fault.KEPT})
"""What does not keep a menu from being published."""


@dataclass(frozen=True)
class Finding:
    """A fault. `place` is None for the whole menu; `size` and `limit` are bytes or buttons."""

    fault: Fault
    place: Place | None = None
    field: str = ""
    size: int = 0
    limit: int = 0

    @property
    def is_advice(self) -> bool:
        return self.fault in ADVICE


def findings(menu: Menu, audience: Audience | None = None, before: Iterable[Audience] = ()) -> list[Finding]:
    """Return all faults of a menu: those of the whole first, then button by button.

    :param audience: who sees a conditional menu.
    :param before: who sees the conditional menus that are asked before it.
    """
    return [
        *_of_menu(menu),
        *_of_audience(audience, before),
        *(finding for place, button in places(menu) for finding in _of(place, button, menu)),
    ]


def is_publishable(menu: Menu, audience: Audience | None = None) -> bool:
    """Whether the platform is expected to take the menu."""
    return all(finding.is_advice for finding in findings(menu, audience))


def _of_menu(menu: Menu) -> Iterator[Finding]:
    if not published(menu):
        yield Finding(Fault.EMPTY)
    if len(menu) > MAX_TOP:
        yield Finding(Fault.TOO_MANY_COLUMNS, size=len(menu), limit=MAX_TOP)
    sent = (button for _, button in places(published(menu)))
    domains = {host_of(button.url) for button in sent if button.url} - {"", OWN_DOMAIN}
    if len(domains) > MAX_DOMAINS:
        yield Finding(Fault.TOO_MANY_DOMAINS, size=len(domains), limit=MAX_DOMAINS)


def _of_audience(audience: Audience | None, before: Iterable[Audience]) -> Iterator[Finding]:
    if audience is None:
        return
    if not audience:
        yield Finding(Fault.NO_AUDIENCE, field="audience")
    elif any(other.covers(audience) for other in before):
        yield Finding(Fault.SHADOWED, field="audience")


def _of(place: Place, button: Button, menu: Menu) -> Iterator[Finding]:
    if is_kept(button):
        yield Finding(Fault.KEPT, place, "type")
        return
    yield from _of_name(place, button.name)
    if button.sub_button:
        if not place.is_top:
            yield Finding(Fault.THIRD_LEVEL, place)
        if len(button.sub_button) > MAX_SUB:
            yield Finding(Fault.TOO_MANY_SUBS, place, size=len(button.sub_button), limit=MAX_SUB)
    elif not button.type:
        yield Finding(Fault.NO_ACTION, place, "type")
    else:
        for field in KINDS[button.type]:
            yield from _of_field(place, field, getattr(button, field))
        if button.key and "key" in KINDS[button.type] and _keys(menu)[button.type, button.key] > 1:
            yield Finding(Fault.SAME_KEY, place, "key")


def _of_name(place: Place, name: str) -> Iterator[Finding]:
    limit, shown = (TOP_NAME, SHOWN_TOP) if place.is_top else (SUB_NAME, SHOWN_SUB)
    size = len(name.encode())
    if not name.strip():
        yield Finding(Fault.NO_NAME, place, "name")
    elif size > limit:
        yield Finding(Fault.NAME_TOO_LONG, place, "name", size, limit)
    elif _width(name) > 2 * shown:
        yield Finding(Fault.NAME_CUT, place, "name", limit=shown)


def _of_field(place: Place, field: str, value: str) -> Iterator[Finding]:
    limit = MAX_BYTES.get(field)
    if not value.strip():
        yield Finding(Fault.MISSING, place, field)
    elif limit and len(value.encode()) > limit:
        yield Finding(Fault.TOO_LONG, place, field, len(value.encode()), limit)
    elif field == "url" and not host_of(value):
        yield Finding(Fault.NO_ADDRESS, place, field)


def host_of(url: str) -> str:
    """Return the host of a web address, or "" if it is none that a button can open."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    is_address = parts.scheme in {"http", "https"} and url.isprintable() and " " not in url
    return host if is_address else ""


def _width(name: str) -> int:
    """Return about how wide a name is, where a Chinese character or an emoji is 2."""
    return sum(1 if char.isascii() else 2 for char in name if char not in "\u200d\ufe0f")


def _keys(menu: Menu) -> Counter[tuple[str, str]]:
    return Counter((button.type, button.key) for _, button in places(menu) if not button.sub_button)
