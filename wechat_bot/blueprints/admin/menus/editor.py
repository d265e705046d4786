"""What the pages of the menu show: a version, what followers see, and what is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import abort, url_for
from flask_babel import gettext as _

from ....extensions import db
from ....models import MenuState
from ....services.accounts.capabilities import Feature, Permission
from ....services.menus import buttons, checks, conditional, refusals, versions
from ....services.menus.audiences import Audience
from ....services.menus.buttons import Menu, Place
from ....services.menus.checks import Finding
from ....services.menus.comparison import differences
from ....services.menus.conditional import MenuEntry
from ....services.menus.publishing import Look
from ....services.menus.versions import Version
from ....wechat.api.menu import Button
from ....wiring import services
from ...shared.problems import describe_error
from . import words


@dataclass(frozen=True)
class Editor:
    """What the pages of a menu show. `seen` names the version from which `menu` comes."""

    version: Version | None
    menu: Menu
    look: Look
    permission: Permission
    conditional: Sequence[MenuEntry]
    """The conditional menus of the account, in their order."""
    tags: Mapping[str, str]
    """The names of the tags that the platform knows, by its numbers."""
    entry: MenuEntry | None = None
    """The conditional menu; None for the default menu."""

    @property
    def menu_id(self) -> int | None:
        return self.entry.id if self.entry else None

    @property
    def menuid(self) -> str | None:
        """The platform's id of the conditional menu; empty if it is not there, None for the default menu."""
        return self.entry.menuid if self.entry else None

    @property
    def audience(self) -> Audience | None:
        """Who sees the conditional menu."""
        return self.entry.audience if self.entry else None

    def url(self, view: str, **values: Any) -> str:
        """Return the address of a page of this menu."""
        return url_for(f"admin.{view}", menu_id=self.menu_id, **values)

    @property
    def seen(self) -> str:
        return self.version.token if self.version else ""

    @property
    def live(self) -> Menu:
        return self.look.live.shown(self.menuid).button if self.look.live else ()

    @property
    def fingerprint(self) -> str:
        """Names the content of the live menu; empty if it could not be read."""
        return self.look.live.fingerprint(self.menuid) if self.look.live else ""

    @property
    def has_default(self) -> bool:
        """Whether the platform has a default menu that the API made, which conditional ones need."""
        return bool(self.look.live and self.look.live.menuid)

    @property
    def audience_now(self) -> Audience | None:
        """Who sees the live conditional menu, if publishing the draft changes it."""
        if not (self.live and self.look.live):
            return None
        shown = Audience.of(self.look.live.shown(self.menuid).matchrule)
        return shown if shown != self.audience else None

    @property
    def _menuids(self) -> list[str]:
        """The ids of the platform's conditional menus, the oldest first."""
        return [menu.menuid for menu in self.look.live.conditional] if self.look.live else []

    @property
    def elsewhere(self) -> int:
        """How many of the platform's conditional menus were made elsewhere."""
        return len(set(self._menuids) - {entry.menuid for entry in self.conditional})

    @property
    def is_in_order(self) -> bool:
        """Whether the platform asks our conditional menus in our order."""
        shown = self._menuids
        ages = [shown.index(entry.menuid) for entry in self.conditional if entry.menuid in shown]
        return ages == sorted(ages, reverse=True)

    def is_live(self, entry: MenuEntry) -> bool:
        """Whether followers see a conditional menu, as far as we know."""
        live = self.look.live
        return bool(entry.menuid) and (live is None or bool(live.shown(entry.menuid).button))

    @property
    def row(self) -> Any:
        return self.version.row if self.version else None

    @property
    def changes(self) -> list[Any]:
        """What publishing the draft changes for followers; kept buttons of the live menu disappear."""
        return differences(buttons.cleaned(self.live), buttons.published(self.menu))

    @cached_property
    def problems(self) -> dict[str, list[Finding]]:
        """The faults by place; those of the whole menu are under an empty one."""
        found = defaultdict(list)
        place = self.entry.position - 1 if self.entry else 0
        before = [each.audience for each in self.conditional[:place]]
        for finding in checks.findings(self.menu, self.audience, before):
            found[str(finding.place or "")].append(finding)
        return dict(found)

    def name_at(self, place: str) -> str:
        return words.name_of(buttons.find(self.menu, Place.parse(place)) or Button())

    @property
    def is_publishable(self) -> bool:
        return checks.is_publishable(self.menu, self.audience)

    @cached_property
    def accused(self) -> tuple[str, ...]:
        """The places that the platform's error may be about."""
        errcode = self.row.errcode if self.row else None
        return tuple(map(str, refusals.accused(errcode, self.menu))) if errcode else ()

    @property
    def live_error(self) -> str:
        """Why the live menu could not be read."""
        error = self.look.error
        return describe_error(error.errcode or None, str(error)) if error else ""

    @property
    def reason(self) -> Any:
        """Why the account may not publish menus."""
        return words.MENU_REASONS.get(self.permission.reason, "")


def load_editor(menu_id: int | None = None, *, again: bool = False) -> Editor:
    """Read a menu, and what followers see of it.

    A conditional menu that does not exist is a 404.
    """
    account_id, connection = services().account_id, db.session.connection()
    entries = conditional.entries(connection, account_id)
    entry = next((each for each in entries if each.id == menu_id), None)
    if menu_id is not None and entry is None:
        abort(404, _("没有这套个性化菜单。"))
    version = entry.version if entry else versions.current(connection, account_id)
    since = version.row.publish_at if version and version.row.state == MenuState.PUBLISHED else None
    look = services().menus.look(account_id, since=since, again=again)  # another process may have published
    menu = (version.menu or ()) if version else look.live.menu if look.live and not entry else ()
    permission = services().capabilities.permission(account_id, Feature.MENU)
    tags = conditional.tag_names(connection, account_id)
    return Editor(version, menu, look, permission, entries, tags, entry)
