"""Custom menus (section 7.3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ..state import ConditionalMenu, PlatformState, SimulatedFollower
from .call import Answer, Area, CallRefused, Family, SimulatedCall, refuse_if

family = Family(Area.MENUS)

TAP = "menu"
"""The path of messages that the platform itself sends when a follower taps a button."""

_KEYED = {
    "click",
    "scancode_push",
    "scancode_waitmsg",
    "pic_sysphoto",
    "pic_photo_or_album",
    "pic_weixin",
    "location_select",
}
_REQUIRED = {
    **dict.fromkeys(_KEYED, ("key",)),
    "view": ("url",),
    "media_id": ("media_id",),
    "view_limited": ("media_id",),
    "article_id": ("article_id",),
    "article_view_limited": ("article_id",),
    "miniprogram": ("url", "appid", "pagepath"),
}
_BUTTON = {
    "name?": str,
    "type?": str,
    "key?": str,
    "url?": str,
    "media_id?": str,
    "article_id?": str,
    "appid?": str,
    "pagepath?": str,
}
_BUTTONS = [{**_BUTTON, "sub_button?": [{**_BUTTON, "sub_button?": [dict]}]}]

_RULES = {"tag_id", "client_platform_type"}
_WITHDRAWN = {"sex", "country", "province", "city", "language", "group_id"}

# errcodes of top-level buttons; those of sub-buttons are `_SUB` more
_TYPE, _NAME, _KEY, _URL = 40017, 40018, 40019, 40020
_SUB = 7


def check_buttons(call: SimulatedCall, buttons: list[dict[str, Any]]) -> None:
    refuse_if(not 1 <= len(buttons) <= 3, 40016)
    for button in buttons:
        _check_name(button, 16, 0)
        if subs := button.get("sub_button"):
            refuse_if(len(subs) > 5, 40023)
            for sub in subs:
                refuse_if(sub.get("sub_button"), 40022)
                _check_name(sub, 60, _SUB)
                _check_action(call, sub, _SUB)
        else:
            _check_action(call, button, 0)
    refuse_if(len(_external_domains(buttons)) > 3, 65316)


def _check_name(button: dict[str, Any], limit: int, sub: int) -> None:
    refuse_if(not 1 <= len(button.get("name", "").encode()) <= limit, _NAME + sub)


def _check_action(call: SimulatedCall, button: dict[str, Any], sub: int) -> None:
    kind = button.get("type", "")
    refuse_if(kind not in _REQUIRED, _TYPE + sub)
    for name in _REQUIRED[kind]:
        value = button.get(name, "")
        match name:
            case "key" if not 1 <= len(value.encode()) <= 128:
                raise CallRefused(_KEY + sub)
            case "url" if not 1 <= len(value.encode()) <= 1024:
                raise CallRefused(_URL + sub)
            case "url" if not _is_url(value):
                raise CallRefused(40054 if sub else 40055)
            case "media_id":
                call.find_media(value, permanent=True)
            case "article_id" if value not in call.state.published:
                raise CallRefused(53600)
            case "appid" | "pagepath" if not value:
                raise CallRefused(47001)


def _is_url(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _external_domains(buttons: list[dict[str, Any]]) -> set[str | None]:
    leaves = [sub for button in buttons for sub in (button.get("sub_button") or [button])]
    domains = {urlsplit(button["url"]).hostname for button in leaves if button.get("url")}
    return domains - {"mp.weixin.qq.com"}


def _stored(buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the buttons as menu/get does, each with a list of sub-buttons."""
    return [{**button, "sub_button": _stored(button.get("sub_button", []))} for button in buttons]


@family.post("/cgi-bin/menu/create", {"button": _BUTTONS})
def create(call: SimulatedCall) -> None:
    check_buttons(call, call.body["button"])
    call.state.menu, call.state.menuid = _stored(call.body["button"]), call.state.new_id()


@family.get("/cgi-bin/menu/get")
def get(call: SimulatedCall) -> Answer:
    state = call.state
    refuse_if(not state.menu, 46003)
    answer: dict[str, Any] = {"menu": {"button": state.menu, "menuid": state.menuid}}
    if state.conditional_menus:
        answer["conditionalmenu"] = [
            {"button": menu.buttons, "matchrule": menu.matchrule, "menuid": menu.menuid}
            for menu in state.conditional_menus
        ]
    return answer


@family.get("/cgi-bin/menu/delete")
def delete(call: SimulatedCall) -> None:
    call.state.menu, call.state.conditional_menus, call.state.console_menu = [], [], []


@family.post(
    "/cgi-bin/menu/addconditional",
    {"button": _BUTTONS, "matchrule": {str: object}},
    area=Area.CONDITIONAL_MENUS,
)
def add_conditional(call: SimulatedCall) -> Answer:
    rule = {name: str(value) for name, value in call.body["matchrule"].items() if value not in {"", None}}
    refuse_if(not rule, 65304)
    refuse_if(rule.keys() & _WITHDRAWN, 65320)
    refuse_if(rule.keys() - _RULES or rule.get("client_platform_type", "1") not in {"1", "2", "3"}, 40035)
    refuse_if(not call.state.menu, 65303)
    check_buttons(call, call.body["button"])
    menu = ConditionalMenu(call.state.new_id(), _stored(call.body["button"]), rule)
    call.state.conditional_menus.append(menu)
    return {"menuid": str(menu.menuid)}


@family.post("/cgi-bin/menu/delconditional", {"menuid": int}, area=Area.CONDITIONAL_MENUS)
def delete_conditional(call: SimulatedCall) -> None:
    menus = call.state.conditional_menus
    remaining = [menu for menu in menus if menu.menuid != int(call.body["menuid"])]
    refuse_if(remaining == menus, 65301)
    call.state.conditional_menus = remaining


@family.post("/cgi-bin/menu/trymatch", {"user_id": str}, area=Area.CONDITIONAL_MENUS)
def try_match(call: SimulatedCall) -> Answer:
    refuse_if(not call.state.menu, 46003)
    return {"button": menu_of(call.state, call.follower(call.body["user_id"], 65302))}


def menu_of(state: PlatformState, follower: SimulatedFollower) -> list[dict[str, Any]]:
    """Return the buttons of the newest conditional menu that matches, or else of the default menu."""
    for menu in reversed(state.conditional_menus):
        tag_id, platform = menu.matchrule.get("tag_id"), menu.matchrule.get("client_platform_type")
        if (tag_id is None or int(tag_id) in follower.tags) and platform in {None, follower.platform}:
            return menu.buttons
    return state.menu


def shown_to(state: PlatformState, follower: SimulatedFollower) -> list[dict[str, Any]]:
    """Return the buttons that a follower sees: those of the API, or else those of the platform's console."""
    return menu_of(state, follower) or _flat(state.console_menu)


def _flat(buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return buttons in the form of menu/get."""
    return [
        {**button, "sub_button": _flat(button.get("sub_button", {}).get("list", []))} for button in buttons
    ]


def message_of(state: PlatformState, button: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the platform itself sends when a button is tapped; None if it sends nothing.

    It is in the form of a customer-service message.
    """
    value = button.get("value", "")
    match button.get("type"):
        case "text":
            return {"msgtype": "text", "text": {"content": value}}
        case "img":
            return {"msgtype": "image", "image": {"media_id": value}}
        case "voice" | "video" as kind:
            return {"msgtype": kind, kind: {"media_id": value}}
        case "news":
            return {"msgtype": "news", "news": {"articles": list(map(_card, button["news_info"]["list"]))}}
        case "media_id" if media := state.media.get(button["media_id"]):
            return {"msgtype": media.kind, media.kind: {"media_id": media.media_id}}
    return None


def _card(article: dict[str, Any]) -> dict[str, str]:
    names = {"title": "title", "description": "digest", "url": "content_url", "picurl": "cover_url"}
    return {name: article.get(theirs, "") for name, theirs in names.items()}


@family.get("/cgi-bin/get_current_selfmenu_info", area=Area.ANY)
def current(call: SimulatedCall) -> Answer:
    """Return the menu of the API, or else of the console, in another form than menu/get does.

    It is no error if there is none.
    """
    menu = [_current(button) for button in call.state.menu] or call.state.console_menu
    return {"is_menu_open": int(bool(menu)), "selfmenu_info": {"button": menu}}


def _current(button: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in button.items() if name != "sub_button"}
    if subs := button["sub_button"]:
        return rest | {"sub_button": {"list": [_current(sub) for sub in subs]}}
    return rest
