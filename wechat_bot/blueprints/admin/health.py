"""Whether the platform reaches us, whether we answer in time, and what to do where something is wrong."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import abort, current_app, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy import Engine, Row

from ...extensions import db
from ...models import Role
from ...services.accounts.capabilities import Feature, Permission, PermissionReason
from ...services.health import status as service
from ...services.health.call_stats import NO_ANSWER, OTHER, VERIFIED
from ...services.health.doctor import LATE_MS, Diagnosis, RequestOrigin
from ...services.health.findings import FEATURES, Health, localized
from ...wechat.errcodes import Explanation, Words, explain
from ...wechat.errors import Refusal
from ...wiring import services
from ..health import is_local
from . import bp
from .access import actor, role

MAX_ROWS = 20
"""So many messages that were not sent are shown, and so many files."""

OUTCOMES = {
    VERIFIED: lazy_gettext("验证了服务器地址"),
    Refusal.NOT_SIGNED: lazy_gettext("没有签名（陌生人或扫描器）"),
    Refusal.BAD_SIGNATURE: lazy_gettext("签名不对"),
    Refusal.OLD_TIMESTAMP: lazy_gettext("时间和本机的时钟差太多"),
    Refusal.PLAIN_IN_SAFE_MODE: lazy_gettext("安全模式下收到明文"),
    Refusal.ENCRYPTED_WITHOUT_KEY: lazy_gettext("消息是加密的，这里没有密钥"),
    Refusal.WRONG_KEY: lazy_gettext("解密失败，密钥不对"),
    Refusal.WRONG_APP_ID: lazy_gettext("给另一个 AppID 的消息"),
    Refusal.MALFORMED: lazy_gettext("签名正确，内容看不懂"),
    Refusal.TOO_LARGE: lazy_gettext("超过 1 MB"),
    Refusal.WRONG_PATH: lazy_gettext("签名正确，路径不对"),
}
REASONS = {
    PermissionReason.OPERATOR: lazy_gettext("管理员决定"),
    PermissionReason.SETTINGS: lazy_gettext("程序的设置"),
    PermissionReason.KIND: lazy_gettext("这类账号"),
    PermissionReason.LEARNED: lazy_gettext("微信说的"),
    PermissionReason.NO_SECRET: lazy_gettext("没有 AppSecret"),
    PermissionReason.UNKNOWN: lazy_gettext("未知，用时再试"),
}
MEDIA_STATES = {"wanted": lazy_gettext("待取回"), "failed": lazy_gettext("失败")}
LOST = Explanation(
    Words("没有收到回答", "No answer came"),
    Words("查一查本机到微信接口的网络。", "Look at the network between this machine and the platform's API."),
)
CHOICES = {"yes": True, "no": False, "auto": None}

CHART = (640, 180)
"""Width and height of the drawing, whose lower edge is 1 ms and whose upper edge is 20 s."""


@dataclass(frozen=True)
class Dot:
    """A push in the drawing."""

    x: float
    y: float
    late: bool
    push: Row[Any]


@dataclass(frozen=True)
class HealthReport:
    """All that the page shows."""

    diagnosis: Diagnosis
    unsent: Sequence[Row[Any]]
    unfetched: Sequence[Row[Any]]
    permissions: dict[Feature, Permission]
    database_size: int
    free_space: int
    revisions: tuple[str | None, str | None]
    versions: dict[str, str]


@bp.get("/health")
def health() -> ResponseReturnValue:
    return _page(_report(online=False))


@bp.post("/health")
def check_health() -> ResponseReturnValue:
    """The same page, after the platform was asked."""
    return _page(_report(online=True))


@bp.get("/health.json")
def health_json() -> ResponseReturnValue:
    return jsonify(_as_json(_report(online=False)))


@bp.post("/health/capabilities/<feature>")
@role(Role.ADMIN)
def override_capability(feature: str) -> ResponseReturnValue:
    capabilities = services().capabilities
    choice = request.form["allowed"]
    if feature not in set(Feature) or choice not in CHOICES:
        abort(400)
    capabilities.override(actor(), services().account_id, Feature(feature), CHOICES[choice])
    flash(_("已保存。"), "success")
    return redirect(url_for("admin.health", _anchor="capabilities"), 303)


def _visit() -> RequestOrigin:
    return RequestOrigin(request.is_secure, is_local(), "X-Forwarded-For" in request.headers)


def _report(*, online: bool) -> HealthReport:
    capabilities = services().capabilities
    diagnosis = services().doctor.diagnose(online=online, visit=_visit())
    connection = db.session.connection()
    return HealthReport(
        diagnosis,
        service.unsent(connection, MAX_ROWS),
        service.unfetched(connection, MAX_ROWS),
        capabilities.all(services().account_id),
        service.database_size(connection),
        service.free_space(Path(current_app.instance_path)),
        service.revisions(connection, services().migrations),
        _versions(db.engine),
    )


def _versions(engine: Engine) -> dict[str, str]:
    server = ".".join(str(part) for part in engine.dialect.server_version_info or ())
    return {
        "wechat_bot": version("wechat-bot"),
        "Python": platform.python_version(),
        "Flask": version("flask"),
        "SQLAlchemy": version("sqlalchemy"),
        engine.dialect.name: server,
    }


def _page(report: HealthReport) -> str:
    facts = report.diagnosis.facts or abort(503, _("数据库暂时连接不上，请过一会儿再试。"))
    return render_template(
        "admin/health/page.html",
        report=report,
        facts=facts,
        dots=_dots(facts.pushes),
        lines=[(_height(ms), label) for ms, label in ((10, "10 ms"), (100, "100 ms"), (1000, "1 s"))],
        limit=_height(LATE_MS),
        chart=CHART,
        late_ms=LATE_MS,
        outcomes=OUTCOMES,
        reasons=REASONS,
        features=FEATURES,
        media_states=MEDIA_STATES,
        explained=_explained,
        other=OTHER,
        Health=Health,
    )


def _dots(pushes: Sequence[Row[Any]]) -> list[Dot]:
    """The pushes from left to right as they came."""
    timed = [push for push in reversed(pushes) if push.latency_ms is not None]
    step = CHART[0] / (len(timed) + 1)
    return [
        Dot(round(step * number, 1), _height(push.latency_ms), push.latency_ms >= LATE_MS, push)
        for number, push in enumerate(timed, 1)
    ]


def _height(milliseconds: int) -> float:
    """How far below the upper edge, on a logarithmic scale."""
    share = math.log10(min(max(milliseconds, 1), 20_000)) / math.log10(20_000)
    return round(CHART[1] * (1 - share), 1)


def _explained(errcode: int, errmsg: str) -> Explanation | None:
    """What an errcode means; None for success."""
    if errcode == 0:
        return None
    return LOST if errcode == NO_ANSWER else explain(errcode, errmsg)


@bp.app_template_filter("localized")
def tell(value: Any) -> str:
    return localized(value)


@bp.app_template_filter("size")
def tell_size(count: int) -> str:
    """Bytes, such as 1.5 MB."""
    number = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TB"


def _as_json(report: HealthReport) -> dict[str, Any]:
    diagnosis = report.diagnosis
    facts = diagnosis.facts or abort(503, _("数据库暂时连接不上，请过一会儿再试。"))
    present, wanted = report.revisions
    return {
        "headline": diagnosis.headline.as_json(),
        "checks": [check.as_json() for check in diagnosis.checks],
        "pushes": [_row(push) for push in facts.pushes],
        "requests": [
            {
                "outcome": seen.outcome,
                "times": seen.times,
                "last_at": seen.last_at.isoformat(),
                "detail": seen.detail,
            }
            for seen in facts.requests.values()
        ],
        "calls": [
            _row(call)
            | {"meaning": (said := _explained(call.errcode, call.last_message)) and localized(said.meaning)}
            for call in facts.calls
        ],
        "messages": {"incoming": facts.backlog.incoming, "outgoing": facts.backlog.outgoing},
        "media": facts.backlog.media,
        "capabilities": {
            feature: {"allowed": permission.allowed, "reason": permission.reason}
            for feature, permission in report.permissions.items()
        },
        "workers": [{"name": worker.name, "seen_at": worker.seen_at.isoformat()} for worker in facts.workers],
        "database": {"size": report.database_size, "revision": present, "wanted_revision": wanted},
        "free_space": report.free_space,
        "versions": report.versions,
    }


def _row(row: Row[Any]) -> dict[str, Any]:
    """A row without what followers or the platform wrote."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in row._mapping.items()
        if name != "last_message"
    }
