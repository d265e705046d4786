"""Publishing the menu, now or at a time, and deleting it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone
from flask_babel import gettext as _

from ....database.clock import database_now
from ....extensions import db
from ....models import MenuState, Role
from ....services.accounts.capabilities import Feature
from ....services.menus import versions
from ....services.menus.conditional import NoSuchMenu
from ....services.menus.publishing import LiveMenuChanged
from ....services.menus.versions import Conflict, NoSuchVersion, NotPublishable
from ....wechat.errors import APIError
from ....wiring import services
from ...shared.problems import describe_error
from ..access import actor, role
from . import words
from .editor import load_editor
from .routes import route

bp = Blueprint("menu_publication", __name__)

LONGEST_WAIT = timedelta(days=366)
MISSED = timedelta(minutes=1)
"""How late a time may be entered and still mean now."""


@route(bp, "/publish")
@role(Role.ADMIN)
def review(menu_id: int | None) -> ResponseReturnValue:
    return _review(menu_id)


def _review(menu_id: int | None, problem: str = "", status: int = 200) -> ResponseReturnValue:
    """Render what followers will see, with the buttons that publish it."""
    page = render_template(
        "admin/menus/publish.html", editor=load_editor(menu_id, again=True), problem=problem, menu_words=words
    )
    return page, status


@route(bp, "/publish", "POST")
@role(Role.ADMIN)
def publish(menu_id: int | None) -> ResponseReturnValue:
    form, account_id, menus = request.form, services().account_id, services().menus
    if not services().capabilities.allows(account_id, Feature.MENU):
        return _review(menu_id, _("这个账号不能通过接口发布菜单。"), 409)
    try:
        if "later" in form:
            return _schedule(menu_id, account_id)
        row = menus.publish_now(actor(), account_id, form["seen"], form.get("live", ""), menu_id)
    except Conflict:
        return _review(menu_id, _("草稿刚刚被改过：看过新的差别后，再按一次发布。"), 409)
    except LiveMenuChanged:
        return _review(menu_id, _("微信上的菜单刚刚被换过：看过新的差别后，再按一次发布。"), 409)
    except NotPublishable:
        return _review(menu_id, _("草稿里还有要改的地方，没有发布。"), 422)
    except NoSuchMenu:
        abort(404, _("没有这套个性化菜单。"))
    if row.state == MenuState.PUBLISHED:
        flash(_("已发布。粉丝的微信最多五分钟后换成新菜单；退出对话再进来，就能看到。"), "success")
    elif row.state == MenuState.SCHEDULED:
        flash(
            _("微信现在没有收下，每分钟会再试一次，最多一小时。%(why)s", why=words.what_came_of_it(row)),
            "error",
        )
    else:
        flash(_("没有发布成，粉丝看到的还是原来的菜单。%(why)s", why=words.what_came_of_it(row)), "error")
    editor = load_editor(menu_id)
    return redirect(editor.url("menus.show", at=next(iter(editor.accused), None)), 303)


def _schedule(menu_id: int | None, account_id: int) -> ResponseReturnValue:
    """Publish the draft at the time in the form, which is the operator's.

    :raises Conflict: if the draft has changed.
    :raises NotPublishable: if the platform would refuse it.
    """
    now = database_now()
    try:
        local = datetime.fromisoformat(request.form.get("at", ""))
        at = local.replace(tzinfo=ZoneInfo(str(get_timezone()))).astimezone(UTC)
    except (ValueError, OverflowError):
        return _review(menu_id, _("请选发布的日期和时间。"), 422)
    if not now - MISSED <= at <= now + LONGEST_WAIT:
        return _review(menu_id, _("发布的时间要在现在之后、一年之内。"), 422)
    versions.schedule(db.engine, actor(), account_id, request.form["seen"], at, menu_id)
    flash(_("到时会自动发布。在那之前可以取消，也可以接着改下一版草稿。"), "success")
    return redirect(url_for("admin.menus.show", menu_id=menu_id, _anchor="history"), 303)


@route(bp, "/versions/<int:number>/cancel", "POST")
@role(Role.ADMIN)
def cancel(menu_id: int | None, number: int) -> ResponseReturnValue:
    try:
        versions.cancel(db.engine, actor(), services().account_id, number, menu_id)
    except NoSuchVersion:
        abort(409, _("这一版已经不在等待发布了。"))
    flash(_("不会发布了。"), "success")
    return redirect(url_for("admin.menus.show", menu_id=menu_id, _anchor="history"), 303)


@route(bp, "/delete")
@role(Role.ADMIN)
def confirm_deletion(menu_id: int | None) -> ResponseReturnValue:
    return _deletion(menu_id)


def _deletion(menu_id: int | None, problem: str = "", status: int = 200) -> ResponseReturnValue:
    editor = load_editor(menu_id, again=True)
    return render_template("admin/menus/delete.html", editor=editor, problem=problem), status


@route(bp, "/delete", "POST")
@role(Role.ADMIN)
def delete(menu_id: int | None) -> ResponseReturnValue:
    if "sure" not in request.form:
        return _deletion(menu_id, _("请先勾选，表示知道会发生什么。"), 422)
    menus, account_id = services().menus, services().account_id
    try:
        if menu_id is None:
            menus.delete(actor(), account_id)
            flash(_("菜单已删除。原来的菜单在历史里，可以恢复成草稿再发布。"), "success")
        else:
            menus.delete_conditional(actor(), account_id, menu_id)
            flash(_("这套个性化菜单已删除。"), "success")
    except APIError as error:
        return _deletion(menu_id, describe_error(error.errcode or None, str(error)), 502)
    except NoSuchMenu:
        abort(404, _("没有这套个性化菜单。"))
    return redirect(url_for("admin.menus.show"), 303)
