"""API calls for the custom menu (``wechat-platform.md`` section 7.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ._http import Http
from .values import convert, convert_field, given


@dataclass(frozen=True)
class NewsInfo:
    """An article of a menu or reply that was created in the platform's console."""

    title: str = ""
    author: str = ""
    digest: str = ""
    show_cover: int = 0
    cover_url: str = ""
    content_url: str = ""
    source_url: str = ""


@dataclass(frozen=True)
class Button:
    """A menu button. `type` is click, view, scancode_push, …, or empty if the button opens `sub_button`.

    The type determines which other fields are required (table in section 7.3). Buttons that were created in
    the platform's console, which only `Menu.current` returns, have further types: text, img, voice, video,
    news and finder.
    """

    name: str = ""
    type: str = ""
    key: str = ""
    url: str = ""
    media_id: str = ""
    article_id: str = ""
    appid: str = ""
    pagepath: str = ""
    value: str = ""
    """What a button of the console sends: a text, a media id, perhaps a temporary one, or a URL."""
    news_info: tuple[NewsInfo, ...] = ()
    """The articles that a button of the console sends."""
    sub_button: tuple[Button, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are not empty, under the platform's names."""
        articles = {"list": [asdict(article) for article in self.news_info]} if self.news_info else None
        buttons = [button.to_json() for button in self.sub_button]
        return given(**{**vars(self), "news_info": articles, "sub_button": buttons})


@dataclass(frozen=True)
class Buttons:
    """A menu of 1 to 3 buttons; `matchrule` selects the users who see a conditional menu."""

    button: tuple[Button, ...]
    menuid: str = ""
    matchrule: dict[str, Any] | None = None


@dataclass(frozen=True)
class Menus:
    """The default menu and the conditional menus, of which the newest that matches is shown."""

    menu: Buttons
    conditionalmenu: tuple[Buttons, ...] = ()


@dataclass(frozen=True)
class CurrentMenu:
    """The menu as followers see it, created in the platform's console or by the API."""

    is_menu_open: bool
    button: tuple[Button, ...] = ()


class Menu:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, buttons: Sequence[Button]) -> None:
        """Replace the default menu (section 7.3, menu/create)."""
        self._http.post("/cgi-bin/menu/create", _buttons(buttons), idempotent=True)

    def get(self) -> Menus:
        """Return the menus created by the API (section 7.3, menu/get).

        :raises NotFound: if there is none.
        """
        return convert(Menus, self._http.get("/cgi-bin/menu/get"))

    def delete(self) -> None:
        """Delete the default menu and all conditional menus (section 7.3, menu/delete)."""
        self._http.get("/cgi-bin/menu/delete")

    def add_conditional(self, buttons: Sequence[Button], matchrule: Mapping[str, str]) -> str:
        """Create a conditional menu and return its menuid (section 7.3, menu/addconditional).

        `matchrule` has a ``tag_id``, a ``client_platform_type`` (1 iOS, 2 Android, 3 others), or both.
        """
        body = {**_buttons(buttons), "matchrule": dict(matchrule)}
        return convert_field(str, self._http.post("/cgi-bin/menu/addconditional", body), "menuid")

    def delete_conditional(self, menuid: str) -> None:
        """Delete one conditional menu (section 7.3, menu/delconditional)."""
        self._http.post("/cgi-bin/menu/delconditional", {"menuid": menuid})

    def try_match(self, user_id: str) -> tuple[Button, ...]:
        """Return the buttons that a user (openid or WeChat ID) is shown (section 7.3, menu/trymatch)."""
        answer = self._http.post("/cgi-bin/menu/trymatch", {"user_id": user_id}, idempotent=True)
        return convert_field(tuple[Button, ...], answer, "button")

    def current(self) -> CurrentMenu:
        """Return the menu that is in use (section 7.3, get_current_selfmenu_info)."""
        answer = self._http.get("/cgi-bin/get_current_selfmenu_info")
        info = convert(dict[str, Any], answer.get("selfmenu_info") or {}, "selfmenu_info")
        return convert(CurrentMenu, {**answer, **info})


def _buttons(buttons: Sequence[Button]) -> dict[str, Any]:
    return {"button": [button.to_json() for button in buttons]}
