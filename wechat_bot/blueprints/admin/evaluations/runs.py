"""The runs of an evaluation: starting one, its progress, and both answers beside each other."""

from __future__ import annotations

from collections import Counter
from typing import Any

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ....extensions import db
from ....models import EvaluationState
from ....routing.strict_json import InvalidDefinition
from ....services.evaluations import reading
from ....services.evaluations.running import Unavailable
from ....wiring import services
from ..access import actor
from ..answers.editor import posted_form
from . import forms, words
from .views import page, rule_names

bp = Blueprint("evaluation_runs", __name__)


@bp.post("/evaluations/runs")
def create() -> ResponseReturnValue:
    """Let the worker ask all questions, with the saved profile or a draft of it."""
    form = posted_form()
    try:
        run_id = services().evaluations.start(actor(), services().account_id, forms.draft_of(form))
    except InvalidDefinition as error:
        return page(draft=form, problems=error.problems, status=422)
    except Unavailable:
        return page(_("还没有能用的助手：先在“助手”里填好接口和模型。"), form, status=422)
    return redirect(url_for("admin.evaluation_runs.show", run_id=run_id), 303)


@bp.get("/evaluations/runs/<int:run_id>")
def show(run_id: int) -> ResponseReturnValue:
    run = _run_or_404(run_id)
    connection, account_id = db.session.connection(), services().account_id
    before = reading.run_before(connection, account_id, run_id)
    results = reading.results(connection, run_id, before.id if before else None)
    return render_template(
        "admin/evaluations/run.html",
        run=run,
        before=before,
        results=results,
        changes=Counter(result.change for result in results),
        names=words,
        rules=rule_names(),
    )


@bp.get("/evaluations/runs/<int:run_id>/progress")
def progress(run_id: int) -> ResponseReturnValue:
    """Render the progress, which is polled during a run; at its end the browser reloads the page."""
    run = _run_or_404(run_id)
    headers = {} if run.state == EvaluationState.RUNNING else {"HX-Refresh": "true"}
    return render_template("admin/evaluations/_progress.html", run=run, names=words), headers


@bp.post("/evaluations/runs/<int:run_id>/stop")
def stop(run_id: int) -> ResponseReturnValue:
    services().evaluations.stop(services().account_id, run_id)
    return redirect(url_for("admin.evaluation_runs.show", run_id=run_id), 303)


def _run_or_404(run_id: int) -> Any:
    found = reading.find_run(db.session.connection(), services().account_id, run_id)
    return found or abort(404, _("没有这次评测。"))
