"""The questions of an evaluation: their list with the last results, the form of one, and files."""

from __future__ import annotations

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ....application import row_id
from ....extensions import db
from ....models import EvaluationState, Role
from ....routing.strict_json import InvalidDefinition, Problem
from ....services import audit
from ....services.evaluations import definitions, editing, reading
from ....services.evaluations.editing import CaseConflict, CaseNotFound, TooManyCases
from ....services.evaluations.reading import CaseEntry
from ....simulator.scenarios import ScenarioError
from ....wiring import services
from ..access import actor, max_content_length, role
from ..answers import words as answer_words
from ..answers.editor import posted_form
from ..answers.forms import Form
from ..scenarios.words import fault
from . import forms, words

bp = Blueprint("evaluations", __name__)

MAX_FILE = 1 << 20
"""Maximum size of a file in bytes."""
RUNS = 10
"""Runs that are listed."""


@bp.get("/evaluations")
def index() -> ResponseReturnValue:
    return page()


def page(
    problem: str = "", draft: Form | None = None, problems: tuple[Problem, ...] = (), status: int = 200
) -> ResponseReturnValue:
    """Render the list, perhaps with what is wrong with a file, or with a draft of the profile."""
    connection, account_id = db.session.connection(), services().account_id
    runs = reading.runs(connection, account_id, RUNS)
    last = next((run for run in runs if run.state == EvaluationState.DONE), None)
    results = reading.results(connection, last.id, None) if last else []
    return render_template(
        "admin/evaluations/index.html",
        entries=reading.load(connection, account_id),
        results={result.now.case_id: result for result in results},
        runs=runs,
        running=next((run for run in runs if run.state == EvaluationState.RUNNING), None),
        problem=problem,
        form=draft or Form(),
        drafting=draft is not None,
        errors=errors_of(problems, forms.draft_of(draft) if draft else {}),
        names=words,
        rules=rule_names(),
    ), status


def errors_of(problems: tuple[Problem, ...], definition: dict[str, object]) -> dict[str, list[str]]:
    """Return what is wrong as sentences by the fields of a form."""
    errors: dict[str, list[str]] = {}
    for each in problems:
        field, item = forms.field_of(each, definition)
        errors.setdefault(field, []).append(answer_words.problem(each, item))
    return errors


def rule_names() -> dict[int, str]:
    """Return the names of the account's rules by their ids."""
    _version, rules = services().rules.latest(services().account_id)
    return {rule_id: rule.name for rule_id, rule in rules.rules.items()}


# One question


@bp.get("/evaluations/new")
@role(Role.OPERATOR)
def new() -> ResponseReturnValue:
    """Render an empty form, or one for the `question` of the query string."""
    return _form(Form({"question": request.args.get("question", "")[: definitions.MAX_QUESTION]}), None)


@bp.get("/evaluations/<int:case_id>")
def show(case_id: int) -> ResponseReturnValue:
    entry = _entry_or_404(case_id)
    return _form(forms.form_of(entry.case), entry)


@bp.post("/evaluations/new")
def create() -> ResponseReturnValue:
    return _take(None)


@bp.post("/evaluations/<int:case_id>")
def save(case_id: int) -> ResponseReturnValue:
    return _take(_entry_or_404(case_id))


def _take(entry: CaseEntry | None) -> ResponseReturnValue:
    form, account_id = posted_form(), services().account_id
    try:
        case = definitions.read(forms.definition_of(form))
        if entry is None:
            editing.add(db.engine, actor(), account_id, [case])
        else:
            version = form.get("version", default=0, type=row_id)
            editing.save(db.engine, actor(), account_id, entry.id, version, case)
    except InvalidDefinition as error:
        return _form(form, entry, problems=error.problems, status=422)
    except TooManyCases:
        return _form(form, entry, problem=_too_many(), status=422)
    except CaseConflict as error:
        return _form(form, error.current, conflict=True, status=409)
    except CaseNotFound:
        abort(404, _("没有这个问题。"))
    flash(_("已保存，下一次评测会问它。"), "success")
    return redirect(url_for("admin.evaluations.index"), 303)


def _form(
    form: Form,
    entry: CaseEntry | None,
    *,
    problems: tuple[Problem, ...] = (),
    problem: str = "",
    conflict: bool = False,
    status: int = 200,
) -> ResponseReturnValue:
    rules = rule_names()
    return render_template(
        "admin/evaluations/show.html",
        form=form,
        entry=entry,
        version=entry.version if entry and conflict else form.get("version") or (entry and entry.version),
        errors=errors_of(problems, forms.definition_of(form)),
        problem=problem,
        conflict=conflict,
        names=words,
        rules=rules,
        rule_choices={"": _("选一条规则"), **rules},
    ), status


@bp.post("/evaluations/<int:case_id>/delete")
def delete(case_id: int) -> ResponseReturnValue:
    try:
        editing.remove(db.engine, actor(), services().account_id, case_id)
    except CaseNotFound:
        abort(404, _("没有这个问题。"))
    flash(_("已删除。"), "success")
    return redirect(url_for("admin.evaluations.index"), 303)


def _entry_or_404(case_id: int) -> CaseEntry:
    found = reading.find(db.session.connection(), services().account_id, case_id)
    return found or abort(404, _("没有这个问题。"))


def _too_many() -> str:
    return str(_("最多 %(limit)s 个问题。", limit=editing.MAX_CASES))


# Files


@bp.get("/evaluations.yaml")
@role(Role.OPERATOR)
def export() -> ResponseReturnValue:
    entries = reading.load(db.session.connection(), services().account_id)
    audit.record_now(db.engine, actor(), "exported", detail="evaluations.yaml")
    headers = {"Content-Disposition": "attachment; filename=evaluations.yaml"}
    text = definitions.dump([entry.case for entry in entries])
    return Response(text, content_type="application/yaml; charset=utf-8", headers=headers)


@bp.post("/evaluations/import")
@max_content_length(MAX_FILE + (1 << 16))
def create_import() -> ResponseReturnValue:
    """Add the questions of a file, all or none."""
    upload = request.files.get("file")
    content = upload.read() if upload else b""
    if len(content) > MAX_FILE:
        return page(_("文件最大 %(limit)s KB。", limit=MAX_FILE >> 10), status=422)
    try:
        found = definitions.load(content.decode("utf-8-sig"))
        editing.add(db.engine, actor(), services().account_id, found)
    except UnicodeDecodeError:
        return page(_("文件要存成 UTF-8 的文本。"), status=422)
    except ScenarioError as error:
        return page(fault(error), status=422)
    except InvalidDefinition as error:
        first = error.problems[0]
        return page(f"{first.field}: {answer_words.problem(first)}", status=422)
    except TooManyCases:
        return page(_too_many(), status=422)
    flash(_("已加入 %(count)s 个问题。", count=len(found)), "success")
    return redirect(url_for("admin.evaluations.index"), 303)
