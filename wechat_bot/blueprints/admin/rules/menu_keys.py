"""The buttons of the menu whose taps rules answer: chosen by picture, and those that nobody answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flask import Blueprint

from ....extensions import db
from ....services.menus import buttons, versions
from ....services.menus.buttons import Menu
from ....services.rules import reading
from ....wechat.api.menu import Button
from ....wiring import services

bp = Blueprint("menu_keys", __name__)


@dataclass(frozen=True)
class Keys:
    """The buttons as they are drawn: three columns of the menu, and those of other menus."""

    columns: list[list[Button]]
    others: list[Button]

    @property
    def known(self) -> set[str]:
        """The keys that can be chosen by a press."""
        return set(_by_key(button for column in [*self.columns, self.others] for button in column))


def drawn(*, live: bool) -> Keys:
    """Return the buttons of the menu that operators edit, and of the one that followers see.

    If it shall be `live`, the platform is asked for the latter, unless it was asked a moment ago.
    """
    first, *rest = [*_menus(live=live), ()]
    columns = [[*button.sub_button, button] for button in first]
    others = _by_key(button for menu in rest for _place, button in buttons.places(menu))
    for _place, button in buttons.places(first):
        others.pop(button.key, None)
    return Keys(columns, list(others.values()))


@bp.app_template_test("reply_button")
def _replies(button: Button) -> bool:
    """Whether a tap on the button is answered by its key."""
    return button.type == "click" and bool(button.key) and not button.sub_button


@bp.app_template_global("unanswered_buttons")
def unanswered(without: int | None = None) -> list[Button]:
    """Return the buttons that neither a rule nor a handler answers, as if there were no rule `without`."""
    found = _by_key(button for menu in _menus() for _place, button in buttons.places(menu))
    if not found:
        return []
    answered = reading.by_key(db.session.connection(), services().account_id, without=without)
    handler_of = services().menus.handler_of
    return [button for key, button in found.items() if key not in answered and not handler_of(button)]


def _by_key(found: Iterable[Button]) -> dict[str, Button]:
    return {button.key: button for button in found if _replies(button)}


def _menus(*, live: bool = False) -> list[Menu]:
    """Return the menu that operators edit, and what is known of the one that followers see."""
    connection, account_id = db.session.connection(), services().account_id
    stored = versions.current(connection, account_id), versions.newest_published(connection, account_id)
    found = [version.menu for version in stored if version and version.menu]
    if live and (shown := services().menus.look(account_id).live):
        found.append(shown.menu)
    return found
