"""Conditional menus: making them, their order, and who sees which."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from ....application import row_id
from ....extensions import db
from ....models import FollowerTag, Role, Tag
from ....services.menus import conditional
from ....services.menus.audiences import CLIENTS
from ....services.menus.buttons import Menu, cleaned
from ....services.menus.conditional import MenuEntry, NoSuchMenu
from ....services.menus.publishing import LiveMenu
from ....wechat.errors import APIError
from ....wiring import services
from ...shared.problems import describe_error
from ..access import actor, role
from ..followers.listing import offered
from . import words
from .editor import Editor, load_editor

bp = Blueprint("conditional_menus", __name__)


@dataclass(frozen=True)
class Trial:
    """The menu that a follower sees, and its name, which is empty for a menu that was made elsewhere."""

    menu: Menu
    name: str
    problem: str = ""


@bp.post("/menu/conditional")
def create() -> ResponseReturnValue:
    """Add a conditional menu, which begins as the default menu is now."""
    menu_id = conditional.create(db.engine, actor(), services().account_id, load_editor().menu)
    return redirect(url_for("admin.menus.show", menu_id=menu_id), 303)


@bp.post("/menu/conditional/adopt")
@role(Role.ADMIN)
def adopt() -> ResponseReturnValue:
    """Take over the conditional menus that were made elsewhere."""
    look = services().menus.look(services().account_id, again=True)
    shown = look.live.conditional if look.live else ()
    count = conditional.adopt(db.engine, actor(), services().account_id, shown)
    flash(_("收进来 %(count)s 套，可以在这里修改了。", count=count), "success")
    return redirect(url_for("admin.menus.show"), 303)


@bp.post("/menu/conditional/<int:menu_id>/up")
@role(Role.ADMIN)
def move_up(menu_id: int) -> ResponseReturnValue:
    """Let a menu be asked earlier, here and at the platform."""
    try:
        conditional.move_up(db.engine, actor(), services().account_id, menu_id)
    except NoSuchMenu:
        abort(404, _("没有这套个性化菜单。"))
    return _arrange(menu_id)


@bp.post("/menu/conditional/order")
@role(Role.ADMIN)
def arrange() -> ResponseReturnValue:
    """Bring the platform's menus into our order."""
    return _arrange(None)


def _arrange(menu_id: int | None) -> ResponseReturnValue:
    try:
        services().menus.arrange(services().account_id)
    except APIError as error:
        why = describe_error(error.errcode or None, str(error))
        flash(_("微信上的先后没有改成。%(why)s", why=why), "error")
    return redirect(url_for("admin.menus.show", menu_id=menu_id), 303)


# Who sees which


@bp.get("/menu/try")
def try_match() -> ResponseReturnValue:
    """Show the menu of a follower: as the platform tells, and as follows from the drafts and their order."""
    editor, args = load_editor(), request.args
    follower_id = args.get("follower", type=row_id)
    follower = next((each for each in offered(follower_id) if each.id == follower_id), None)
    tags = _tags_of(follower.id) if follower else set(args.getlist("tag"))
    client = args.get("client", "") if args.get("client") in CLIENTS else ""
    return render_template(
        "admin/menus/try.html",
        editor=editor,
        followers=offered(follower_id),
        follower=follower,
        tags=tags,
        client=client,
        platform=_at_platform(editor, follower.openid) if follower else None,
        computed=_computed(editor, tags, client),
        menu_words=words,
    )


def _tags_of(follower_id: int) -> set[str]:
    """Return the platform's numbers of a follower's tags."""
    numbered = select(Tag.platform_id).join(FollowerTag, FollowerTag.tag_id == Tag.id)
    this = FollowerTag.follower_id == follower_id, Tag.platform_id.is_not(None)
    return set(map(str, db.session.scalars(numbered.where(*this))))


def _at_platform(editor: Editor, openid: str) -> Trial:
    try:
        menu = services().menus.try_match(openid)
    except APIError as error:
        return Trial((), "", describe_error(error.errcode or None, str(error)))
    live = editor.look.live or LiveMenu((), is_open=False)
    names = {cleaned(editor.live): _name(editor, None)}
    for entry in editor.conditional:
        names[cleaned(live.shown(entry.menuid).button)] = _name(editor, entry)
    return Trial(menu, names.get(cleaned(menu), ""))


def _computed(editor: Editor, tags: Collection[str], client: str) -> Trial:
    entry = next((each for each in editor.conditional if each.audience.includes(tags, client)), None)
    return Trial(entry.menu if entry else editor.menu, _name(editor, entry))


def _name(editor: Editor, entry: MenuEntry | None) -> str:
    return words.audience(entry.audience, editor.tags) if entry else str(_("默认菜单"))
