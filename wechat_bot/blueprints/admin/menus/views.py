"""The editor of the custom menu, and its history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from flask import Blueprint, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import Connection

from ....database.clock import database_now
from ....extensions import db
from ....routing.strict_json import InvalidDefinition
from ....services.menus import buttons, checks, clicks, versions
from ....services.menus.audiences import EVERYBODY, Audience
from ....services.menus.buttons import DoesNotFit, Menu, Place
from ....services.menus.comparison import differences
from ....services.menus.versions import Conflict, NoSuchVersion, Version
from ....services.rules.editing import RuleConflict
from ....wechat.api.menu import Button
from ....wiring import services
from ..access import actor, max_content_length
from ..answers import editor as answer_editor
from ..answers import forms as answer_forms
from ..answers.files import MAX_FORM, store_uploads
from ..layout import catch_up
from . import words
from .answers import ButtonAnswers, changed_definition, posted_entry, store, stored_answers, with_conflict
from .editor import Editor, load_editor
from .routes import route
from .steps import audience_in_form, menu_in_form, stepped, with_fields

bp = Blueprint("menus", __name__)
bp.add_app_template_filter(words.kind_word, "menu_kind")
bp.add_app_template_filter(words.name_of, "menu_name")
bp.add_app_template_filter(words.action_of, "menu_action")
bp.add_app_template_filter(words.sentence, "menu_sentence")
bp.add_app_template_filter(words.difference, "menu_difference")
bp.add_app_template_filter(words.audience, "menu_audience")
bp.add_app_template_filter(words.what_came_of_it, "menu_remark")
bp.add_app_template_filter(buttons.dump, "menu_json")
bp.add_app_template_filter(buttons.is_kept, "menu_kept")


@route(bp)
def show(menu_id: int | None) -> ResponseReturnValue:
    """Render the editor; the parameter `at` is the place of the button whose fields are open."""
    catch_up()
    editor = load_editor(menu_id, again="again" in request.args)
    return _page(editor, _place(request.args.get("at", ""), editor.menu))


def _page(editor: Editor, at: Place | None, answers: ButtonAnswers | None = None) -> str:
    """Render the editor, with what is in the form of the open button if that is not stored."""
    account_id, now = services().account_id, database_now()
    leaves = [button for _at, button in buttons.places(editor.menu) if not button.sub_button]
    first = clicks.counted_since(db.session.connection(), account_id)
    button = (buttons.find(editor.menu, at) if at else None) or Button()
    answers = answers or stored_answers(button)
    return render_template(
        "admin/menus/show.html",
        editor=editor,
        at=at,
        button=button if at else None,
        clicks=clicks.clicks_of(db.session.connection(), account_id, leaves, now),
        counted_since=datetime.fromtimestamp(first * 3600, UTC) if first else None,
        month_ago=now - clicks.MONTH,
        rule=answers.entry,
        conflict=answers.conflict,
        handler=services().menus.handler_of(button) if button.key else "",
        history=versions.history(db.session.connection(), account_id, editor.menu_id),
        menu_words=words,
        checks=checks,
        kinds=buttons.KINDS,
        answers_action=editor.url("menus.save"),
        **answer_editor.context(answers.form, answers.errors),
    )


def _place(text: str, menu: Menu) -> Place | None:
    """Return the place in the query, or else that of the first button; None in an empty menu."""
    try:
        place = Place.parse(text)
    except DoesNotFit:
        place = Place(0)
    found = dict(buttons.places(menu))
    return place if place in found else next(iter(found), None)


@route(bp, "/draft", "POST")
@max_content_length(MAX_FORM)
def save(menu_id: int | None) -> ResponseReturnValue:
    """Store the fields of the form with the answers of the button, and do one step of the editor."""
    basis, editor, form = menu_in_form(), load_editor(menu_id), answer_editor.posted_form()
    audience, entry = audience_in_form(), posted_entry()
    edited, at = with_fields(basis), _place(form.get("at", ""), basis)
    button = (buttons.find(edited, at) if at else None) or Button()

    def again(answers: ButtonAnswers) -> str:
        return _page(replace(editor, menu=edited), at, answers)

    if refused := store_uploads(form):
        errors = {name: [sentence] for name, sentence in refused.items()}
        return again(ButtonAnswers(entry, form, errors)), 422
    if (other := answer_forms.changed(form)) is not None:
        return again(ButtonAnswers(entry, other))
    step, _colon, argument = form.get("do", "save").partition(":")
    menu, next_at = stepped(edited, step, argument, editor.live)
    definition = changed_definition(button, entry, form)

    def save_draft(connection: Connection) -> None:
        versions.save_draft(connection, actor(), services().account_id, form["seen"], menu, menu_id, audience)

    try:
        if step == "live":
            _replace(menu_id, menu, audience)
        elif definition and step != "remove":
            store(entry, definition, save_draft)
        elif menu != basis or audience != (editor.audience or EVERYBODY):
            versions.save(db.engine, actor(), services().account_id, form["seen"], menu, menu_id, audience)
    except Conflict as conflict:
        return _conflict(menu_id, conflict, menu, audience)
    except InvalidDefinition as error:
        return again(ButtonAnswers(entry, form, answer_editor.errors_of(error.problems, form))), 422
    except RuleConflict as error:
        return again(with_conflict(form, error)), 409
    if step == "review":
        return redirect(editor.url("menu_publication.review"), 303)
    return redirect(editor.url("menus.show", at=next_at, _anchor="button"), 303)


def _replace(menu_id: int | None, menu: Menu, audience: Audience, action: str = "menu_restored") -> None:
    """Make another menu the draft.

    :raises Conflict: if the draft has changed.
    """
    account_id, seen = services().account_id, request.form["seen"]
    versions.replace_draft(db.engine, actor(), account_id, seen, menu, action, menu_id, audience)


def _conflict(menu_id: int | None, conflict: Conflict, mine: Menu, audience: Audience) -> ResponseReturnValue:
    """Show the operator's menu beside the one that somebody else stored meanwhile."""
    theirs = conflict.current
    page = render_template(
        "admin/menus/conflict.html",
        editor=load_editor(menu_id),
        theirs=theirs,
        mine=mine,
        audience=audience,
        changed=differences(buttons.cleaned((theirs and theirs.menu) or ()), buttons.cleaned(mine)),
        menu_words=words,
    )
    return page, 409


@route(bp, "/conflict", "POST")
def resolve(menu_id: int | None) -> ResponseReturnValue:
    """Keep one of two menus as the draft; the other one is kept in the history."""
    mine, audience, editor = menu_in_form(), audience_in_form(), load_editor(menu_id)
    if request.form.get("keep") == "mine":
        try:
            _replace(menu_id, mine, audience, "menu_saved")
        except Conflict as conflict:
            return _conflict(menu_id, conflict, mine, audience)
        flash(_("草稿是你的这一版；对方的一版在历史里，可以恢复。"), "success")
    else:
        versions.keep(db.engine, actor(), services().account_id, mine, menu_id, audience)
        flash(_("草稿是对方的这一版；你的一版在历史里，可以恢复。"), "success")
    return redirect(editor.url("menus.show"), 303)


@route(bp, "/versions/<int:number>")
def version(menu_id: int | None, number: int) -> ResponseReturnValue:
    found, editor = _find(menu_id, number), load_editor(menu_id)
    changes = differences(buttons.cleaned(editor.menu), buttons.cleaned(found.menu or ()))
    return render_template(
        "admin/menus/version.html", version=found, editor=editor, changed=changes, menu_words=words
    )


def _find(menu_id: int | None, number: int) -> Version:
    try:
        return versions.find(db.session.connection(), services().account_id, number, menu_id)
    except NoSuchVersion:
        abort(404, _("没有这一版菜单。"))


@route(bp, "/versions/<int:number>/restore", "POST")
def restore(menu_id: int | None, number: int) -> ResponseReturnValue:
    """Make a version of the history the draft."""
    found, editor = _find(menu_id, number), load_editor(menu_id)
    if found.menu is None:
        abort(409, _("第 %(number)s 版的内容读不出来，不能恢复。", number=number))
    try:
        _replace(menu_id, found.menu, found.audience)
    except Conflict as conflict:
        return _conflict(menu_id, conflict, found.menu, found.audience)
    flash(_("第 %(number)s 版现在是草稿；原来的草稿在历史里。", number=number), "success")
    return redirect(editor.url("menus.show"), 303)
