"""The custom menu (``wechat-platform.md`` section 7.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._http import Http
from .values import given, read


@dataclass(frozen=True)
class Button:
    """A button. `type` is click, view, scancode_push, …, empty where it opens `sub_button`; each type needs
    its own of the other fields (table in section 7.3)."""

    name: str = ""
    type: str = ""
    key: str = ""
    url: str = ""
    media_id: str = ""
    article_id: str = ""
    appid: str = ""
    pagepath: str = ""
    value: str = ""
    """What a button made in the console sends; only in `Menu.current`."""
    sub_button: tuple[Button, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields that are not empty, as the platform names them."""
        return given(**{**vars(self), "sub_button": [button.to_json() for button in self.sub_button]})


@dataclass(frozen=True)
class Buttons:
    """A menu of 1 to 3 buttons; `matchrule` says who sees a conditional one."""

    button: tuple[Button, ...]
    menuid: str = ""
    matchrule: dict[str, Any] | None = None


@dataclass(frozen=True)
class Menus:
    """The menu for all, and the conditional ones, of which the newest that matches is shown."""

    menu: Buttons
    conditionalmenu: tuple[Buttons, ...] = ()


@dataclass(frozen=True)
class CurrentMenu:
    """The menu as followers see it, made in the console or by the API."""

    is_menu_open: bool
    button: tuple[Button, ...] = ()


class Menu:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, buttons: Sequence[Button]) -> None:
        """Replace the menu for all (section 7.3, menu/create)."""
        self._http.post("/cgi-bin/menu/create", _buttons(buttons), idempotent=True)

    def get(self) -> Menus:
        """The menus made by the API; NotFound if there is none (section 7.3, menu/get)."""
        return read(Menus, self._http.get("/cgi-bin/menu/get"))

    def delete(self) -> None:
        """Delete the menu for all and the conditional ones (section 7.3, menu/delete)."""
        self._http.get("/cgi-bin/menu/delete")

    def add_conditional(self, buttons: Sequence[Button], matchrule: Mapping[str, str]) -> str:
        """A menu for those with a ``tag_id`` or ``client_platform_type`` (1 iOS, 2 Android, 3 others); its
        menuid (section 7.3, menu/addconditional)."""
        body = {**_buttons(buttons), "matchrule": dict(matchrule)}
        return read(str, self._http.post("/cgi-bin/menu/addconditional", body).get("menuid"), "menuid")

    def delete_conditional(self, menuid: str) -> None:
        """Delete one conditional menu (section 7.3, menu/delconditional)."""
        self._http.post("/cgi-bin/menu/delconditional", {"menuid": menuid})

    def try_match(self, user_id: str) -> tuple[Button, ...]:
        """The buttons that an openid or WeChat ID is shown (section 7.3, menu/trymatch)."""
        answer = self._http.post("/cgi-bin/menu/trymatch", {"user_id": user_id}, idempotent=True)
        return read(tuple[Button, ...], answer.get("button"), "button")

    def current(self) -> CurrentMenu:
        """The menu as set in the console or by the API (section 7.3, get_current_selfmenu_info)."""
        answer = self._http.get("/cgi-bin/get_current_selfmenu_info")
        return read(
            CurrentMenu, {**answer, **read(dict[str, Any], answer.get("selfmenu_info", {}), "selfmenu_info")}
        )


def _buttons(buttons: Sequence[Button]) -> dict[str, Any]:
    return {"button": [button.to_json() for button in buttons]}
