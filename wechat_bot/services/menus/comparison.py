"""The difference of two menus: what is new, gone, changed and moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from ...wechat.api.menu import Button
from .buttons import KINDS, Menu, Place, places

_OF_KEPT = ("value", "key", "url", "media_id")
"""The fields of kinds that only the platform's console makes."""


class ChangeKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True)
class Change:
    """A button that differs. `before` and `after` are None where it does not exist."""

    kind: ChangeKind
    before: Button | None = None
    after: Button | None = None


Placed = tuple[Place, Button]


def differences(before: Menu, after: Menu) -> list[Change]:
    """Return how `after` differs from `before`, in the order of `after`, and then what is gone.

    A button is recognised by what it does, by its name in the same column, or by its place, in this order.
    One that changed is not reported as moved, too.
    """
    old, new = list(places(before)), list(places(after))
    pairs = _pairs(old, new)
    moved = _moved(pairs)
    found = [change for after_ in new if (change := _change(pairs.get(after_[0]), after_, moved))]
    kept = {place for place, _ in pairs.values()}
    gone = [Change(ChangeKind.REMOVED, button) for place, button in old if place not in kept]
    return found + gone


def _change(before: Placed | None, after: Placed, moved: set[Place]) -> Change | None:
    place, button = after
    if before is None:
        return Change(ChangeKind.ADDED, after=button)
    if _itself(before[1]) != _itself(button):
        return Change(ChangeKind.CHANGED, before[1], button)
    if place in moved:
        return Change(ChangeKind.MOVED, before[1], button)
    return None


def _itself(button: Button) -> tuple[str, ...]:
    return (button.name, *_action(button))


def _action(button: Button) -> tuple[str, ...]:
    """Return what a tap does: the kind with its values; opening a sub-menu has none."""
    if button.sub_button:
        return ("menu",)
    return (button.type, *(getattr(button, name) for name in KINDS.get(button.type, _OF_KEPT)))


_LIKENESS: tuple[Callable[[Place, Button], object], ...] = (
    lambda place, button: (place.top, place.is_top, *_itself(button)),
    lambda place, button: _itself(button),
    lambda place, button: None if button.sub_button else _action(button),
    lambda place, button: (place.top, place.is_top, button.name) if not place.is_top else (True, button.name),
    lambda place, button: place,
)
"""By what a button is recognised, the surest first."""


def _pairs(old: list[Placed], new: list[Placed]) -> dict[Place, Placed]:
    """Return the old button of each new one that has one, by the new place."""
    pairs: dict[Place, Placed] = {}
    for likeness in _LIKENESS:
        taken = {place for place, _ in pairs.values()}
        free = {likeness(*each): each for each in reversed(old) if each[0] not in taken}
        for place, button in new:
            key = likeness(place, button)
            if place not in pairs and key is not None and key in free:
                pairs[place] = free.pop(key)
    return pairs


def _moved(pairs: dict[Place, Placed]) -> set[Place]:
    """Return the new places of buttons that are in another column, or in another order than before."""
    both = [(new, old) for new, (old, _) in sorted(pairs.items())]
    tops = [(new, old) for new, old in both if new.is_top and old.is_top]
    columns = {new.top: old.top for new, old in tops}
    stayed = set(tops)
    moved = set(_reordered(tops))
    for top in {new.top for new, _ in both}:
        inside = [(new, old) for new, old in both if new.top == top and not (new.is_top or old.is_top)]
        home = [(new, old) for new, old in inside if old.top == columns.get(top, top)]
        stayed |= set(home)
        moved |= set(_reordered(home))
    return moved | {new for new, old in both if (new, old) not in stayed}


def _reordered(pairs: list[tuple[Place, Place]]) -> Iterator[Place]:
    """Yield the new places of buttons that left the order of the others."""
    was, now = sorted(old for _, old in pairs), [old for _, old in pairs]
    stayed = {
        old
        for block in SequenceMatcher(None, was, now, autojunk=False).get_matching_blocks()
        for old in was[block.a : block.a + block.size]
    }
    yield from (new for new, old in pairs if old not in stayed)
