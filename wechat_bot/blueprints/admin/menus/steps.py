"""The form of the editor: the fields of the open button, and the steps that its buttons do."""

from __future__ import annotations

import re
import secrets

from flask import abort, flash, request
from flask_babel import gettext as _

from ....services.menus import buttons
from ....services.menus.audiences import CLIENTS, Audience
from ....services.menus.buttons import BrokenMenu, DoesNotFit, Menu, Place
from ....wechat.api.menu import Button

FIELDS = ("name", "type", "key", "url", "appid", "pagepath", "article_id", "media_id")
"""The fields of a button that the form has."""
MAX_FIELD = 2000
"""Characters of a field that are stored, so that nothing is lost which is a little too long."""
DIRECTIONS = ("left", "right", "up", "down")


def menu_in_form() -> Menu:
    """Return the menu that the page was rendered with."""
    try:
        return buttons.load(request.form["menu"])
    except BrokenMenu:
        abort(400, _("这个页面发来的菜单读不懂：刷新页面再试。"))


def audience_in_form() -> Audience:
    """Return who sees the menu; nobody in particular in the form of the default menu."""
    tag_id, client = request.form.get("tag", ""), request.form.get("client", "")
    if not re.fullmatch(r"[0-9]{0,16}", tag_id, re.ASCII) or client not in {"", *CLIENTS}:
        abort(400, _("这个页面发来的条件读不懂：刷新页面再试。"))
    return Audience(tag_id, client)


def with_fields(menu: Menu) -> Menu:
    """Return the menu with the fields of the form in the button that is open."""
    given = {name: request.form[name].strip() for name in FIELDS if name in request.form}
    if any(len(value) > MAX_FIELD for value in given.values()):
        abort(400, _("有一栏超过了 %(limit)s 个字符，没有保存。回到上一页改短。", limit=MAX_FIELD))
    if not request.form.get("at"):
        return menu
    try:
        place = Place.parse(request.form["at"])
        button = buttons.find(menu, place)
        if button and "key" in buttons.KINDS.get(given.get("type", button.type), ()) and not given.get("key"):
            given["key"] = button.key or f"menu-{secrets.token_hex(4)}"
        return buttons.changed(menu, place, **given)
    except DoesNotFit:
        return menu


def stepped(menu: Menu, step: str, argument: str, live: Menu) -> tuple[Menu, str]:
    """Return the menu after one step of the editor, and the place that is open then.

    :param live: what followers see, with which the step ``live`` begins again.
    """
    at = request.form.get("at", "")
    try:
        match step:
            case "go":
                return menu, argument
            case "add":
                menu, place = buttons.added(menu, Place.parse(argument).top if argument else None, Button())
                return menu, str(place)
            case "remove":
                return buttons.removed(menu, Place.parse(at)), at.partition(".")[0]
            case "move":
                source, _arrow, target = argument.partition(">")
                return buttons.moved(menu, Place.parse(source), Place.parse(target)), target
            case "live":
                return live or menu, ""
            case "step":
                place_text, _arrow, direction = argument.partition(">")
                return _one_step(menu, place_text, direction)
            case _ if step in DIRECTIONS:
                return _one_step(menu, at, step)
    except DoesNotFit:
        flash(_("那里放不下：一级菜单最多三个，每个最多五个子菜单，子菜单里不能再有子菜单。"), "error")
    return menu, at


def _one_step(menu: Menu, at: str, direction: str) -> tuple[Menu, str]:
    source = Place.parse(at)
    target = buttons.neighbour(menu, source, direction)
    return buttons.moved(menu, source, target), str(target)
