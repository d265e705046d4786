"""The first steps of an installation, which empty lists show until the operator puts them away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import and_, exists, false, func, not_, select

from ...extensions import db
from ...jobs import Job
from ...models import CallbackOutcome, Follower, MessageLog, Operator, Role, StoredRule
from ...sample_data.messages import OPENID_PREFIX as SAMPLE
from ...services import audit
from ...services.health import status
from ...services.health.call_stats import VERIFIED
from ...settings import AccountSettings, Environment
from ...simulator.openids import PREFIX as SIMULATED
from ...wiring import services
from ..health import is_from_this_machine
from .access import actor, role, safe_next_url
from .profile import save_preferences

bp = Blueprint("first_steps", __name__)


@dataclass(frozen=True)
class FirstSteps:
    """Which steps are done, and what the others need."""

    has_messages: bool
    is_connected: bool
    """The platform has verified the URL, or pushed a message of a person."""
    has_rules: bool
    has_colleagues: bool

    @property
    def done(self) -> str:
        """A digit for each step: 1 if it is done."""
        steps = (self.has_messages, self.is_connected, self.has_rules, self.has_colleagues)
        return "".join(str(int(is_done)) for is_done in steps)

    @property
    def are_complete(self) -> bool:
        return "0" not in self.done

    @property
    def in_development(self) -> bool:
        return services().settings.app_env is Environment.DEVELOPMENT

    @property
    def sample_data(self) -> str:
        """By what sample data can be loaded: "button" or "command"; empty where there must be none."""
        if self.has_messages or not self.in_development:
            return ""
        has_worker = any(map(status.is_alive, status.workers(db.session.connection())))
        return "button" if has_worker and current_user.role == Role.ADMIN else "command"

    @property
    def account(self) -> AccountSettings:
        return services().account

    @property
    def callback_url(self) -> str:
        return url_for("callback.push", _external=True)

    @property
    def is_local(self) -> bool:
        """Whether the operator sits at this machine, which the platform then hardly reaches."""
        return is_from_this_machine()


def inject_first_steps() -> dict[str, Any]:
    return {"first_steps": first_steps}


def first_steps() -> FirstSteps | None:
    """Return the steps, or None if all are done or the operator has put them away."""
    if not current_user.first_steps or _read().are_complete:
        return None
    return _read()


def _read() -> FirstSteps:
    """Return the steps, read once a request."""
    if "first_steps" not in g:
        g.first_steps = _query()
    found: FirstSteps = g.first_steps
    return found


def _query() -> FirstSteps:
    account, account_id = services().account, services().account_id
    is_person = and_(not_(Follower.openid.startswith(SIMULATED)), not_(Follower.openid.startswith(SAMPLE)))
    enabled = select(func.count()).select_from(Operator).where(Operator.disabled == false())
    row = db.session.execute(
        select(
            exists().where(MessageLog.account_id == account_id).label("messages"),
            exists().where(Follower.account_id == account_id, is_person).label("people"),
            exists().where(CallbackOutcome.outcome == VERIFIED).label("verified"),
            exists().where(StoredRule.account_id == account_id).label("rules"),
            enabled.scalar_subquery().label("operators"),
        )
    ).one()
    is_connected = not account.api_is_simulated and (row.people or row.verified)
    return FirstSteps(bool(row.messages), bool(is_connected), bool(row.rules), row.operators > 1)


@bp.get("/first-steps")
def show() -> ResponseReturnValue:
    """Render the steps; 204 if those that are done are those that the parameter `done` tells."""
    if request.args.get("done") == _read().done:
        return "", 204
    return render_template("admin/_first_steps.html", steps=_read())


@bp.post("/first-steps/dismiss")
@role(Role.VIEWER)
def dismiss() -> ResponseReturnValue:
    save_preferences(first_steps=False)
    return redirect(safe_next_url(), 303)


@bp.post("/first-steps/sample-data")
@role(Role.ADMIN)
def load_sample_data() -> ResponseReturnValue:
    if _read().sample_data != "button":
        abort(409, _("示例数据只能放进还没有消息的开发环境，而且要有后台进程在运行。"))
    audit.record_now(db.engine, actor(), "sample_data_loaded")
    services().jobs.enqueue(Job.LOAD_SAMPLE_DATA, services().account_id)
    flash(_("正在放入示例数据，不到一分钟就好。"), "success")
    return redirect(safe_next_url(), 303)
