"""The files of the library that answers name: shown, chosen by picture, and uploaded."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import Select, select

from ....application import row_id
from ....extensions import db
from ....models import LibraryFile
from ....services.media.formats import RefusedMedia
from ....services.media.library import MAX_BYTES
from ....wiring import services
from ...shared.labels import REFUSALS
from ..access import actor, max_content_length
from ..paging import cursor, link
from .forms import Form

bp = Blueprint("answer_files", __name__)

PAGE_SIZE = 24
MAX_OFFERED = 100
"""Files that can be chosen without a script, newest first."""
MAX_FORM = 64 << 20
"""Maximum size in bytes of a form with files for the library."""
ACCEPTED = {
    "image": "image/jpeg,image/png,image/gif,image/webp,image/bmp",
    "voice": "audio/amr,audio/mpeg,.amr,.mp3",
    "video": "video/mp4",
}
"""What browsers let choose for each kind of file."""


def of_library(kind: str = "") -> Select[Any]:
    """Return the statement that selects the files of the account's library, newest first."""
    found = select(LibraryFile.__table__).where(
        LibraryFile.account_id == services().account_id, LibraryFile.deleted_at.is_(None)
    )
    if kind:
        found = found.where(LibraryFile.kind == kind)
    return found.order_by(LibraryFile.id.desc())


@bp.app_template_global()
def library_file(file_id: int | str | None) -> Any:
    """Return a file of the library; None if there is none with this id, which may be from a form."""
    try:
        number = row_id(str(file_id))
    except ValueError:
        return None
    return db.session.execute(of_library().where(LibraryFile.id == number)).one_or_none()


def offered(kind: str) -> list[Any]:
    """Return the newest files of a kind."""
    return list(db.session.execute(of_library(kind).limit(MAX_OFFERED)).all())


def library_files() -> dict[int, Any]:
    """Return all files of the library by their ids."""
    return {file.id: file for file in db.session.execute(of_library())}


def file_names() -> dict[int, str]:
    """Return the names of all files of the library by their ids."""
    return {file_id: file.name for file_id, file in library_files().items()}


def store_uploads(form: Form) -> dict[str, str]:
    """Add the files that were sent with a form to the library, and choose them in the form.

    Return why files are refused, as sentences by the fields of the form.
    """
    refused: dict[str, str] = {}
    for name, upload in request.files.items():
        field = name.removesuffix(".upload")
        if not upload.filename or field == name:
            continue
        try:
            added = services().library.add(actor(), services().account_id, upload.filename, upload.read())
        except RefusedMedia as error:
            refused[field] = _refusal(error)
        else:
            form[field] = str(added)
    return refused


def _refusal(error: RefusedMedia) -> str:
    return str(_("没有存入：%(reason)s。", reason=REFUSALS[error.reason]))


# The picker, which a script opens


@bp.get("/answers/files")
def index() -> ResponseReturnValue:
    """Render a page of the files of a kind, of which the name has a text."""
    kind, text = _kind(), request.args.get("q", "").strip()[:100]
    found, position = of_library(kind), cursor("before")
    if text:
        found = found.where(LibraryFile.name.icontains(text, autoescape=True))
    if position:
        found = found.where(LibraryFile.id < position["before"])
    rows = db.session.execute(found.limit(PAGE_SIZE + 1)).all()
    files = rows[:PAGE_SIZE]
    return render_template(
        "admin/answers/_files.html",
        kind=kind,
        text=text,
        files=files,
        accepted=ACCEPTED[kind],
        first=position and link(),
        older=len(rows) > PAGE_SIZE and link(before=files[-1].id),
    )


@bp.post("/answers/files")
@max_content_length(MAX_FORM)
def create() -> ResponseReturnValue:
    """Add a file, and render it as one that can be chosen."""
    kind, upload = _kind(), request.files.get("file")
    if upload is None or not upload.filename:
        abort(400, _("还没有选文件。"))
    try:
        added = services().library.add(actor(), services().account_id, upload.filename, upload.read())
    except RefusedMedia as error:
        abort(422, _refusal(error))
    file = library_file(added)
    if file.kind != kind:
        abort(422, _("已存入素材，但它不是这里要的那种文件。"))
    return render_template("admin/answers/_file.html", file=file), 201


def _kind() -> str:
    kind = request.args.get("kind", "")
    return kind if kind in MAX_BYTES else abort(400, _("没有这种文件。"))
