"""Pages of the canned replies: the list, the editor and the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_login import current_user

from ....application import row_id
from ....extensions import db
from ....models import Role
from ....routing import strict_json
from ....routing.answers import PreparedAnswer
from ....routing.strict_json import InvalidDefinition
from ....services.conversations import canned_replies as service
from ....services.conversations.canned_replies import CannedConflict, CannedEntry, CannedNotFound
from ....wiring import services
from ...shared.labels import SEND_BLOCKS
from ..access import actor, max_content_length, role
from ..answers import editor as answer_editor
from ..answers import forms, words
from ..answers.editor import posted_form
from ..answers.files import MAX_FORM, file_names, store_uploads
from ..answers.forms import Form

bp = Blueprint("canned_replies", __name__)

FIELDS = {
    "shortcut": lazy_gettext("口令"),
    "title": lazy_gettext("标题"),
    "answer": lazy_gettext("内容"),
    "own": lazy_gettext("谁的"),
}
"""The fields of a definition, for comparisons."""


@bp.get("/canned")
@role(Role.OPERATOR)
def index() -> ResponseReturnValue:
    mine, files = (db.session.connection(), services().account_id, current_user.id), file_names()
    entries = service.at_hand(*mine)
    blocked = problems(entries)
    lines = [(entry, described(entry, files), blocked.get(entry.id)) for entry in entries]
    return render_template("admin/canned/index.html", lines=lines, deleted=service.deleted(*mine))


def described(entry: CannedEntry, files: Mapping[int, str]) -> str:
    """Return what a canned reply sends in one line."""
    try:
        return words.answer(entry.answer, files)
    except InvalidDefinition:
        return str(entry.definition["answer"].get("text", ""))


def problems(entries: Iterable[CannedEntry]) -> dict[int, str]:
    """Return, of those canned replies that cannot be sent to anybody, why, as sentences by their ids."""
    found, answers = {}, {}
    for entry in entries:
        try:
            answers[entry.id] = entry.answer
        except InvalidDefinition as error:
            found[entry.id] = "".join(map(words.problem, error.problems))
    blocks = services().answers.prepared_blocks(services().account_id, answers)
    return found | {reply_id: str(SEND_BLOCKS[block]) for reply_id, block in blocks.items()}


# The editor


@bp.get("/canned/new")
@role(Role.OPERATOR)
def new() -> ResponseReturnValue:
    return _page(Form({"answer.kind": "text"}), None)


@bp.get("/canned/<int:reply_id>")
@role(Role.OPERATOR)
def show(reply_id: int) -> ResponseReturnValue:
    entry = _entry_or_404(reply_id)
    if entry.deleted:
        abort(404, _("这条话术已经删除，可以在列表的最下面恢复。"))
    definition = entry.definition
    form = Form({"shortcut": definition["shortcut"], "title": definition.get("title", "")})
    if "own" in definition:
        form["own"] = "on"
    forms.fill_answer(form, "answer", definition["answer"])
    return _page(form, entry)


@bp.post("/canned/new")
@role(Role.OPERATOR)
@max_content_length(MAX_FORM)
def create() -> ResponseReturnValue:
    return _take(None)


@bp.post("/canned/<int:reply_id>")
@role(Role.OPERATOR)
@max_content_length(MAX_FORM)
def save(reply_id: int) -> ResponseReturnValue:
    return _take(_entry_or_404(reply_id))


def _take(entry: CannedEntry | None) -> ResponseReturnValue:
    """Save the form, or add or remove a card as one of its buttons says."""
    form = posted_form()
    if refused := store_uploads(form):
        return _page(
            form, entry, errors={field: [sentence] for field, sentence in refused.items()}, status=422
        )
    if (other := forms.changed(form)) is not None:
        return _page(other, entry)
    definition, account_id = _definition_of(form), services().account_id
    try:
        if entry is None:
            service.create(db.engine, actor(), account_id, definition)
        else:
            version = form.get("version", default=0, type=row_id)
            service.save(db.engine, actor(), account_id, entry.id, version, definition)
    except InvalidDefinition as error:
        return _page(form, entry, errors=answer_editor.errors_of(error.problems, form), status=422)
    except CannedConflict as error:
        return _page(form, error.current, conflict=error, status=409)
    flash(_("已保存。"), "success")
    return redirect(url_for("admin.canned_replies.index"), 303)


def _definition_of(form: Form) -> dict[str, Any]:
    return {
        "shortcut": "".join(form.get("shortcut", "").split()).lstrip("/"),
        "title": forms.line(form, "title"),
        "own": "own" in form,
        "answer": forms.answer_of(form, "answer"),
    }


def _page(
    form: Form,
    entry: CannedEntry | None,
    *,
    errors: Mapping[str, list[str]] = MappingProxyType({}),
    conflict: CannedConflict | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    return render_template(
        "admin/canned/edit.html",
        entry=entry,
        version=conflict.current.version if conflict else form.get("version") or (entry and entry.version),
        conflict=conflict and _differences(conflict.mine, conflict.current.definition, file_names()),
        blocked="".join(problems([entry]).values()) if entry and not conflict else "",
        variables=service.VARIABLES,
        **answer_editor.context(form, errors, service.KINDS),
    ), status


def _entry_or_404(reply_id: int) -> CannedEntry:
    try:
        return service.find(db.session.connection(), services().account_id, current_user.id, reply_id)
    except CannedNotFound:
        abort(404, _("没有这条话术。"))


@bp.post("/canned/<int:reply_id>/remove")
@role(Role.OPERATOR)
def delete(reply_id: int) -> ResponseReturnValue:
    try:
        service.delete(db.engine, actor(), services().account_id, reply_id)
    except CannedNotFound:
        abort(404, _("没有这条话术。"))
    flash(_("已删除。在这一页的最下面可以恢复。"), "success")
    return redirect(url_for("admin.canned_replies.index"), 303)


# History


@bp.get("/canned/<int:reply_id>/history")
@role(Role.OPERATOR)
def history(reply_id: int) -> ResponseReturnValue:
    entry = _entry_or_404(reply_id)
    versions = service.history(db.session.connection(), reply_id)
    older, files = [*versions[1:], None], file_names()
    changes = [
        (row, _differences(before.definition, row.definition, files) if before else ())
        for row, before in zip(versions, older, strict=True)
    ]
    return render_template("admin/canned/history.html", entry=entry, changes=changes)


@bp.post("/canned/<int:reply_id>/restore")
@role(Role.OPERATOR)
def restore(reply_id: int) -> ResponseReturnValue:
    version = request.form.get("version", default=0, type=row_id)
    try:
        service.restore(db.engine, actor(), services().account_id, reply_id, version)
    except CannedNotFound:
        abort(404, _("没有这条话术，或没有这个版本。"))
    except InvalidDefinition as error:
        for each in error.problems:
            flash(f"{words.field(each.field, words.FIELDS | FIELDS)} · {words.problem(each)}", "error")
    else:
        flash(_("已恢复。"), "success")
    return redirect(url_for("admin.canned_replies.history", reply_id=reply_id), 303)


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], files: Mapping[int, str]
) -> list[tuple[str, str, str]]:
    """Return the fields in which two definitions differ: name, before and after, in words."""
    old, new = _in_words(before, files), _in_words(after, files)
    return [(str(FIELDS[name]), old[name], new[name]) for name in FIELDS if old[name] != new[name]]


def _in_words(definition: Mapping[str, Any], files: Mapping[int, str]) -> dict[str, str]:
    try:
        answer = words.details(strict_json.read(PreparedAnswer, definition["answer"]), files)
    except InvalidDefinition:
        answer = str(definition["answer"].get("text", ""))
    return {
        "shortcut": definition["shortcut"],
        "title": definition.get("title", ""),
        "answer": answer,
        "own": str(_("我的") if definition.get("own") else _("大家的")),
    }
