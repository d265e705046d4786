"""The policy of an account: when persons are called, and what followers are told about it."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from ...extensions import db
from ...models import Role
from ...routing import strict_json
from ...routing.handover_policy import HandoverPolicy
from ...routing.strict_json import InvalidDefinition
from ...services.conversations.handover import PolicyChanged, load_policy, save_policy
from ...wiring import services
from .access import actor, role
from .rules.forms import schedule_of
from .rules.words import WEEKDAYS
from .rules.words import problem as sentence_of

bp = Blueprint("handover", __name__)

NUMBERS = ("misses", "idle_minutes", "silent_hours")
TEXTS = ("notice", "queue_notice", "closed_notice")


@bp.get("/handover")
@role(Role.OPERATOR)
def show() -> ResponseReturnValue:
    stored = load_policy(db.session.connection(), services().account_id)
    return _page(_form_of(stored.policy), stored.version)


@bp.post("/handover")
@role(Role.ADMIN)
def save() -> ResponseReturnValue:
    seen = request.form.get("version", 0, type=int)
    try:
        policy = strict_json.read(HandoverPolicy, _definition_of(request.form))
        save_policy(db.engine, actor(), services().account_id, seen, policy)
    except InvalidDefinition as error:
        errors: dict[str, list[str]] = defaultdict(list)
        for problem in error.problems:
            errors[re.sub(r"\[\d+\]$", "", problem.field)].append(sentence_of(problem))
        return _page(request.form, seen, errors, status=422)
    except PolicyChanged:
        stored = load_policy(db.session.connection(), services().account_id)
        return _page(request.form, stored.version, other=_form_of(stored.policy), status=409)
    flash(_("已保存，马上生效。"))
    return redirect(url_for("admin.handover.show"), 303)


def _page(
    form: Any, version: int, errors: Any = None, *, other: Any = None, status: int = 200
) -> ResponseReturnValue:
    page = render_template(
        "admin/handover.html", form=form, version=version, errors=errors or {}, other=other, weekdays=WEEKDAYS
    )
    return page, status


def _definition_of(form: Any) -> dict[str, Any]:
    numbers = {name: form.get(name, "").strip() for name in NUMBERS}
    return {
        **{name: int(text) if re.fullmatch(r"\d{1,9}", text) else text for name, text in numbers.items()},
        **{name: form.get(name, "").replace("\r\n", "\n").strip() for name in TEXTS},
        "hours": schedule_of(form, "hours"),
    }


def _form_of(policy: HandoverPolicy) -> MultiDict[str, str]:
    form = MultiDict({name: str(getattr(policy, name)) for name in NUMBERS + TEXTS})
    form["hours.hours"] = "、".join(policy.hours.hours)
    form.setlist("hours.weekdays", list(map(str, policy.hours.weekdays)))
    return form
