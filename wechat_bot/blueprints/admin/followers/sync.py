"""Followers as the platform lists them: the run that fetches them, and what waits to be told to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy import func, select

from ....extensions import db
from ....models import CallCount, SyncState
from ....services.accounts.capabilities import Feature, Permission, PermissionReason
from ....services.followers import write_back
from ....services.followers.sync import BEIJING, LIST_PATH, newest_run
from ....wechat.account_kinds import AccountKind
from ....wiring import services
from .. import bp
from ..access import actor

DAILY = {AccountKind.TEST: 100}
"""Calls of `LIST_PATH` in a day; other kinds have 500 (``wechat-platform.md`` section 6.7)."""
REASONS = {
    PermissionReason.KIND: lazy_gettext("未认证的账号没有粉丝列表接口；完成微信认证后才有。"),
    PermissionReason.LEARNED: lazy_gettext(
        "微信回答过 48001：账号没有粉丝列表接口。获得权限后，到“健康”页改回来。"
    ),
}
"""Why the list may not be asked for, where that differs from why nothing may be sent."""


@dataclass(frozen=True)
class SyncProgress:
    """All that the part of the page shows; `run` is the newest one, if there is any."""

    permission: Permission
    run: Any
    used: int
    daily: int

    @property
    def running(self) -> bool:
        return self.run is not None and self.run.state == SyncState.RUNNING

    @property
    def failed(self) -> bool:
        return self.run is not None and self.run.state == SyncState.FAILED


@bp.context_processor
def inject_sync_reasons() -> dict[str, Any]:
    return {"sync_reasons": REASONS}


def progress() -> SyncProgress:
    """How far the platform's list has been read."""
    settings = services().settings
    account_id = services().account_id
    run = db.session.execute(newest_run(account_id)).one_or_none()
    used = db.session.scalar(
        select(func.coalesce(func.sum(CallCount.calls), 0)).where(
            CallCount.account_id == account_id, CallCount.path == LIST_PATH, CallCount.hour >= _first_hour()
        )
    )
    daily = DAILY.get(settings.wechat_account_kind, 500)
    return SyncProgress(_standing(account_id), run, int(used or 0), daily)


def writes_back() -> bool:
    """Whether the platform is told of changed remarks and tags."""
    return _standing(services().account_id).allowed


def _standing(account_id: int) -> Permission:
    capabilities = services().capabilities
    return capabilities.permission(account_id, Feature.FOLLOWERS)


def _first_hour() -> int:
    """Of today in Beijing, when quotas are reset; in hours since 1970."""
    here = datetime.now(UTC) + BEIJING
    return int((here - timedelta(hours=here.hour) - BEIJING).timestamp()) // 3600


@bp.get("/followers/sync")
def show_sync() -> ResponseReturnValue:
    """Asked for again and again while a run is going on; at its end the whole page is, for the list."""
    sync = progress()
    headers = {} if sync.running else {"HX-Refresh": "true"}
    return render_template("admin/_sync.html", sync=sync), headers


@bp.post("/followers/sync")
def sync() -> ResponseReturnValue:
    """Begin a run, or go on with the one that failed."""
    account_id = services().account_id
    if not _standing(account_id).allowed:
        abort(409, _("现在不能从微信同步粉丝。"))
    followers = services().followers
    resumed = followers.resume(account_id) if "resume" in request.form else None
    followers.wake(resumed or followers.begin(account_id, actor()))
    return redirect(url_for("admin.followers"), 303)


@bp.post("/followers/<int:follower_id>/writebacks")
def write_back_again(follower_id: int) -> ResponseReturnValue:
    """Tell the platform once more what it refused."""
    write_back.try_again(db.engine, follower_id)
    return redirect(url_for("admin.follower", follower_id=follower_id), 303)
