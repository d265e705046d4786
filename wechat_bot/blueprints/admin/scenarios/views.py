"""The conversation tests: their list with the last results, the form of one, files, edited rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ....application import row_id
from ....extensions import db
from ....models import Role
from ....routing.definitions import Rule
from ....routing.strict_json import InvalidDefinition
from ....services import audit
from ....services.scenarios import editing, reading
from ....services.scenarios.editing import ScenarioConflict, ScenarioNotFound, ScenarioRefused
from ....services.scenarios.reading import ScenarioEntry
from ....services.scenarios.running import MAX_RECORDED
from ....simulator import scenarios
from ....simulator.scenarios import Scenario, ScenarioError
from ....wiring import services
from ..access import actor, max_content_length, role
from ..answers.editor import posted_form
from ..answers.files import MAX_FORM
from ..answers.forms import Form
from ..rules.forms import definition_of
from ..rules.testing import DRAFT
from . import forms, words
from .forms import Line

bp = Blueprint("scenarios", __name__)

MAX_FILE = 256 << 10
"""Maximum size of a file in bytes."""
RECORDED = 5
"""Messages of the log that become a scenario unless another number is chosen."""


@bp.get("/rules/scenarios")
def index() -> ResponseReturnValue:
    return _index()


def _index(problem: str = "", status: int = 200) -> ResponseReturnValue:
    entries = reading.load(db.session.connection(), services().account_id)
    return render_template(
        "admin/scenarios/index.html", entries=entries, problem=problem, names=words, limits=editing
    ), status


@bp.post("/rules/scenarios/run")
def run() -> ResponseReturnValue:
    """Play all scenarios with the saved rules."""
    services().scenarios.run(actor(), services().account_id)
    return redirect(url_for("admin.scenarios.index"), 303)


@bp.post("/rules/scenarios/draft")
@max_content_length(MAX_FORM)
def try_draft() -> ResponseReturnValue:
    """Play all scenarios with the rule in the form of its editor, which is not saved."""
    form = posted_form()
    rule_id = form.get("rule", type=row_id)
    try:
        rule = Rule.from_json(definition_of(form))
    except InvalidDefinition:
        return render_template("admin/scenarios/draft.html", tried=None, names=words), 422

    def edited(saved: Mapping[int, Rule]) -> Mapping[int, Rule]:
        return {**saved, rule_id or DRAFT: rule}

    tried = services().scenarios.try_out(services().account_id, edited)
    return render_template("admin/scenarios/draft.html", tried=tried, rule=rule, names=words)


# One scenario


@bp.get("/rules/scenarios/new")
@role(Role.OPERATOR)
def new() -> ResponseReturnValue:
    """Render an empty form, or one for the pushes up to `message` of the log."""
    message_id = request.args.get("message", type=row_id)
    if message_id is None:
        return _page(Form(), [Line(), Line()], None)
    count = min(max(request.args.get("count", RECORDED, type=int), 1), MAX_RECORDED)
    found = services().scenarios.recorded(services().account_id, message_id, count)
    if found is None:
        abort(404, _("没有这条收到的消息。"))
    form = Form({"name": _name(found), "tags": ", ".join(found.tags)})
    return _page(form, forms.lines_for(found), None, recorded=(message_id, count))


def _name(scenario: Scenario) -> str:
    """Return a name for a scenario: what the follower said last."""
    does, value = words.action(scenario.steps[-1])
    return " ".join(value.split())[: editing.MAX_NAME] or does


@bp.get("/rules/scenarios/<int:scenario_id>")
def show(scenario_id: int) -> ResponseReturnValue:
    entry = _entry_or_404(scenario_id)
    form = Form({"name": entry.scenario.name, "tags": ", ".join(entry.scenario.tags)})
    return _page(form, forms.lines_for(entry.scenario), entry)


@bp.post("/rules/scenarios/new")
def create() -> ResponseReturnValue:
    return _take(None)


@bp.post("/rules/scenarios/<int:scenario_id>")
def save(scenario_id: int) -> ResponseReturnValue:
    return _take(_entry_or_404(scenario_id))


def _take(entry: ScenarioEntry | None) -> ResponseReturnValue:
    """Save the form and play all scenarios, or do what another of its buttons says."""
    form = posted_form()
    lines, account_id = forms.lines_of(form), services().account_id
    if (others := forms.changed(lines, form.get("do", ""))) is not None:
        return _page(form, others, entry)
    try:
        scenario = forms.scenario_of(form, lines)
        if entry is None:
            [scenario_id] = editing.add(db.engine, actor(), account_id, [scenario])
        else:
            scenario_id, version = entry.id, form.get("version", default=0, type=row_id)
            editing.save(db.engine, actor(), account_id, scenario_id, version, scenario)
    except ScenarioError as error:
        return _page(form, lines, entry, problem=words.fault(error), at=error.step, status=422)
    except ScenarioRefused as error:
        return _page(form, lines, entry, problem=words.refusal(error), status=422)
    except ScenarioConflict as error:
        return _page(form, lines, error.current, theirs=error.current.scenario, status=409)
    except ScenarioNotFound:
        abort(404, _("没有这个测试。"))
    services().scenarios.run(actor(), account_id)
    flash(_("已保存，并试了一遍。"), "success")
    return redirect(url_for("admin.scenarios.show", scenario_id=scenario_id), 303)


def _page(
    form: Form,
    lines: Sequence[Line],
    entry: ScenarioEntry | None,
    *,
    problem: str = "",
    at: int = 0,
    theirs: Scenario | None = None,
    recorded: tuple[int, int] | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    """Render the form; `at` is the number of the line with the `problem`."""
    is_stored = entry is not None and list(lines) == forms.lines_for(entry.scenario)
    return render_template(
        "admin/scenarios/show.html",
        form=form,
        lines=lines,
        entry=entry,
        version=entry.version if theirs and entry else form.get("version") or (entry and entry.version),
        last=entry.last if entry and is_stored else None,
        problem=problem,
        at=at,
        theirs=theirs and scenarios.dump(theirs),
        recorded=recorded,
        names=words,
        limits=editing,
        max_recorded=MAX_RECORDED,
    ), status


@bp.post("/rules/scenarios/<int:scenario_id>/delete")
def delete(scenario_id: int) -> ResponseReturnValue:
    try:
        editing.remove(db.engine, actor(), services().account_id, scenario_id)
    except ScenarioNotFound:
        abort(404, _("没有这个测试。"))
    flash(_("已删除。"), "success")
    return redirect(url_for("admin.scenarios.index"), 303)


def _entry_or_404(scenario_id: int) -> ScenarioEntry:
    found = reading.find(db.session.connection(), services().account_id, scenario_id)
    return found or abort(404, _("没有这个测试。"))


# Files


@bp.get("/rules/scenarios.yaml")
@role(Role.OPERATOR)
def export() -> ResponseReturnValue:
    entries = reading.load(db.session.connection(), services().account_id)
    return _file("scenarios.yaml", [entry.scenario for entry in entries])


@bp.get("/rules/scenarios/<int:scenario_id>.yaml")
@role(Role.OPERATOR)
def export_one(scenario_id: int) -> ResponseReturnValue:
    return _file(f"scenario-{scenario_id}.yaml", [_entry_or_404(scenario_id).scenario])


def _file(name: str, found: Sequence[Scenario]) -> Response:
    audit.record_now(db.engine, actor(), "exported", detail=name)
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(scenarios.dump(*found), content_type="application/yaml; charset=utf-8", headers=headers)


@bp.post("/rules/scenarios/import")
@max_content_length(MAX_FILE + (1 << 16))
def create_import() -> ResponseReturnValue:
    """Add the scenarios of a file, all or none, and play all scenarios."""
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        return _index(_("还没有选文件。"), 422)
    content = upload.read()
    if len(content) > MAX_FILE:
        return _index(_("文件最大 %(limit)s KB。", limit=MAX_FILE >> 10), 422)
    try:
        found = scenarios.load_all(content.decode("utf-8-sig"))
        editing.add(db.engine, actor(), services().account_id, found)
    except UnicodeDecodeError:
        return _index(_("文件要存成 UTF-8 的文本。"), 422)
    except ScenarioError as error:
        return _index(words.fault(error), 422)
    except ScenarioRefused as error:
        return _index(f"“{error.scenario.name}”：{words.refusal(error)}", 422)
    services().scenarios.run(actor(), services().account_id)
    flash(_("已加入 %(count)s 个测试，并试了一遍。", count=len(found)), "success")
    return redirect(url_for("admin.scenarios.index"), 303)
