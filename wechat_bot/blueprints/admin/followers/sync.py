"""Synchronization with the platform's list of followers: its progress, and starting it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import func, select

from ....database.clock import database_now
from ....extensions import db
from ....models import CallCount, SyncState
from ....services.accounts.capabilities import Feature, Permission
from ....services.followers.sync import BEIJING, LIST_PATH, newest_run
from ....wechat.account_kinds import AccountKind
from ....wiring import services
from ...shared.labels import SYNC_REASONS
from ..access import actor

bp = Blueprint("sync", __name__)

DAILY_QUOTA = {AccountKind.TEST: 100}
"""Calls of `LIST_PATH` a day; other kinds of accounts have 500 (``wechat-platform.md`` section 6.7)."""


@dataclass(frozen=True)
class SyncProgress:
    """The data of the section. `run` is the latest one, `used` and `daily` count calls of `LIST_PATH`."""

    permission: Permission
    run: Any
    used: int
    daily: int

    @property
    def reason(self) -> Any:
        """Why the list may not be read."""
        return SYNC_REASONS.get(self.permission.reason, "")

    @property
    def running(self) -> bool:
        return self.run is not None and self.run.state == SyncState.RUNNING

    @property
    def failed(self) -> bool:
        return self.run is not None and self.run.state == SyncState.FAILED


def progress(account_id: int) -> SyncProgress:
    settings = services().settings
    run = db.session.execute(newest_run(account_id)).one_or_none()
    used = db.session.scalar(
        select(func.coalesce(func.sum(CallCount.calls), 0)).where(
            CallCount.account_id == account_id, CallCount.path == LIST_PATH, CallCount.hour >= _first_hour()
        )
    )
    daily = DAILY_QUOTA.get(settings.wechat_account_kind, 500)
    return SyncProgress(_permission(account_id), run, int(used or 0), daily)


def _permission(account_id: int) -> Permission:
    return services().capabilities.permission(account_id, Feature.FOLLOWERS)


def _first_hour() -> int:
    """Return the first hour of today in Beijing, where quotas are reset, in hours since 1970."""
    here = database_now() + BEIJING
    return int((here - timedelta(hours=here.hour) - BEIJING).timestamp()) // 3600


@bp.get("/followers/sync")
def show() -> ResponseReturnValue:
    """Render the section, which is polled during a run; at its end the browser reloads the page."""
    current = progress(services().account_id)
    headers = {} if current.running else {"HX-Refresh": "true"}
    return render_template("admin/_sync.html", sync=current), headers


@bp.post("/followers/sync")
def create() -> ResponseReturnValue:
    """Start a run, or resume the one that failed."""
    account_id = services().account_id
    if not _permission(account_id).allowed:
        abort(409, _("现在不能从微信同步粉丝。"))
    followers = services().followers
    followers.start(account_id, actor(), resume="resume" in request.form)
    return redirect(url_for("admin.followers.index"), 303)
