"""Which buttons of a menu an error of the platform is about (``wechat-platform.md`` section 8).

The platform names the level and the field, never the button.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ...wechat.api.menu import Button
from .buttons import Menu, Place, places
from .checks import OWN_DOMAIN, findings, host_of

_TOP = {40017: "type", 40018: "name", 40019: "key", 40020: "url", 40055: "url"}
_SUB = {40022: "sub_button", 40024: "type", 40025: "name", 40026: "key", 40027: "url", 40054: "url"}
_ANY = {45064: "appid", 53600: "article_id", 40007: "media_id", 65308: "type", 65317: "url", 65316: "url"}


def accused(errcode: int, menu: Menu) -> tuple[Place, ...]:
    """Return the places of the buttons that an error may be about; none if it is about the whole menu.

    If a check of ours objects to some of them, it is about these; of names and keys, it is the longest one.
    """
    field, candidates = _candidates(errcode, menu)
    objected = {finding.place for finding in findings(menu) if not finding.is_advice}
    if guilty := tuple(place for place in candidates if place in objected):
        return guilty
    if field in {"name", "key"} and candidates:
        return (max(candidates, key=lambda place: len(getattr(candidates[place], field).encode())),)
    return tuple(candidates)


def _candidates(errcode: int, menu: Menu) -> tuple[str, dict[Place, Button]]:
    """Return the field, and the buttons that have it at the level of the error."""
    if errcode == 40023:
        crowded = {place: button for place, button in places(menu) if button.sub_button}
        most = max((len(button.sub_button) for button in crowded.values()), default=0)
        return "sub_button", {
            place: button for place, button in crowded.items() if len(button.sub_button) == most
        }
    levels: Collection[tuple[dict[int, str], Callable[[Place], bool]]] = (
        (_TOP, lambda place: place.is_top),
        (_SUB, lambda place: not place.is_top),
        (_ANY, lambda place: True),
    )
    for fields, is_meant in levels:
        if field := fields.get(errcode, ""):
            return field, {
                place: button for place, button in places(menu) if is_meant(place) and _has(button, field)
            }
    return "", {}


def _has(button: Button, field: str) -> bool:
    if field == "url":
        return bool(button.url) and host_of(button.url) != OWN_DOMAIN
    return field == "type" or bool(getattr(button, field))
