"""Menus as values: the kinds of buttons, their JSON, and the steps by which an editor changes them.

A menu is a tuple of the platform's buttons (``wechat-platform.md`` section 7.3). It may break the platform's
rules, as drafts do; `checks.findings` names what has to be mended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ...wechat.api.menu import Button
from ...wechat.api.values import convert
from ...wechat.errors import Unreachable

Menu = tuple[Button, ...]

MAX_TOP, MAX_SUB = 3, 5
"""Buttons at the bottom of the chat, and buttons that each of them may open."""

KINDS: dict[str, tuple[str, ...]] = {
    "click": ("key",),
    "view": ("url",),
    "miniprogram": ("appid", "pagepath", "url"),
    "article_id": ("article_id",),
    "article_view_limited": ("article_id",),
    "scancode_waitmsg": ("key",),
    "scancode_push": ("key",),
    "pic_photo_or_album": ("key",),
    "pic_sysphoto": ("key",),
    "pic_weixin": ("key",),
    "location_select": ("key",),
    "media_id": ("media_id",),
    "view_limited": ("media_id",),
}
"""The kinds of buttons that can be published, with the fields that each has. Buttons of other kinds were made
in the platform's console; they are kept and shown."""


class BrokenMenu(ValueError):
    """A text is no JSON of a menu."""


class DoesNotFit(ValueError):
    """There is no room for another button, or no such place."""


@dataclass(frozen=True, order=True)
class Place:
    """The place of a button: a column, and the place in its sub-menu, -1 for the button at the bottom."""

    top: int
    sub: int = -1

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read what `str` returned.

        :raises DoesNotFit: if it is no place of a menu.
        """
        parts = text.split(".")
        if not all(part.isascii() and part.isdigit() and len(part) <= 2 for part in parts) or len(parts) > 2:
            raise DoesNotFit(text)
        return cls(*map(int, parts))

    def __str__(self) -> str:
        return f"{self.top}" if self.is_top else f"{self.top}.{self.sub}"

    @property
    def is_top(self) -> bool:
        return self.sub < 0


def load(text: str) -> Menu:
    """Read a menu from its JSON.

    :raises BrokenMenu: if it is none.
    """
    try:
        menu = convert(tuple[Button, ...], json.loads(text), "buttons")
        dump(menu).encode()
    except (ValueError, RecursionError, Unreachable) as error:
        raise BrokenMenu(str(error)) from error
    if any("\x00" in value for _, button in places(menu) for value in vars(button).values() if value):
        raise BrokenMenu("a NUL character")
    return menu


def dump(menu: Menu) -> str:
    """Return the JSON of a menu."""
    return json.dumps([button.to_json() for button in menu], ensure_ascii=False)


def places(menu: Menu) -> Iterator[tuple[Place, Button]]:
    """Yield the buttons, each column from its button at the bottom to the last of its sub-menu."""
    for top, button in enumerate(menu):
        yield Place(top), button
        for sub, inner in enumerate(button.sub_button):
            yield Place(top, sub), inner


def find(menu: Menu, place: Place) -> Button | None:
    return dict(places(menu)).get(place)


def is_kept(button: Button) -> bool:
    """Whether it is of a kind that only the platform's console makes, so that it cannot be published."""
    return bool(button.type) and button.type not in KINDS and not button.sub_button


def cleaned(menu: Menu) -> Menu:
    """Return the buttons with the fields of their kinds alone; a draft may have those of other kinds, too."""
    return tuple(map(_cleaned, menu))


def _cleaned(button: Button) -> Button:
    if is_kept(button):
        return button
    if button.sub_button:
        return Button(button.name, sub_button=cleaned(button.sub_button))
    fields = {name: getattr(button, name) for name in KINDS.get(button.type, ())}
    return Button(button.name, button.type, **fields)


def published(menu: Menu) -> Menu:
    """Return the buttons as they are published: cleaned, and without those that are kept."""
    return tuple(
        replace(button, sub_button=published(button.sub_button))
        for button in cleaned(menu)
        if not is_kept(button) and not (button.sub_button and all(map(is_kept, button.sub_button)))
    )


# Changes


def changed(menu: Menu, place: Place, **fields: Any) -> Menu:
    """Return the menu with other values in the button at `place`.

    :raises DoesNotFit: if there is none.
    """
    button = find(menu, place)
    if button is None:
        raise DoesNotFit(str(place))
    return _inserted(removed(menu, place), place, replace(button, **fields))


def added(menu: Menu, top: int | None, button: Button) -> tuple[Menu, Place]:
    """Return the menu with a new button at the end of a column, or of the columns, and its place.

    :raises DoesNotFit: if there is no room.
    """
    place = Place(len(menu)) if top is None else Place(top, len(_column(menu, top).sub_button))
    if len(menu) >= MAX_TOP if top is None else place.sub >= MAX_SUB:
        raise DoesNotFit(str(place))
    return _inserted(menu, place, button), place


def removed(menu: Menu, place: Place) -> Menu:
    """Return the menu without the button at `place`, and the buttons that it opens.

    :raises DoesNotFit: if there is none.
    """
    if find(menu, place) is None:
        raise DoesNotFit(str(place))
    if place.is_top:
        return menu[: place.top] + menu[place.top + 1 :]
    column = menu[place.top]
    rest = column.sub_button[: place.sub] + column.sub_button[place.sub + 1 :]
    return (*menu[: place.top], replace(column, sub_button=rest), *menu[place.top + 1 :])


def moved(menu: Menu, source: Place, target: Place) -> Menu:
    """Return the menu with the button at `source` taken out and put in at `target`.

    `target` counts as if the button had been taken out already.

    :raises DoesNotFit: if a button that opens others would be within another, or there is no room.
    """
    button = find(menu, source)
    if button is None or (button.sub_button and not target.is_top):
        raise DoesNotFit(str(source))
    rest = removed(menu, source)
    if target.is_top:
        full, end = len(rest) >= MAX_TOP, len(rest)
    else:
        end = len(_column(rest, target.top).sub_button)
        full = end >= MAX_SUB
    if full or (target.top if target.is_top else target.sub) > end:
        raise DoesNotFit(str(target))
    return _inserted(rest, target, button)


def neighbour(menu: Menu, place: Place, direction: str) -> Place:
    """Return where the button at `place` goes by one step: left, right, up or down.

    :raises DoesNotFit: at the edge, or if there is no such button or direction.
    """
    if find(menu, place) is None:
        raise DoesNotFit(str(place))
    step = {"left": -1, "right": 1, "up": -1, "down": 1}.get(direction, 0)
    sideways = direction in {"left", "right"}
    if place.is_top:
        target, last = Place(place.top + step), len(menu) - 1
        if sideways and 0 <= target.top <= last:
            return target
    elif sideways and 0 <= place.top + step < len(menu):
        return Place(place.top + step, min(place.sub, len(menu[place.top + step].sub_button)))
    elif step and not sideways and 0 <= place.sub + step < len(menu[place.top].sub_button):
        return Place(place.top, place.sub + step)
    raise DoesNotFit(direction)


def _column(menu: Menu, top: int) -> Button:
    if top >= len(menu):
        raise DoesNotFit(str(top))
    return menu[top]


def _inserted(menu: Menu, place: Place, button: Button) -> Menu:
    if place.is_top:
        return (*menu[: place.top], button, *menu[place.top :])
    column = menu[place.top]
    inner = (*column.sub_button[: place.sub], button, *column.sub_button[place.sub :])
    return (*menu[: place.top], replace(column, sub_button=inner), *menu[place.top + 1 :])
