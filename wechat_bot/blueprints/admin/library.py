"""Page of the library: the files with which the account answers, and their state on the platform."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_timedelta
from flask_babel import gettext as _
from sqlalchemy import select

from ...database.clock import database_now
from ...extensions import db
from ...models import LibraryFile, LibraryMediaId, Operator
from ...services.accounts.capabilities import Feature
from ...services.media.formats import FORMATS, RefusedMedia
from ...services.media.library import MAX_BYTES, MAX_NAME, LibraryError, LibraryProblem, Usage
from ...wechat.errors import APIError
from ...wiring import services
from ..shared.labels import LIBRARY_REASONS, REFUSALS
from ..shared.problems import describe_error
from .access import actor, max_content_length
from .answers.files import MAX_FORM, of_library
from .media import FORM, send
from .paging import cursor, link

bp = Blueprint("library", __name__)

PAGE_SIZE = 24
MAX_PROBLEMS = 10
"""Number of refused files that are named after an upload; the cookie of the session keeps them."""


@bp.get("/library")
def index() -> ResponseReturnValue:
    account_id, position = services().account_id, cursor("before")
    kind = request.args.get("kind", "")
    found = of_library(kind if kind in MAX_BYTES else "")
    found = found.add_columns(Operator.name.label("creator")).outerjoin(Operator)
    if position:
        found = found.where(LibraryFile.id < position["before"])
    usages = services().library.used_by(db.session.connection(), account_id)
    unused = "unused" in request.args
    if unused:
        found = found.where(LibraryFile.id.not_in(list(usages)))
    rows = db.session.execute(found.limit(PAGE_SIZE + 1)).all()
    files = rows[:PAGE_SIZE]
    copies = _copies(files)
    permission = services().capabilities.permission(account_id, Feature.MEDIA)
    return render_template(
        "admin/library.html",
        files=files,
        kinds=list(MAX_BYTES),
        kind=kind,
        copies={row.file_id: row for row in copies},
        permanent={row.file_id for row in copies if row.permanent and row.media_id},
        unused=unused,
        usages=usages,
        place=_place(),
        now=database_now(),
        formats=FORMATS,
        reason=None if permission.allowed else LIBRARY_REASONS[permission.reason],
        max_name=MAX_NAME,
        max_form=MAX_FORM,
        first=position and link(),
        older=len(rows) > PAGE_SIZE and link(before=files[-1].id),
    )


def _place() -> dict[str, Any]:
    """Return the parameters of the page of the list, for the forms on it."""
    return {name: request.args[name] for name in ("kind", "unused", "before") if name in request.args}


def _copies(files: Sequence[Any]) -> Sequence[Any]:
    """Return the copies of the files on the platform, or attempts to make one, the latest last."""
    of_files = LibraryMediaId.file_id.in_([file.id for file in files])
    latest_last = LibraryMediaId.tried_at, LibraryMediaId.permanent
    return db.session.execute(select(LibraryMediaId.__table__).where(of_files).order_by(*latest_last)).all()


@bp.app_template_filter("time_left")
def time_left(until: datetime) -> str:
    """Return the time until then in its largest unit, such as 3 days."""
    return str(format_timedelta(until - database_now()))


@bp.post("/library")
@max_content_length(MAX_FORM)
def create() -> ResponseReturnValue:
    """Add the files of the form; those that are refused are named with the reason."""
    uploads = [file for file in request.files.getlist("file") if file.filename]
    refused = []
    for upload in uploads:
        name = upload.filename or ""
        try:
            services().library.add(actor(), services().account_id, name, upload.read())
        except RefusedMedia as error:
            refused.append((name, REFUSALS[error.reason]))
    if added := len(uploads) - len(refused):
        flash(_("已存入 %(count)s 个文件。", count=added), "success")
    for name, reason in refused[:MAX_PROBLEMS]:
        flash(_("“%(name)s”没有存入：%(reason)s。", name=name[:MAX_NAME], reason=reason), "error")
    if (more := len(refused) - MAX_PROBLEMS) > 0:
        flash(_("还有 %(count)s 个文件也没有存入。", count=more), "error")
    if not uploads:
        flash(_("还没有选文件。"), "error")
    target = url_for("admin.library.index")
    if "HX-Request" in request.headers:  # the page's script shows the progress of an upload
        return "", 204, {"HX-Redirect": target}
    return redirect(target, 303)


@bp.post("/library/<int:file_id>/name")
def rename(file_id: int) -> ResponseReturnValue:
    try:
        services().library.rename(actor(), services().account_id, file_id, request.form["name"])
    except LibraryError as error:
        _explain(error)
    return _back(file_id)


@bp.post("/library/<int:file_id>/delete")
def delete(file_id: int) -> ResponseReturnValue:
    try:
        with_copy = "with_copy" in request.form
        services().library.delete(actor(), services().account_id, file_id, with_copy=with_copy)
    except LibraryError as error:
        _explain(error)
    except APIError as error:
        reason = describe_error(error.errcode or None, str(error))
        flash(_("没有删除：%(reason)s", reason=reason), "error")
    return _back(file_id)


def _explain(error: LibraryError) -> None:
    """Flash what is in the way; abort with 404 if there is no such file."""
    match error.problem:
        case LibraryProblem.UNKNOWN:
            abort(404, _("没有这个文件。"))
        case LibraryProblem.NAME:
            flash(_("没有改名：名称不能是空的。"), "error")
        case LibraryProblem.IN_USE:
            names = "、".join(usage.name for usage in error.usages[:5])
            flash(_("没有删除：“%(names)s”还在用它。先在那里换一个文件。", names=names), "error")


@bp.app_template_global("usage_url")
def usage_url(usage: Usage) -> str:
    """Return the page of what uses a file."""
    kind, _colon, id_ = usage.subject.partition(":")
    match kind:
        case "rule":
            return url_for("admin.rule_editor.show", rule_id=id_)
        case "menu":
            return url_for("admin.menus.show")
    return url_for("admin.canned_replies.show", reply_id=id_)


def _back(file_id: int) -> ResponseReturnValue:
    """Redirect to the page of the list from which the form was sent."""
    return redirect(url_for("admin.library.index", _anchor=f"f{file_id}", **_place()), 303)


# The files themselves


@bp.get("/library/<int:file_id>")
@bp.get(f"/library/<int:file_id>/{FORM}")
def show(file_id: int, form: str = "") -> ResponseReturnValue:
    """Send a file as the platform gets it, or in another form."""
    file = _file(file_id)
    return send(file, form, f"{file.kind}-{file.id}")


def _file(file_id: int) -> Any:
    found = db.session.execute(of_library().where(LibraryFile.id == file_id)).one_or_none()
    return found or abort(404, _("没有这个文件。"))
