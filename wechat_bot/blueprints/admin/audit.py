"""The audit log, for admins: list with filters, newest first, and CSV export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone
from flask_babel import gettext as _
from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from ...extensions import db
from ...models import AuditEntry, Operator, Role
from ...services.audit import record_now
from ...services.messages.export import csv_lines
from ...services.messages.filters import midnight
from ..shared.labels import ACTIONS
from .access import actor, role
from .messages import chosen_filter
from .paging import cursor, kept, link

bp = Blueprint("audit", __name__)

PAGE_SIZE = 50
BATCH_SIZE = 1000
"""Entries of one read of an export."""
COLUMNS = ("id", "at", "operator", "action", "subject", "before", "after", "address", "detail")
TEXTS = ("operator", "action", "subject")
"""Columns by whose text entries are filtered."""
WITH_BROWSER = {"sign_in", "sign_out", "session_revoked"}
"""Actions whose detail is a User-Agent."""


@dataclass(frozen=True)
class AuditFilter:
    """Conditions on entries. The days are those of the operator's time zone."""

    operator: str
    action: str
    subject: str
    since: date | None
    until: date | None

    def select(self) -> Select[Any]:
        wanted = {name: getattr(self, name) for name in TEXTS}
        conditions = [getattr(AuditEntry, name) == text for name, text in wanted.items() if text]
        if self.since:
            conditions.append(AuditEntry.at >= midnight(self.since, get_timezone()))
        if self.until:
            conditions.append(AuditEntry.at < midnight(self.until + timedelta(days=1), get_timezone()))
        return select(AuditEntry).where(*conditions).order_by(AuditEntry.id.desc())


@bp.get("/audit")
@role(Role.ADMIN)
def index() -> ResponseReturnValue:
    chosen, position = _chosen(), cursor("before")
    found = chosen.select().limit(PAGE_SIZE + 1)
    if position:
        found = found.where(AuditEntry.id < position["before"])
    entries = db.session.scalars(found).all()
    page = entries[:PAGE_SIZE]
    operators = select(Operator.id, Operator.name).order_by(Operator.name)
    return render_template(
        "admin/audit.html",
        entries=page,
        chosen=chosen,
        chips=chips(chosen),
        kept=kept(),
        actions=ACTIONS,
        with_browser=WITH_BROWSER,
        operators={row.id: row.name for row in db.session.execute(operators)},
        first=position and link(),
        older=len(entries) > PAGE_SIZE and link(before=page[-1].id),
    )


def chips(chosen: AuditFilter) -> list[tuple[str, str]]:
    """Return each condition in words with the URL of the list without it."""
    words: dict[str, Any] = {
        "operator": chosen.operator,
        "action": ACTIONS.get(chosen.action, chosen.action),
        "subject": chosen.subject and _("对象 %(name)s", name=chosen.subject),
        "from": chosen.since and _("从 %(date)s", date=chosen.since),
        "to": chosen.until and _("到 %(date)s", date=chosen.until),
    }
    return [(str(word), link(**{name: None})) for name, word in words.items() if word]


@bp.get("/audit.csv")
@role(Role.ADMIN)
def export() -> ResponseReturnValue:
    found, zone, query = _chosen().select(), get_timezone(), request.query_string.decode(errors="replace")
    engine = db.engine
    record_now(engine, actor(), "audit_exported", detail=query[:1000])

    def lines() -> Iterator[str]:
        yield csv_lines([COLUMNS])
        for entries in _batches(engine, found):
            yield csv_lines(_values(entry, zone) for entry in entries)

    headers = {"Content-Disposition": "attachment; filename=audit.csv"}
    return Response(lines(), mimetype="text/csv", headers=headers)


def _chosen() -> AuditFilter:
    """Return the filter in the query string; abort with 400 if it is invalid."""
    period = chosen_filter()  # days are parsed as in the list of messages
    texts = {name: request.args.get(name, "").replace("\x00", "").strip() for name in TEXTS}
    return AuditFilter(**texts, since=period.since, until=period.until)


def _batches(engine: Engine, found: Select[Any]) -> Iterator[Sequence[AuditEntry]]:
    """Read the entries, each batch in a transaction of its own."""
    batch = found.limit(BATCH_SIZE)
    while True:
        with Session(engine) as session:
            entries = session.scalars(batch).all()
        yield entries
        if len(entries) < BATCH_SIZE:
            return
        batch = found.where(AuditEntry.id < entries[-1].id).limit(BATCH_SIZE)


def _values(entry: AuditEntry, zone: tzinfo) -> Iterator[Any]:
    for name in COLUMNS:
        value = getattr(entry, name)
        if isinstance(value, datetime):
            yield value.astimezone(zone).isoformat()
        elif value is None or isinstance(value, (int, str)):
            yield value
        else:
            yield json.dumps(value, ensure_ascii=False)
