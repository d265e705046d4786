"""Files of messages: how they are shown, and how they reach a browser that must not trust them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Response, abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy import select
from werkzeug.datastructures import ContentRange
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from ...extensions import db
from ...jobs import Job
from ...models import Media, MediaState, MessageLog
from ...services.media.archive import MEDIA_FIELDS
from ...services.media.formats import FORMATS, JPEG, MP3, MediaFormat, RefusalReason
from ...wiring import services
from . import bp
from .access import actor

SANDBOX = "default-src 'none'; sandbox"
"""A file is no page of ours, whatever a browser makes of it."""

REFUSALS = {
    RefusalReason.EMPTY: lazy_gettext("文件是空的"),
    RefusalReason.FORMAT: lazy_gettext("内容不是这类消息该有的格式"),
    RefusalReason.DAMAGED: lazy_gettext("文件不完整或已损坏"),
    RefusalReason.TOO_LARGE: lazy_gettext("文件太大"),
    RefusalReason.TOO_MANY_PIXELS: lazy_gettext("图片的像素太多"),
    RefusalReason.TOO_LONG: lazy_gettext("录音太长"),
}


@bp.context_processor
def inject_media() -> dict[str, Any]:
    return {"files_of": files_of, "refusals": REFUSALS, "can_convert": services().archive.converter.is_there}


def preload_media(rows: Iterable[Any]) -> None:
    """Look up the files of the messages `rows`, in one statement and only if there may be some."""
    ids = [_message_id(row) for row in rows if row.kind in MEDIA_FIELDS]
    if not ids:
        return
    attached: dict[int, dict[str, Any]] = g.setdefault("attached", {})
    for file in db.session.execute(select(Media.__table__).where(Media.message_id.in_(ids))):
        attached.setdefault(file.message_id, {})[file.kind] = file


def files_of(row: Any) -> Mapping[str, Any]:
    """The files of a message by kind, once `preload_media` has looked them up."""
    attached: dict[int, dict[str, Any]] = g.get("attached", {})
    return attached.get(_message_id(row), {})


def _message_id(row: Any) -> int:
    """Rows of the list of conversations name their message otherwise."""
    return int(getattr(row, "last_id", 0) or row.id)


@bp.get("/media/<int:media_id>")
def media(media_id: int) -> ResponseReturnValue:
    """The file as it came."""
    file = _stored(media_id)
    return _send(file, file.digest, FORMATS[file.content_type])


@bp.get("/media/<int:media_id>/thumbnail")
def media_thumbnail(media_id: int) -> ResponseReturnValue:
    file = _stored(media_id)
    return _send(file, file.thumbnail, JPEG)


@bp.get("/media/<int:media_id>/playable")
def media_playable(media_id: int) -> ResponseReturnValue:
    file = _stored(media_id)
    return _send(file, file.playable, MP3 if file.kind == "voice" else FORMATS[file.content_type])


@bp.get("/media/<int:media_id>/shown")
def media_shown(media_id: int) -> ResponseReturnValue:
    """What a conversation shows of a file's message; 204 while it is still waited for."""
    file = _file(media_id)
    if file.state == MediaState.WANTED and not file.error:
        return "", 204
    row = db.session.execute(select(MessageLog.__table__).where(MessageLog.id == file.message_id)).one()
    preload_media([row])
    return render_template("admin/media_shown.html", message=row)


@bp.post("/media/<int:media_id>/retry")
def retry_media(media_id: int) -> ResponseReturnValue:
    file = _file(media_id)
    if services().archive.retry(actor(), media_id):
        services().jobs.enqueue(Job.FETCH_MEDIA, media_id)
    return redirect(url_for("admin.message", message_id=file.message_id), 303)


def _file(media_id: int) -> Any:
    found = select(Media.__table__).where(Media.id == media_id)
    return db.session.execute(found).one_or_none() or abort(404, _("没有这个文件。"))


def _stored(media_id: int) -> Any:
    file = _file(media_id)
    if file.state != MediaState.STORED or file.content_type not in FORMATS:
        abort(404, _("没有这个文件。"))
    return file


def _send(file: Any, digest: str, format_: MediaFormat) -> Response:
    """A content, or the part of it that is asked for."""
    size = services().archive.store.size(digest) if digest else None
    if size is None:
        abort(404, _("没有这个文件。"))
    response = Response(content_type=format_.content_type)
    response.set_etag(digest)
    response.accept_ranges = "bytes"
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Security-Policy"] = SANDBOX
    disposition = "inline" if format_.for_browsers else "attachment"
    name = f"{file.kind}-{file.message_id}.{format_.extension}"
    response.headers["Content-Disposition"] = f"{disposition}; filename={name}"
    if request.if_none_match.contains(digest):
        response.status_code = 304
        return response
    start, end = _part(size, digest)
    if end - start < size:
        response.status_code = 206
        response.content_range = ContentRange("bytes", start, end, size)
    response.response = services().archive.store.open(digest, start, end)
    response.content_length = end - start
    return response


def _part(size: int, digest: str) -> tuple[int, int]:
    """From where to where; 416 for a range that is not there. More than one range is all of it."""
    wanted = request.range
    if not wanted or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return 0, size
    if request.if_range.date or (request.if_range.etag or digest) != digest:
        return 0, size
    return wanted.range_for_length(size) or _unsatisfiable(size)


def _unsatisfiable(size: int) -> tuple[int, int]:
    raise RequestedRangeNotSatisfiable(size)
