"""Pages of the documents, of the import of the account's articles, and of what is found for a question."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ....extensions import db
from ....models import ImportState, KnowledgeImport, KnowledgeState
from ....services.import_runs import newest_run
from ....services.knowledge import documents as service
from ....services.knowledge.documents import DocumentNotFound, NewDocument, Outcome
from ....services.knowledge.reading import MAX_BYTES, RefusedDocument
from ....services.knowledge.sources import SourceKind
from ....services.knowledge.web import FetchError, FetchProblem
from ....wiring import services
from ..access import actor, max_content_length
from ..paging import cursor, link, searched
from . import words

bp = Blueprint("documents", __name__)

PAGE_SIZE = 50
MAX_FORM = MAX_BYTES + (1 << 20)
"""Maximum size of a form with a file."""
FOUND = 10
"""Passages that are shown for a question."""


@bp.get("/knowledge/documents")
def index() -> ResponseReturnValue:
    account_id, position = services().account_id, cursor("before")
    rows = service.listed(db.session.connection(), account_id, PAGE_SIZE + 1, position.get("before"))
    listed = rows[:PAGE_SIZE]
    return render_template(
        "admin/knowledge/documents.html",
        documents=listed,
        run=_run(),
        has_api=services().client is not None,
        first=position and link(),
        older=len(rows) > PAGE_SIZE and link(before=listed[-1].id),
        kinds=words.DOCUMENT_KINDS,
        states=words.STATES,
    )


# Imports


@bp.post("/knowledge/documents")
@max_content_length(MAX_FORM)
def create() -> ResponseReturnValue:
    """Import the files of the form; those that are refused are named with the reason."""
    uploads = [file for file in request.files.getlist("file") if file.filename]
    for upload in uploads:
        name = upload.filename or ""
        try:
            document = service.read_file(name, upload.read())
        except RefusedDocument as error:
            reason = words.DOCUMENT_PROBLEMS[error.problem]
            flash(_("“%(name)s”没有导入：%(reason)s", name=name[:64], reason=reason), "error")
        else:
            _put(document)
    if not uploads:
        flash(_("还没有选文件。"), "error")
    return redirect(url_for("admin.documents.index"), 303)


@bp.post("/knowledge/documents/address")
def fetch() -> ResponseReturnValue:
    """Import the page at the address in the form."""
    address = request.form.get("address", "").strip()
    try:
        document = service.read_address(address)
    except RefusedDocument as error:
        flash(str(words.DOCUMENT_PROBLEMS[error.problem]), "error")
    except FetchError as error:
        reason = str(words.FETCH_PROBLEMS[error.problem])
        if error.problem is FetchProblem.STATUS:
            reason = _("%(reason)s（状态码 %(status)s）。", reason=reason, status=error.detail)
        flash(reason, "error")
    else:
        _put(document)
    return redirect(url_for("admin.documents.index"), 303)


def _put(document: NewDocument) -> None:
    stored = service.put(db.engine, actor(), services().account_id, document)
    sentence = {
        Outcome.ADDED: _(
            "已导入“%(title)s”，%(count)s 段。", title=document.title, count=len(document.parts)
        ),
        Outcome.REPLACED: _("“%(title)s”换成了新的内容。", title=document.title),
        Outcome.SAME: _("“%(title)s”的内容已经有了，没有变化。", title=document.title),
    }[stored.outcome]
    flash(sentence, "success")


@bp.post("/knowledge/articles")
def import_articles() -> ResponseReturnValue:
    """Start an import of the account's articles; the one that is going on stays the only one."""
    services().articles.runs.start(actor(), services().account_id)
    return redirect(url_for("admin.documents.index"), 303)


@bp.get("/knowledge/articles/progress")
def progress() -> ResponseReturnValue:
    """Render the progress, which is polled during a run; at its end the browser reloads the page."""
    run = _run()
    headers = {} if run and run.state == ImportState.RUNNING else {"HX-Refresh": "true"}
    return render_template("admin/knowledge/_articles.html", run=run), headers


def _run() -> Any:
    return db.session.execute(newest_run(KnowledgeImport, services().account_id)).one_or_none()


# One document


@bp.get("/knowledge/documents/<int:document_id>")
def show(document_id: int) -> ResponseReturnValue:
    document, position = _document_or_404(document_id), cursor("after")
    after = position.get("after", 0)
    rows = service.passages(db.session.connection(), document_id, PAGE_SIZE + 1, after)
    listed = rows[:PAGE_SIZE]
    return render_template(
        "admin/knowledge/document.html",
        document=document,
        passages=listed,
        first=position and link(),
        following=len(rows) > PAGE_SIZE and link(after=listed[-1].position),
        kinds=words.DOCUMENT_KINDS,
        states=words.STATES,
    )


def _document_or_404(document_id: int) -> Any:
    try:
        return service.find(db.session.connection(), services().account_id, document_id)
    except DocumentNotFound:
        abort(404, _("没有这个文档。"))


@bp.post("/knowledge/documents/<int:document_id>/state")
def set_state(document_id: int) -> ResponseReturnValue:
    approve = request.form.get("approve") == "yes"
    state = KnowledgeState.APPROVED if approve else KnowledgeState.SUGGESTED
    try:
        service.set_state(db.engine, actor(), services().account_id, document_id, state)
    except DocumentNotFound:
        abort(404, _("没有这个文档。"))
    flash(_("已采用。") if approve else _("不再用它回答。"), "success")
    return redirect(url_for("admin.documents.show", document_id=document_id), 303)


@bp.post("/knowledge/documents/<int:document_id>/delete")
def delete(document_id: int) -> ResponseReturnValue:
    try:
        service.remove(db.engine, actor(), services().account_id, document_id)
    except DocumentNotFound:
        abort(404, _("没有这个文档。"))
    flash(_("已删除。"), "success")
    return redirect(url_for("admin.documents.index"), 303)


# What is found


@bp.get("/knowledge/try")
def try_question() -> ResponseReturnValue:
    """Show the passages that are found for a question, with their scores."""
    question, bot = searched("q").strip(), services()
    found = bot.knowledge.find(bot.account_id, question, limit=FOUND) if question else ()
    return render_template(
        "admin/knowledge/try.html",
        question=question,
        found=found,
        count=bot.knowledge.count(bot.account_id),
        kinds=words.SOURCES,
    )


@bp.get("/knowledge/sources/<kind>/<int:source_id>")
def source(kind: str, source_id: int) -> ResponseReturnValue:
    """Lead to what a passage comes from, which pages name by its kind and id."""
    match kind:
        case SourceKind.PAIR:
            target = url_for("admin.knowledge.show", pair_id=source_id)
        case SourceKind.RULE:
            target = url_for("admin.rule_editor.show", rule_id=source_id)
        case SourceKind.CANNED:
            target = url_for("admin.canned_replies.show", reply_id=source_id)
        case SourceKind.DOCUMENT | SourceKind.ARTICLE:
            target = _place_of(source_id)
        case _:
            abort(404)
    return redirect(target)


def _place_of(passage_id: int) -> str:
    """Return the address of a passage on the page of its document."""
    try:
        place = service.document_of(db.session.connection(), services().account_id, passage_id)
    except DocumentNotFound:
        abort(404, _("这一段已经不在了：它的文档删除了，或有了新的内容。"))
    document_id, position = place
    after = (position - 1) // PAGE_SIZE * PAGE_SIZE or None
    return url_for("admin.documents.show", document_id=document_id, after=after, _anchor=f"p{passage_id}")
