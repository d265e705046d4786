"""Personal data, for admins: how long it is kept, and the export and erasure of a follower."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone, lazy_gettext
from flask_babel import gettext as _
from sqlalchemy import Row, select

from ...database.clock import database_now
from ...extensions import db
from ...models import Follower, Role
from ...routing import strict_json
from ...routing.strict_json import InvalidDefinition
from ...services import audit
from ...services.followers.profiles import subject
from ...services.personal_data import export, retention
from ...services.personal_data.erasure import is_erased, latest
from ...services.personal_data.retention import PolicyChanged, RetentionPolicy
from ...wiring import services
from .access import actor, role
from .layout import catch_up
from .rules.words import problem as sentence_of

bp = Blueprint("personal_data", __name__)

CONFIRMED = 4
"""The last characters of the openid, which an admin types to confirm an erasure."""
MAX_ERASURES = 20
"""Upper limit of the latest erasures that are shown."""
KINDS = {
    "messages": lazy_gettext("消息，连同它们的文件"),
    "media": lazy_gettext("图片、语音和视频"),
    "model_answers": lazy_gettext("AI 助手的问答记录（至少 183 天）"),
    "questions": lazy_gettext("没答上来的问题，从最后一次问起"),
    "handovers": lazy_gettext("转人工的记录"),
    "audit": lazy_gettext("审计记录"),
}
"""The kinds of `RetentionPolicy`."""


@bp.get("/personal-data")
@role(Role.ADMIN)
def show() -> ResponseReturnValue:
    stored = retention.load_policy(db.session.connection(), services().account_id)
    return _page(_form_of(stored.policy), stored.version)


@bp.post("/personal-data")
@role(Role.ADMIN)
def save() -> ResponseReturnValue:
    account_id, seen = services().account_id, request.form.get("version", 0, type=int)
    days = {kind: request.form.get(kind, "").strip() or "0" for kind in KINDS}
    definition = {
        kind: int(text) if text.isdecimal() and len(text) < 10 else text for kind, text in days.items()
    }
    try:
        policy = strict_json.read(RetentionPolicy, definition)
        retention.save_policy(db.engine, actor(), account_id, seen, policy)
    except InvalidDefinition as error:
        errors = {problem.field: [sentence_of(problem)] for problem in error.problems}
        return _page(request.form, seen, errors, status=422)
    except PolicyChanged:
        stored = retention.load_policy(db.session.connection(), account_id)
        flash(_("没有保存：你打开以后，别人改过。你写的还在下面，再保存一次就用你的。"), "error")
        return _page(request.form, stored.version, status=409)
    flash(_("已保存。更早的数据从现在起逐步删除。"))
    return redirect(url_for("admin.personal_data.show"), 303)


def _page(form: Any, version: int, errors: Any = None, *, status: int = 200) -> ResponseReturnValue:
    page = render_template(
        "admin/personal_data/index.html",
        form=form,
        version=version,
        errors=errors or {},
        kinds=KINDS,
        erasures=_erasures(),
    )
    return page, status


def _form_of(policy: RetentionPolicy) -> dict[str, Any]:
    return {kind: days or "" for kind, days in asdict(policy).items()}


def _erasures() -> Any:
    return latest(db.session.connection(), services().account_id, MAX_ERASURES)


@bp.get("/personal-data/erasures")
@role(Role.ADMIN)
def progress() -> ResponseReturnValue:
    """Render the list of erasures, which is polled while one goes on."""
    return render_template("admin/personal_data/_erasures.html", erasures=_erasures())


# A follower


@bp.get("/followers/<int:follower_id>/personal-data.zip")
@role(Role.ADMIN)
def export_follower(follower_id: int) -> ResponseReturnValue:
    """Send all that is known of a follower."""
    follower = _find(follower_id)
    catch_up()
    audit.record_now(db.engine, actor(), "follower_exported", subject(follower_id))
    store, now, zone = services().archive.store, database_now(), get_timezone()
    content = export.stream(db.engine, store, follower.account_id, follower_id, now, zone)
    headers = {"Content-Disposition": f"attachment; filename=follower-{follower_id}.zip"}
    return Response(content, mimetype="application/zip", headers=headers)


@bp.get("/followers/<int:follower_id>/erase")
@role(Role.ADMIN)
def confirm(follower_id: int) -> ResponseReturnValue:
    return _confirmation(_find(follower_id))


@bp.post("/followers/<int:follower_id>/erase")
@role(Role.ADMIN)
def erase(follower_id: int) -> ResponseReturnValue:
    """Erase a follower if the last characters of the openid are confirmed."""
    follower, bot = _find(follower_id), services()
    if request.form.get("confirmation", "").strip() != follower.openid[-CONFIRMED:]:
        problem = _("和这位粉丝的 openid 最后 %(count)s 个字符不一样。", count=CONFIRMED)
        return _confirmation(follower, problem), 422
    bot.erasures.begin(actor(), bot.account_id, follower_id)
    flash(_("这位粉丝已经认不出来了，其余的数据正在删除。"))
    return redirect(url_for("admin.personal_data.show"), 303)


def _confirmation(follower: Row[Any], problem: str = "") -> str:
    errors = {"confirmation": [problem]} if problem else {}
    return render_template(
        "admin/personal_data/erase.html", follower=follower, confirmed=CONFIRMED, form={}, errors=errors
    )


def _find(follower_id: int) -> Row[Any]:
    """Return a follower of the account; abort with 404 if there is none, or nothing is left to be known."""
    this = Follower.id == follower_id, Follower.account_id == services().account_id
    row = db.session.execute(select(Follower.__table__).where(*this)).one_or_none()
    if row is None or is_erased(row.openid):
        abort(404, _("没有这个粉丝。"))
    return row
