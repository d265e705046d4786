"""Pages of followers: the list, one follower with a timeline, aliases and tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from flask import Blueprint, Response, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone
from flask_babel import gettext as _
from sqlalchemy import Engine, Row, select

from ....application import row_id
from ....extensions import db
from ....models import AuditEntry, MessageLog, Note, PendingUpdate, Role, Tag, UpdateKind
from ....services.accounts.capabilities import Capabilities
from ....services.audit import Actor
from ....services.conversations.queries import split_tags
from ....services.followers import profiles, write_back
from ....services.media.archive import MEDIA_FIELDS
from ....services.messages import export, history
from ....services.messages.filters import MessageFilter
from ....services.personal_data.erasure import is_erased
from ....wiring import services
from ...shared.labels import ACTIONS
from ..access import actor, role
from ..conversations.timeline import TimelineEntry, select_notes
from ..conversations.views import changed
from ..layout import catch_up
from ..media import preload_media
from ..messages import record_export
from ..paging import kept, link
from . import listing
from .sync import progress

bp = Blueprint("followers", __name__)

MAX_TIMELINE_ENTRIES = 100
MAX_FILES = 12
"""Upper limit of a follower's latest messages with files."""
COLUMNS = (
    "id",
    "openid",
    "alias",
    "subscribed",
    "source",
    "scene",
    "status_at",
    "first_seen_at",
    "last_seen_at",
    "messages_in",
    "messages_out",
)
"""What exports have of a follower, besides the tags."""


@bp.get("/followers")
def index() -> ResponseReturnValue:
    catch_up()
    account_id = services().account_id
    found, tags = listing.listing(account_id), listing.all_tags(account_id)
    return render_template(
        "admin/followers.html",
        listing=found,
        numbers=listing.count(account_id),
        chips=[(words, link(**{name: None})) for name, words in listing.conditions_in_words(tags)],
        older=found.following and link(before=found.following),
        newer=found.previous and link(after=found.previous),
        all_tags=tags,
        orders=listing.ORDERS,
        order=listing.chosen_order(),
        spoken=listing.SPOKEN,
        states=listing.STATES,
        sources=listing.SOURCES,
        max_bulk=profiles.MAX_BULK,
        kept=kept(),
        sync=progress(account_id),
    )


@bp.get("/followers.json")
@role(Role.OPERATOR)
def index_json() -> ResponseReturnValue:
    """Return one page of the list for programs, which is an export like the file."""
    catch_up()
    found = listing.listing(services().account_id)
    record_export("followers.json")
    return jsonify(
        followers=[dict(zip((*COLUMNS, "tags"), _exported(row, UTC), strict=True)) for row in found.rows],
        older=found.following and link(before=found.following),
        newer=found.previous and link(after=found.previous),
    )


@bp.get("/followers.csv")
@role(Role.OPERATOR)
def export_csv() -> ResponseReturnValue:
    catch_up()
    batches, zone = listing.batches(db.engine, services().account_id), get_timezone()
    record_export("followers.csv")

    def lines() -> Iterator[str]:
        yield export.BOM + export.csv_lines([(*COLUMNS, "tags")])
        for rows in batches:
            yield export.csv_lines(_exported(row, zone) for row in rows)

    headers = {"Content-Disposition": "attachment; filename=followers.csv"}
    return Response(lines(), mimetype="text/csv", headers=headers)


def _exported(row: Row[Any], zone: tzinfo) -> Iterator[Any]:
    for name in COLUMNS:
        value = getattr(row, name)
        yield value.astimezone(zone).isoformat() if isinstance(value, datetime) else value
    yield " ".join(tag["name"] for tag in split_tags(row.tags))


@bp.get("/followers/<int:follower_id>")
def show(follower_id: int) -> ResponseReturnValue:
    catch_up()
    row = listing.find_follower(services().account_id, follower_id)
    if row is None or is_erased(row.openid):
        abort(404, _("没有这个粉丝。"))
    pending_updates = _pending_updates(follower_id)
    kinds = ",".join(MEDIA_FIELDS)
    files = history.page(
        db.session.connection(),
        row.account_id,
        MessageFilter(follower=follower_id, kind=kinds),
        limit=MAX_FILES,
    ).rows
    preload_media(files)
    return render_template(
        "admin/follower.html",
        follower=row,
        files=files,
        with_files=kinds,
        timeline=_timeline(follower_id),
        notes=_notes(follower_id),
        actions=ACTIONS,
        pending_updates=pending_updates,
        tag_names=_tag_names(pending_updates),
        max_attempts=write_back.MAX_ATTEMPTS,
        sources=listing.SOURCES,
    )


def _timeline(follower_id: int) -> list[TimelineEntry]:
    """Return messages, notes and changes by operators of a follower, newest first."""
    messages = select(MessageLog).where(MessageLog.follower_id == follower_id).order_by(MessageLog.id.desc())
    changes = (
        select(AuditEntry)
        .where(AuditEntry.subject == profiles.subject(follower_id), AuditEntry.action != "note_added")
        .order_by(AuditEntry.id.desc())
    )
    rows = db.session.scalars(messages.limit(MAX_TIMELINE_ENTRIES)).all()
    preload_media(rows)
    entries = [TimelineEntry("message", row.received_at, row) for row in rows]
    entries += [
        TimelineEntry("change", row.at, row)
        for row in db.session.scalars(changes.limit(MAX_TIMELINE_ENTRIES))
    ]
    entries += [TimelineEntry("note", note.created_at, note) for note in _notes(follower_id)]
    return sorted(entries, key=lambda entry: entry.time, reverse=True)[:MAX_TIMELINE_ENTRIES]


def _notes(follower_id: int) -> Sequence[Row[Any]]:
    newest = select_notes(follower_id).order_by(Note.created_at.desc())
    return db.session.execute(newest.limit(MAX_TIMELINE_ENTRIES)).all()


def _pending_updates(follower_id: int) -> Sequence[PendingUpdate]:
    of_follower = select(PendingUpdate).where(PendingUpdate.follower_id == follower_id)
    return db.session.scalars(of_follower.order_by(PendingUpdate.id)).all()


def _tag_names(changes: Sequence[PendingUpdate]) -> dict[int, str]:
    ids = [int(change.value) for change in changes if change.kind != UpdateKind.REMARK]
    found = select(Tag.id, Tag.name).where(Tag.id.in_(ids))
    return {row.id: row.name for row in db.session.execute(found)} if ids else {}


# Actions


def _ours() -> tuple[Engine, Capabilities, Actor, int]:
    """Return the first arguments of a change: where it is made, by whom, and for which account."""
    return db.engine, services().capabilities, actor(), services().account_id


def _changed(follower_id: int, said: str) -> ResponseReturnValue:
    """Show a change on the page from which the form was sent: the follower's, or the conversation."""
    came_from = (request.referrer or "").partition("?")[0]
    if came_from.endswith(f"/followers/{follower_id}"):
        return redirect(url_for("admin.followers.show", follower_id=follower_id), 303)
    return changed(follower_id, said)


@bp.post("/followers/<int:follower_id>/alias")
def rename(follower_id: int) -> ResponseReturnValue:
    profiles.rename(*_ours(), follower_id, request.form["alias"])
    return _changed(follower_id, _("备注名已保存"))


@bp.post("/followers/<int:follower_id>/tags")
def tag(follower_id: int) -> ResponseReturnValue:
    profiles.tag(*_ours(), [follower_id], request.form["tag"])
    return _changed(follower_id, _("已加标签"))


@bp.post("/followers/<int:follower_id>/tags/<int:tag_id>/remove")
def untag(follower_id: int, tag_id: int) -> ResponseReturnValue:
    profiles.untag(*_ours(), [follower_id], tag_id)
    return _changed(follower_id, _("已去掉标签"))


@bp.post("/followers/<int:follower_id>/writebacks")
def retry_updates(follower_id: int) -> ResponseReturnValue:
    """Send the changes again that the platform refused."""
    write_back.try_again(db.engine, follower_id)
    return redirect(url_for("admin.followers.show", follower_id=follower_id), 303)


@bp.post("/followers/bulk")
def change_many() -> ResponseReturnValue:
    """Tag, untag or export the chosen followers, or all that the query string selects.

    Tags of `profiles.MAX_BULK` followers at most are changed.
    """
    everybody, place = "all" in request.form, dict[str, Any](kept())
    ids: Sequence[int] = request.form.getlist("id", type=row_id)
    if request.form.get("action") == "export":
        chosen = place if everybody else {"ids": ",".join(map(str, ids)) or "0"}
        return redirect(url_for("admin.followers.export_csv", **chosen), 303)
    if everybody:
        ids = listing.matching_ids(services().account_id, profiles.MAX_BULK)
    name = " ".join(request.form["tag"].split())[:32]
    if not ids or not name:
        flash(_("先选中粉丝，写上标签。"), "error")
    elif request.form.get("action") == "untag":
        count = _untag(ids, name)
        flash(_("从 %(count)s 位粉丝去掉了标签“%(name)s”。", count=count, name=name), "success")
    else:
        count = profiles.tag(*_ours(), ids, name)
        flash(_("给 %(count)s 位粉丝加上了标签“%(name)s”。", count=count, name=name), "success")
    return redirect(url_for("admin.followers.index", **place), 303)


def _untag(ids: Sequence[int], name: str) -> int:
    named = select(Tag.id).where(Tag.account_id == services().account_id, Tag.name == name)
    tag_id = db.session.scalar(named)
    return profiles.untag(*_ours(), ids, tag_id) if tag_id else 0
