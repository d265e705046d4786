"""Which calls bring the platform's conditional menus into our order (``wechat-platform.md`` section 7.3).

The platform shows the newest menu that is meant for a follower, and a menu cannot be changed. So one that has
changed is added again, as are those that are asked before it, and the old ones are deleted. Menus that were
made elsewhere stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ...wechat.api.menu import Buttons
from .audiences import Audience
from .buttons import Menu, published
from .comparison import differences


@dataclass(frozen=True)
class WantedMenu:
    """A conditional menu that shall be at the platform."""

    menu_id: int
    menu: Menu
    audience: Audience
    menuid: str = ""
    """Under which it is there, as far as we know; empty for one that has changed."""

    def is_at(self, shown: Buttons) -> bool:
        """Whether `shown` is this menu, perhaps under an id that was not recorded when a process ended."""
        if shown.menuid == self.menuid:
            return True
        same_audience = Audience.of(shown.matchrule) == self.audience
        return same_audience and not differences(published(shown.button), self.menu)


@dataclass(frozen=True)
class Plan:
    """What is to be done, in this order: first the additions, so that nobody is without a menu in between."""

    kept: Mapping[int, str]
    """The ids of our menus that stay, with those of the platform."""
    added: Sequence[WantedMenu]
    deleted: Sequence[str]


def plan(shown: Sequence[Buttons], wanted: Sequence[WantedMenu], ours: Collection[str]) -> Plan:
    """Return what makes the platform have the `wanted` menus in their order.

    :param shown: the platform's menus, the oldest first.
    :param wanted: in the order in which they are to be added: the one that is asked first is the last.
    :param ours: the platform's ids of menus that may be deleted.
    """
    kept: dict[int, str] = {}
    for menu in shown:  # what is added is newer than all that stay, so these are the first of the wanted ones
        if len(kept) < len(wanted) and wanted[len(kept)].is_at(menu):
            kept[wanted[len(kept)].menu_id] = menu.menuid
    others = [menu for menu in shown if menu.menuid not in kept.values()]
    deleted = [
        each.menuid for each in others if each.menuid in ours or any(one.is_at(each) for one in wanted)
    ]
    return Plan(kept, wanted[len(kept) :], deleted)
