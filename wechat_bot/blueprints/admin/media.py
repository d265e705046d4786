"""Files of messages: their place in templates, and their delivery to browsers as untrusted content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, Response, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.datastructures import ContentRange

from ...extensions import db
from ...models import Media, MediaState, MessageLog
from ...services.media.archive import MEDIA_FIELDS
from ...services.media.formats import AMR, FORMATS, GIF, JPEG, MP3, MP4, PNG, WEBP, MediaFormat, RefusedMedia
from ...wiring import services
from ..shared.labels import REFUSALS, WORDS
from .access import actor

bp = Blueprint("media", __name__)

FORM = "<any(thumbnail, playable):form>"
"""The part of an address that names another form of a file than that in which it came."""
LIBRARY_TYPES = {format_.content_type for format_ in (PNG, JPEG, GIF, WEBP, AMR, MP3, MP4)}
"""The types of files that are shown and that the library takes."""
SANDBOX = "default-src 'none'; sandbox"
"""Content-Security-Policy of a file, so that a browser runs nothing that it contains."""


def inject_media() -> dict[str, Any]:
    return {
        "files_of": files_of,
        "refusals": REFUSALS,
        "library_types": LIBRARY_TYPES,
        "can_convert": services().archive.converter.is_available,
    }


def preload_media(rows: Iterable[Any]) -> None:
    """Read the files of the messages `rows` in one statement, if any can have files."""
    ids = [row.id for row in rows if row.kind in MEDIA_FIELDS]
    if not ids:
        return
    attached: dict[int, dict[str, Any]] = g.setdefault("attached", {})
    for file in db.session.execute(select(Media.__table__).where(Media.message_id.in_(ids))):
        attached.setdefault(file.message_id, {})[file.kind] = file


def files_of(row: Any) -> Mapping[str, Any]:
    """Return the files of a message by kind, as read by `preload_media`."""
    attached: dict[int, dict[str, Any]] = g.get("attached", {})
    return attached.get(row.id, {})


@bp.get("/media/<int:media_id>")
@bp.get(f"/media/<int:media_id>/{FORM}")
def show(media_id: int, form: str = "") -> ResponseReturnValue:
    file = _stored(media_id)
    return send(file, form, f"{file.kind}-{file.message_id}")


@bp.get("/media/<int:media_id>/shown")
def attachment(media_id: int) -> ResponseReturnValue:
    """Render the part of a message that shows its file; 204 while the download is pending."""
    file = _file(media_id)
    if file.state == MediaState.WANTED and not file.error:
        return "", 204
    row = db.session.execute(select(MessageLog.__table__).where(MessageLog.id == file.message_id)).one()
    preload_media([row])
    return render_template("admin/media_shown.html", message=row)


@bp.post("/media/<int:media_id>/retry")
def retry(media_id: int) -> ResponseReturnValue:
    file = _file(media_id)
    services().archive.retry(actor(), media_id)
    return redirect(url_for("admin.messages.show", message_id=file.message_id), 303)


@bp.post("/media/<int:media_id>/library")
def keep(media_id: int) -> ResponseReturnValue:
    """Add the file of a message to the library; the answer tells whether it is there now."""
    file = _stored(media_id)
    name = _("%(kind)s %(number)s", kind=WORDS["kinds"][file.kind], number=file.message_id)
    try:
        services().library.add_received(actor(), services().account_id, name, media_id)
    except RefusedMedia as refused:
        flash(_("没有存入素材：%(reason)s。", reason=REFUSALS[refused.reason]), "error")
    else:
        flash(_("已存入素材。"), "success")
    if "HX-Request" in request.headers:
        return render_template("admin/_flashes.html")
    return redirect(url_for("admin.messages.show", message_id=file.message_id), 303)


def _file(media_id: int) -> Any:
    found = select(Media.__table__).join(MessageLog, MessageLog.id == Media.message_id)
    found = found.where(Media.id == media_id, MessageLog.account_id == services().account_id)
    return db.session.execute(found).one_or_none() or abort(404, _("没有这个文件。"))


def _stored(media_id: int) -> Any:
    file = _file(media_id)
    if file.state != MediaState.STORED or file.content_type not in FORMATS:
        abort(404, _("没有这个文件。"))
    return file


def send(file: Any, form: str, name: str) -> Response:
    """Send a file as it came, or in a `form`: as a small picture, or as browsers play it."""
    if form == "thumbnail":
        return _send_stored(file.thumbnail, JPEG, name)
    if form == "playable":
        return _send_stored(file.playable, MP3 if file.kind == "voice" else FORMATS[file.content_type], name)
    return _send_stored(file.digest, FORMATS[file.content_type], name)


def _send_stored(digest: str, format_: MediaFormat, name: str) -> Response:
    """Send stored content, or the range of it that is requested. Browsers keep no copy.

    :param name: the name under which a browser saves it, without an extension, in ASCII.
    """
    size = services().archive.store.size(digest) if digest else None
    if size is None:
        abort(404, _("没有这个文件。"))
    response = Response(content_type=format_.content_type)
    response.set_etag(digest)
    response.accept_ranges = "bytes"
    response.headers["Content-Security-Policy"] = SANDBOX
    disposition = "inline" if format_.web_playable else "attachment"
    response.headers["Content-Disposition"] = f"{disposition}; filename={name}.{format_.extension}"
    start, end = _part(size, digest)
    if end - start < size:
        response.status_code = 206
        response.content_range = ContentRange("bytes", start, end, size)
    response.response = services().archive.store.open(digest, start, end)
    response.content_length = end - start
    return response


def _part(size: int, digest: str) -> tuple[int, int]:
    """Return start and end of the requested range; the whole file if there are several.

    :raises RequestedRangeNotSatisfiable: when the range is outside of the file.
    """
    wanted = request.range
    if not wanted or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return 0, size
    if request.if_range.date or (request.if_range.etag or digest) != digest:
        return 0, size
    return wanted.range_for_length(size) or abort(416, length=size)
