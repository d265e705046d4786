"""Unanswered questions: the list of their groups, one group, and what operators do with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, tzinfo
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone, lazy_gettext
from flask_babel import gettext as _
from sqlalchemy import Engine

from ...application import row_id
from ...database.clock import database_now
from ...extensions import db
from ...models import QuestionState, Role
from ...services import audit
from ...services.conversations.queries import assignable_operators
from ...services.messages.export import BOM, csv_lines
from ...services.questions import editing, reading
from ...services.questions.editing import GroupNotFound, OperatorNotFound, ReasonMissing
from ...services.questions.reading import NOBODY, Position, QuestionFilter
from ...services.questions.storing import monday
from ...wiring import services
from .access import actor, role
from .layout import catch_up
from .paging import cursor, kept, link, parse_position, position_of, searched

bp = Blueprint("questions", __name__)

PAGE_SIZE = 50
BATCH_SIZE = 200
"""Groups of one read of an export."""
STATES = {
    QuestionState.OPEN: lazy_gettext("待处理"),
    QuestionState.DONE: lazy_gettext("已处理"),
    QuestionState.IGNORED: lazy_gettext("不用回答"),
}
ALL = "all"
"""In the query string: groups of every state."""
COLUMNS = (
    "id",
    "question",
    "state",
    "reason",
    "assignee",
    "this_week",
    "last_week",
    "total",
    "first_at",
    "last_at",
    "answer",
)


@bp.get("/questions")
def index() -> ResponseReturnValue:
    _catch_up()
    connection, account_id, chosen = db.session.connection(), services().account_id, _chosen()
    rows = reading.page(connection, account_id, chosen, _position(), PAGE_SIZE + 1)
    shown = rows[:PAGE_SIZE]
    return render_template(
        "admin/questions/index.html",
        rows=shown,
        weeks=reading.weeks(connection, [row.id for row in shown], _monday()),
        state_counts=reading.counts(connection, account_id),
        chosen=chosen,
        states=STATES,
        all_states=ALL,
        nobody=NOBODY,
        operators=assignable_operators(connection),
        kept=kept(),
        first="after" in request.args and link(after=None),
        older=len(rows) > PAGE_SIZE and link(after=_place(shown[-1])),
    )


@bp.get("/questions.csv")
@role(Role.OPERATOR)
def export() -> ResponseReturnValue:
    """Return the groups that the filter selects, with what operators answered."""
    _catch_up()
    chosen = _chosen()
    audit.record_now(db.engine, actor(), "exported", detail="questions.csv")
    lines = _lines(db.engine, services().account_id, chosen, _monday(), get_timezone())
    headers = {"Content-Disposition": "attachment; filename=questions.csv"}
    return Response(lines, mimetype="text/csv", headers=headers)


def _lines(
    engine: Engine, account_id: int, chosen: QuestionFilter, this_week: date, zone: tzinfo
) -> Iterator[str]:
    yield BOM + csv_lines([COLUMNS])
    after: Position | None = None
    while True:
        with engine.connect() as connection:
            rows = reading.page(connection, account_id, chosen, after, BATCH_SIZE)
            weeks = reading.weeks(connection, [row.id for row in rows], this_week)
            answers = reading.suggested_answers(connection, [row.id for row in rows])
        yield csv_lines(
            (
                row.id,
                row.text,
                row.state,
                row.reason,
                row.assignee or "",
                *[*weeks[row.id].values()][:-3:-1],
                row.asked,
                row.first_at.astimezone(zone).isoformat(),
                row.last_at.astimezone(zone).isoformat(),
                answers.get(row.id, ""),
            )
            for row in rows
        )
        if len(rows) < BATCH_SIZE:
            return
        after = Position(rows[-1].week, rows[-1].week_asked, rows[-1].id)


@bp.get("/questions/<int:group_id>")
def show(group_id: int) -> ResponseReturnValue:
    return _show(group_id)


def _show(group_id: int, problem: str = "", status: int = 200) -> ResponseReturnValue:
    _catch_up()
    connection = db.session.connection()
    group = reading.find(connection, services().account_id, group_id)
    if group is None:
        abort(404, _("没有这个问题。"))
    before = cursor("before").get("before") if request.method == "GET" else None
    found = reading.examples(connection, group_id, before=before, limit=reading.MAX_EXAMPLES + 1)
    shown = found[: reading.MAX_EXAMPLES]
    return render_template(
        "admin/questions/show.html",
        group=group,
        weeks=reading.weeks(connection, [group_id], _monday())[group_id],
        examples=shown,
        answer=reading.suggested_answer(shown),
        states=STATES,
        operators=assignable_operators(connection),
        problem=problem,
        limits=editing,
        first=before and link(before=None),
        older=len(found) > reading.MAX_EXAMPLES and link(before=shown[-1].message.id),
    ), status


@bp.post("/questions/<int:group_id>/state")
def set_state(group_id: int) -> ResponseReturnValue:
    try:
        state = QuestionState(request.form.get("state", ""))
    except ValueError:
        abort(400, _("没有这个状态。"))
    reason = request.form.get("reason", "")
    try:
        editing.set_state(db.engine, actor(), services().account_id, group_id, state, reason)
    except ReasonMissing:
        problem = _("写一句为什么不用回答，最多 %(limit)s 个字。", limit=editing.MAX_REASON)
        return _show(group_id, problem, 422)
    except GroupNotFound:
        abort(404, _("没有这个问题。"))
    flash(_("已改为“%(state)s”。", state=STATES[state]), "success")
    return redirect(url_for("admin.questions.show", group_id=group_id), 303)


@bp.post("/questions/<int:group_id>/assign")
def assign(group_id: int) -> ResponseReturnValue:
    operator_id = request.form.get("operator", type=row_id)
    try:
        editing.assign(db.engine, actor(), services().account_id, group_id, operator_id)
    except OperatorNotFound:
        abort(400, _("没有这个操作员。"))
    except GroupNotFound:
        abort(404, _("没有这个问题。"))
    flash(_("已保存。"), "success")
    return redirect(url_for("admin.questions.show", group_id=group_id), 303)


def _catch_up() -> None:
    """Group the questions among the newest messages, for one second at most."""
    catch_up()
    services().questions.catch_up(seconds=1)


def _monday() -> date:
    """Return the first day of the present week of the account."""
    return monday(database_now(), services().questions.zone)


def _chosen() -> QuestionFilter:
    """Return the filter in the query string; abort with 400 if it is invalid."""
    name, text = request.args.get("state") or QuestionState.OPEN, searched("q").replace("\x00", "").strip()
    try:
        state = None if name == ALL else QuestionState(name)
        assignee = request.args.get("assignee")
        assignee_id = None if not assignee else NOBODY if assignee == str(NOBODY) else row_id(assignee)
    except ValueError:
        abort(400, _("没有这个状态或操作员。"))
    return QuestionFilter(state, assignee_id, text)


def _place(row: Any) -> str:
    return position_of(row.id, f"{row.week}:{row.week_asked}")


def _position() -> Position | None:
    """Return the position in the query string; abort with 400 if it is invalid."""
    text = request.args.get("after")
    if not text:
        return None
    id_, (week, asked) = parse_position(text, _week_and_count)
    return Position(week, asked, id_)


def _week_and_count(text: str) -> tuple[date, int]:
    week, _colon, asked = text.partition(":")
    return date.fromisoformat(week), row_id(asked)
