"""The list of the rules in their order, and what is done to them there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....application import row_id
from ....extensions import db
from ....models import Role
from ....routing import Route
from ....routing.strict_json import InvalidDefinition, Problem
from ....services import audit
from ....services.rules import editing, reading, transfer
from ....services.rules.editing import RuleNotFound
from ....services.rules.transfer import InvalidFile, TransferFormat
from ....wiring import services
from ..access import actor, max_content_length, role
from ..layout import catch_up
from . import listing, words
from .listing import Line

bp = Blueprint("rules", __name__)

MAX_FILE = transfer.MAX_BYTES + (1 << 20)
"""Maximum size of a form with a file of rules in bytes."""
MAX_ERRORS = 100
"""Errors of a file that are shown."""
EXAMPLES = {
    "welcome": (
        lazy_gettext("欢迎新粉丝"),
        {"type": "followed"},
        lazy_gettext("谢谢关注！想知道价格、地址或营业时间，直接发给我就行。"),
    ),
    "keyword": (lazy_gettext("营业时间"), {"type": "text"}, lazy_gettext("我们每天 9:00 到 18:00 营业。")),
    "nothing": (
        lazy_gettext("没听懂"),
        {"type": "nothing_matched"},
        lazy_gettext("我还不会回答这个。稍等，会有人来看。"),
    ),
}
"""Ready-made rules: name, trigger, and what they answer."""
EXAMPLE_KEYWORDS = lazy_gettext("营业时间、几点开门、几点关门")


@bp.get("/rules")
def index() -> ResponseReturnValue:
    catch_up()
    account_id = services().account_id
    found = listing.listing(account_id)
    return render_template(
        "admin/rules/index.html",
        listing=found,
        kept=listing.kept(page=found.page),
        states=listing.STATES,
        triggers=words.TRIGGERS,
        sections=[_in_code(section) for section in services().router.sections()],
        examples=EXAMPLES,
        deleted=reading.deleted(db.engine, account_id)[:50],
    )


@bp.get("/rules.json")
@role(Role.OPERATOR)
def index_json() -> ResponseReturnValue:
    """Return all rules that the filter selects, for programs, which is an export like the files."""
    catch_up()
    lines = listing.matching_lines(services().account_id)
    audit.record_now(db.engine, actor(), "exported", detail="rules.json")
    return jsonify(rules=[_as_json(line) for line in lines])


def _as_json(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "position": line.position,
        "rule": line.rule and line.rule.to_json(),
        "shadowed_by": [*line.shadowed_by],
        "hits": {day.isoformat(): count for day, count in line.hits.by_day.items() if count},
        "last_hit_at": line.hits.last_at and line.hits.last_at.isoformat(),
    }


def _in_code(routes: Sequence[Route]) -> list[str]:
    """Return the names of the handlers behind routes, each once."""
    return list(dict.fromkeys(route.name for route in routes))


# Changes


@bp.post("/rules/examples")
def create_example() -> ResponseReturnValue:
    """Add one of `EXAMPLES`, or with ``all`` each of them."""
    wanted = request.form.get("example", "")
    for name in EXAMPLES if wanted == "all" else [wanted]:
        if name not in EXAMPLES:
            abort(400, _("没有这个例子。"))
        title, trigger, says = EXAMPLES[name]
        definition: dict[str, Any] = {"name": str(title), "trigger": trigger}
        definition["answers"] = [{"kind": "text", "text": str(says)}]
        if name == "keyword":
            keywords = str(EXAMPLE_KEYWORDS).split(str(_("、")))
            definition["patterns"] = [{"match": "contains", "text": keyword} for keyword in keywords]
        editing.create(db.engine, actor(), services().account_id, definition)
    return _back()


@bp.post("/rules/<int:rule_id>/switch")
def switch(rule_id: int) -> ResponseReturnValue:
    enabled = request.form.get("on") == "1"
    try:
        editing.enable(db.engine, actor(), services().account_id, rule_id, enabled)
    except RuleNotFound:
        abort(404, _("没有这条规则。"))
    except InvalidDefinition:
        flash(_("这条规则要先改好，才能启用。"), "error")
    return _back(rule_id)


@bp.post("/rules/<int:rule_id>/move")
def move(rule_id: int) -> ResponseReturnValue:
    """Move a rule to the position of the button, or to the one that was typed."""
    position = request.form.get("to", type=row_id) or request.form.get("place", type=row_id)
    if position is None:
        abort(400, _("没有说移到哪里。"))
    try:
        editing.move(db.engine, actor(), services().account_id, rule_id, position)
    except RuleNotFound:
        abort(404, _("没有这条规则。"))
    return _back(rule_id)


@bp.post("/rules/<int:rule_id>/delete")
def delete(rule_id: int) -> ResponseReturnValue:
    try:
        editing.delete(db.engine, actor(), services().account_id, rule_id)
    except RuleNotFound:
        abort(404, _("没有这条规则。"))
    flash(_("已删除。在这一页的最下面可以恢复。"), "success")
    return redirect(url_for("admin.rules.index"), 303)


@bp.post("/rules/<int:rule_id>/restore")
def restore(rule_id: int) -> ResponseReturnValue:
    """Bring back a version of a rule: the one in the form, which may be of a deleted rule."""
    version = request.form.get("version", type=row_id)
    try:
        editing.restore(db.engine, actor(), services().account_id, rule_id, version or 0)
    except RuleNotFound:
        abort(404, _("没有这条规则，或没有这个版本。"))
    except InvalidDefinition as error:
        flash("；".join(words.problem(problem) for problem in error.problems), "error")
    else:
        flash(_("已恢复。"), "success")
    return _back(rule_id)


def _back(rule_id: int | None = None) -> ResponseReturnValue:
    """Return to the page of the list that has the rule."""
    place = listing.kept(rule=rule_id, _anchor=f"r{rule_id}" if rule_id else None)
    return redirect(url_for("admin.rules.index", **place), 303)  # type: ignore[arg-type]


# Files


@bp.get("/rules.yaml", endpoint="export_yaml")
@bp.get("/rules.csv", endpoint="export_csv")
@role(Role.OPERATOR)
def export() -> ResponseReturnValue:
    form = TransferFormat(request.path.rpartition(".")[2])
    _version, rules = services().rules.latest(services().account_id)
    audit.record_now(db.engine, actor(), "exported", detail=f"rules.{form}")
    text = transfer.dump(list(rules.rules.values()), form)
    if form is TransferFormat.CSV:
        text = "\ufeff" + text  # so that Excel reads it as UTF-8
    headers = {"Content-Disposition": f"attachment; filename=rules.{form}"}
    return Response(text, content_type=f"text/{form}; charset=utf-8", headers=headers)


@bp.get("/rules/import")
@role(Role.OPERATOR)
def show_import() -> ResponseReturnValue:
    return render_template("admin/rules/import.html", errors=(), columns=transfer.COLUMNS)


@bp.post("/rules/import")
@max_content_length(MAX_FILE)
def create_import() -> ResponseReturnValue:
    """Import the rules of a file, all of them or none."""
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        flash(_("还没有选文件。"), "error")
        return redirect(url_for("admin.rules.show_import"), 303)
    form = TransferFormat.CSV if upload.filename.lower().endswith(".csv") else TransferFormat.YAML
    try:
        rules = transfer.parse(upload.read(), form)
        replacing = request.form.get("mode") == "replace"
        editing.add_all(db.engine, actor(), services().account_id, rules, replacing=replacing)
    except InvalidFile as error:
        found = [(each.line, _error(each)) for each in error.errors]
    except InvalidDefinition as error:
        found = [(0, _sentence(problem)) for problem in error.problems]
    else:
        flash(_("已导入 %(count)s 条规则。", count=len(rules)), "success")
        return redirect(url_for("admin.rules.index"), 303)
    return render_template(
        "admin/rules/import.html", errors=found[:MAX_ERRORS], count=len(found), columns=transfer.COLUMNS
    ), 422


def _error(error: transfer.LineError) -> str:
    if isinstance(error.problem, transfer.FileProblem):
        return str(words.FILE_PROBLEMS[error.problem])
    return _sentence(error.problem)


def _sentence(problem: Problem) -> str:
    return f"{words.field(problem.field)} · {words.problem(problem)}"
