"""Page of the import of permanent material from the platform into the library, and its report."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from ...extensions import db
from ...models import ImportState, Material, MaterialImport
from ...services.import_runs import newest_run
from ...services.media.formats import RefusalReason
from ...wiring import services
from ..shared.labels import REFUSALS
from ..shared.problems import media_problem
from .access import actor
from .paging import cursor, link

bp = Blueprint("materials", __name__)

PAGE_SIZE = 50


@bp.get("/library/import")
def show() -> ResponseReturnValue:
    news, position = request.args.get("show") == "news", cursor("before")
    of_account = Material.account_id == services().account_id
    wanted = Material.url != "" if news else Material.reason != ""
    found = select(Material.__table__).where(of_account, wanted)
    if position:
        found = found.where(Material.id < position["before"])
    rows = db.session.execute(found.order_by(Material.id.desc()).limit(PAGE_SIZE + 1)).all()
    listed = rows[:PAGE_SIZE]
    return render_template(
        "admin/materials.html",
        run=_run(),
        materials=listed,
        news=news,
        has_api=services().client is not None,
        first=position and link(),
        older=len(rows) > PAGE_SIZE and link(before=listed[-1].id),
    )


@bp.get("/library/import/progress")
def progress() -> ResponseReturnValue:
    """Render the progress, which is polled during a run; at its end the browser reloads the page."""
    run = _run()
    headers = {} if run and run.state == ImportState.RUNNING else {"HX-Refresh": "true"}
    return render_template("admin/_materials.html", run=run), headers


@bp.post("/library/import")
def create() -> ResponseReturnValue:
    """Start a run; the one that is going on stays the only one."""
    services().materials.runs.start(actor(), services().account_id)
    return redirect(url_for("admin.materials.show"), 303)


def _run() -> Any:
    return db.session.execute(newest_run(MaterialImport, services().account_id)).one_or_none()


@bp.app_template_filter("why_not_taken")
def why_not_taken(reason: str) -> str:
    """Return why a file of the platform is not in the library."""
    if reason in set(RefusalReason):
        return str(_("%(reason)s。", reason=REFUSALS[RefusalReason(reason)]))
    return media_problem(reason)
