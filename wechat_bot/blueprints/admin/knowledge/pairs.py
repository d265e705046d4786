"""Pages of the question-answer pairs: the list, the editor, the history and files."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ....application import row_id
from ....extensions import db
from ....models import KnowledgeState, PairSource, Role
from ....routing.strict_json import InvalidDefinition
from ....services import audit
from ....services.knowledge import pairs as service
from ....services.knowledge import transfer
from ....services.knowledge.pairs import PairConflict, PairEntry, PairFilter, PairNotFound
from ....services.rules.transfer import MAX_BYTES, InvalidFile
from ....wiring import services
from ..access import actor, max_content_length, role
from ..answers import forms
from ..answers.editor import posted_form
from ..answers.forms import Form
from ..paging import cursor, kept, link, searched
from . import words

bp = Blueprint("knowledge", __name__)

PAGE_SIZE = 50
MAX_FILE = MAX_BYTES + (1 << 20)
"""Maximum size of a form with a file."""
MAX_ERRORS = 50
"""Problems of a file that are named."""


@bp.get("/knowledge")
def index() -> ResponseReturnValue:
    connection, account_id, position = db.session.connection(), services().account_id, cursor("before")
    wanted = _filter()
    entries = service.listed(connection, account_id, wanted, PAGE_SIZE + 1, position.get("before"))
    listed = entries[:PAGE_SIZE]
    suggested = PairFilter(state=KnowledgeState.SUGGESTED)
    return render_template(
        "admin/knowledge/pairs.html",
        entries=listed,
        wanted=wanted,
        count=service.count(connection, account_id, wanted),
        suggested=service.count(connection, account_id, suggested),
        kept=kept(),
        first=position and link(),
        older=len(entries) > PAGE_SIZE and link(before=listed[-1].id),
        states=words.STATES,
        sources=words.PAIR_SOURCES,
    )


def _filter() -> PairFilter:
    state, source = request.args.get("state", ""), request.args.get("source", "")
    return PairFilter(
        searched("q"),
        KnowledgeState(state) if state in set(KnowledgeState) else None,
        PairSource(source) if source in set(PairSource) else None,
        deleted=state == "deleted",
    )


@bp.post("/knowledge/pairs")
def change_several() -> ResponseReturnValue:
    """Approve or delete the chosen pairs, or approve the one whose button was pressed."""
    chosen = request.form.getlist("pair", type=row_id)
    one = request.form.get("approve", type=row_id)
    if one:
        chosen = [one]
    if not chosen:
        flash(_("还没有选。"), "error")
    elif request.form.get("do") == "delete" and not one:
        count = service.delete(db.engine, actor(), services().account_id, chosen)
        flash(_("已删除 %(count)s 条，在“已删除的”里可以恢复。", count=count), "success")
    else:
        count = service.approve(db.engine, actor(), services().account_id, chosen)
        flash(_("已采用 %(count)s 条。", count=count), "success")
    return redirect(url_for("admin.knowledge.index", **kept()), 303)  # type: ignore[arg-type]


# The editor


@bp.get("/knowledge/new")
@role(Role.OPERATOR)
def new() -> ResponseReturnValue:
    """Show an empty form, or one with the question and the answer in the query string."""
    form = Form({name: request.args.get(name, "") for name in ("question", "answer", "source")})
    return _page(form, None)


@bp.get("/knowledge/pairs/<int:pair_id>")
@role(Role.OPERATOR)
def show(pair_id: int) -> ResponseReturnValue:
    entry = _entry_or_404(pair_id)
    if entry.deleted:
        return redirect(url_for("admin.knowledge.history", pair_id=pair_id))
    definition = entry.definition
    form = Form({"question": definition["question"], "answer": definition["answer"]})
    form["wordings"] = "\n".join(definition.get("wordings", ()))
    form["state"] = entry.state
    return _page(form, entry)


@bp.post("/knowledge/new")
def create() -> ResponseReturnValue:
    return _take(None)


@bp.post("/knowledge/pairs/<int:pair_id>")
def save(pair_id: int) -> ResponseReturnValue:
    return _take(_entry_or_404(pair_id))


def _take(entry: PairEntry | None) -> ResponseReturnValue:
    form, account_id = posted_form(), services().account_id
    definition = {
        "question": forms.line(form, "question"),
        "wordings": forms.lines(form, "wordings"),
        "answer": forms.text_of(form, "answer"),
        "state": form.get("state") or KnowledgeState.APPROVED.value,
    }
    try:
        if entry is None:
            is_told = form.get("source") == PairSource.CONVERSATION
            source = PairSource.CONVERSATION if is_told else PairSource.WRITTEN
            service.create(db.engine, actor(), account_id, definition, source)
        else:
            version = form.get("version", default=0, type=row_id)
            service.save(db.engine, actor(), account_id, entry.id, version, definition)
    except InvalidDefinition as error:
        errors: dict[str, list[str]] = {}
        for problem in error.problems:
            errors.setdefault(problem.field.partition("[")[0], []).append(words.problem(problem))
        return _page(form, entry, errors=errors, status=422)
    except PairConflict as error:
        return _page(form, error.current, conflict=error, status=409)
    flash(_("已保存。"), "success")
    return redirect(url_for("admin.knowledge.index"), 303)


def _page(
    form: Form,
    entry: PairEntry | None,
    *,
    errors: Mapping[str, list[str]] = MappingProxyType({}),
    conflict: PairConflict | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    return render_template(
        "admin/knowledge/pair.html",
        form=form,
        entry=entry,
        errors=errors,
        states=words.STATES,
        version=conflict.current.version if conflict else form.get("version") or (entry and entry.version),
        conflict=conflict and words.differences(conflict.mine, conflict.current.definition),
    ), status


def _entry_or_404(pair_id: int) -> PairEntry:
    try:
        return service.find(db.session.connection(), services().account_id, pair_id)
    except PairNotFound:
        abort(404, _("没有这条问答。"))


@bp.post("/knowledge/pairs/<int:pair_id>/delete")
def delete(pair_id: int) -> ResponseReturnValue:
    _entry_or_404(pair_id)
    service.delete(db.engine, actor(), services().account_id, [pair_id])
    flash(_("已删除。筛选“已删除的”，可以恢复。"), "success")
    return redirect(url_for("admin.knowledge.index"), 303)


@bp.get("/knowledge/pairs/<int:pair_id>/history")
@role(Role.OPERATOR)
def history(pair_id: int) -> ResponseReturnValue:
    entry = _entry_or_404(pair_id)
    versions = service.history(db.session.connection(), pair_id)
    changes: list[tuple[Any, Any]] = [
        (row, words.differences(before.definition, row.definition) if before else ())
        for row, before in zip(versions, [*versions[1:], None], strict=True)
    ]
    return render_template("admin/knowledge/history.html", entry=entry, changes=changes)


@bp.post("/knowledge/pairs/<int:pair_id>/restore")
def restore(pair_id: int) -> ResponseReturnValue:
    version = request.form.get("version", default=0, type=row_id)
    try:
        service.restore(db.engine, actor(), services().account_id, pair_id, version)
    except PairNotFound:
        abort(404, _("没有这条问答，或没有这个版本。"))
    except InvalidDefinition as error:
        flash("；".join(map(words.problem, error.problems)), "error")
    else:
        flash(_("已恢复。"), "success")
    return redirect(url_for("admin.knowledge.history", pair_id=pair_id), 303)


# Files


@bp.get("/knowledge.csv")
@role(Role.OPERATOR)
def export_csv() -> ResponseReturnValue:
    found = service.all_pairs(db.session.connection(), services().account_id)
    audit.record_now(db.engine, actor(), "exported", detail="knowledge.csv")
    text = "\ufeff" + transfer.dump(found)  # so that Excel reads it as UTF-8
    headers = {"Content-Disposition": "attachment; filename=knowledge.csv"}
    return Response(text, content_type="text/csv; charset=utf-8", headers=headers)


@bp.get("/knowledge/import")
@role(Role.OPERATOR)
def show_import() -> ResponseReturnValue:
    return render_template("admin/knowledge/import.html", errors=(), columns=transfer.COLUMNS)


@bp.post("/knowledge/import")
@max_content_length(MAX_FILE)
def create_import() -> ResponseReturnValue:
    """Import the pairs of a file, all of them or none."""
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        flash(_("还没有选文件。"), "error")
        return redirect(url_for("admin.knowledge.show_import"), 303)
    try:
        found = transfer.parse(upload.read())
    except InvalidFile as error:
        errors = [(each.line, words.line_error(each)) for each in error.errors]
        return render_template(
            "admin/knowledge/import.html",
            errors=errors[:MAX_ERRORS],
            count=len(errors),
            columns=transfer.COLUMNS,
        ), 422
    added = service.add_all(db.engine, actor(), services().account_id, found)
    flash(
        _("文件里有 %(all)s 条，新加了 %(added)s 条，其余的已经有了。", all=len(found), added=added),
        "success",
    )
    return redirect(url_for("admin.knowledge.index"), 303)
