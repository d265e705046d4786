"""The health page: state of the connection with the platform, findings of the doctor, and permissions."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import Blueprint, abort, current_app, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy import Engine, Row

from ...extensions import db
from ...models import HandlerProcess, Role
from ...services.accounts.capabilities import Feature, Permission, PermissionReason
from ...services.health import status as service
from ...services.health.call_stats import NO_ANSWER, OTHER, PARTLY_UNDERSTOOD, PROGRAM_FAULT, VERIFIED
from ...services.health.checks import FEATURES, localized
from ...services.health.doctor import LATE_MS, MAX_QUEUE_SECONDS, Diagnosis, RequestOrigin, is_crowded
from ...services.health.status import SlowHandlers, Snapshot
from ...wechat.errcodes import Explanation, explain
from ...wechat.errors import APIError, Refusal
from ...wiring import services
from ..health import is_loopback
from ..shared.labels import PERMISSION_REASONS, SEND_REASONS
from ..shared.problems import NO_RESPONSE, describe_error
from .access import actor, role
from .devices import address

bp = Blueprint("health", __name__)
bp.add_app_template_filter(localized)

USED_UP = 45009
"""The errcode of calls whose daily quota is used up."""
MAX_ROWS = 20
"""Upper limit of the listed unsent messages, and of the files that could not be fetched."""

OUTCOMES = {
    VERIFIED: lazy_gettext("验证了服务器地址"),
    PARTLY_UNDERSTOOD: lazy_gettext("收下了，只看懂一部分"),
    PROGRAM_FAULT: lazy_gettext("程序出错"),
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
MEDIA_STATES = {"wanted": lazy_gettext("待取回"), "failed": lazy_gettext("失败")}
CHOICES = {"yes": True, "no": False, "auto": None}

CHART = (640, 180)
"""Width and height of the chart in pixels. Its lower edge is 1 ms, its upper edge 20 s."""
LONGEST_WAIT = 15
"""Upper end of the scale for ages and run times, in seconds: for so long the platform waits for an answer."""


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    late: bool
    push: Row[Any]


@dataclass(frozen=True)
class Meter:
    """A figure that is drawn as a bar from 0 to `end`."""

    label: str
    value: float
    end: float
    text: str
    alarm: bool = False


@dataclass(frozen=True)
class HealthReport:
    diagnosis: Diagnosis
    unsent: Sequence[Row[Any]]
    unfetched: Sequence[Row[Any]]
    permissions: dict[Feature, Permission]
    quota_clears_left: int
    database_size: int
    free_space: int
    revisions: tuple[str | None, str | None]
    versions: dict[str, str]


@bp.get("/health")
def show() -> ResponseReturnValue:
    return _page(_report(online=False))


@bp.post("/health")
def check() -> ResponseReturnValue:
    """Render the page after checks that call the platform."""
    return _page(_report(online=True))


@bp.get("/health.json")
def show_json() -> ResponseReturnValue:
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
    return redirect(url_for("admin.health.show", _anchor="capabilities"), 303)


@bp.post("/health/quotas")
@role(Role.ADMIN)
def clear_quotas() -> ResponseReturnValue:
    if services().client is None:
        abort(409, str(SEND_REASONS[PermissionReason.NO_SECRET]))
    try:
        services().quotas.clear(actor())
        flash(_("各接口当天的调用次数已清零。"), "success")
    except APIError as error:
        flash(describe_error(error.errcode, error.errmsg), "error")
    return redirect(url_for("admin.health.show", _anchor="calls"), 303)


def _report(*, online: bool) -> HealthReport:
    capabilities = services().capabilities
    origin = RequestOrigin(request.is_secure, is_loopback(address()), "X-Forwarded-For" in request.headers)
    diagnosis = services().doctor.diagnose(online=online, origin=origin)
    connection = db.session.connection()
    return HealthReport(
        diagnosis,
        service.unsent(connection, services().account_id, MAX_ROWS),
        service.failed_downloads(connection, services().account_id, MAX_ROWS),
        capabilities.all(services().account_id),
        services().quotas.clears_left(),
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


def _facts(report: HealthReport) -> Snapshot:
    return report.diagnosis.snapshot or abort(503, _("数据库暂时连接不上，请过一会儿再试。"))


def _page(report: HealthReport) -> str:
    facts = _facts(report)
    return render_template(
        "admin/health/page.html",
        report=report,
        facts=facts,
        dots=_dots(facts.pushes),
        lines=[(_height(ms), label) for ms, label in ((10, "10 ms"), (100, "100 ms"), (1000, "1 s"))],
        limit=_height(LATE_MS),
        chart=CHART,
        meters=_meters(facts.slow_handlers),
        max_queue_seconds=MAX_QUEUE_SECONDS,
        longest_wait=LONGEST_WAIT,
        late_ms=LATE_MS,
        outcomes=OUTCOMES,
        reasons=PERMISSION_REASONS,
        features=FEATURES,
        media_states=MEDIA_STATES,
        explained=_explained,
        is_used_up=any(call.errcode == USED_UP for call in facts.calls),
        other=OTHER,
    )


def _dots(pushes: Sequence[Row[Any]]) -> list[Dot]:
    """Return the pushes as points of the chart, oldest first."""
    timed = [push for push in reversed(pushes) if push.latency_ms is not None]
    step = CHART[0] / (len(timed) + 1)
    return [
        Dot(round(step * number, 1), _height(push.latency_ms), push.latency_ms >= LATE_MS, push)
        for number, push in enumerate(timed, 1)
    ]


def _height(milliseconds: int) -> float:
    """Return the distance from the upper edge in pixels, on a logarithmic scale."""
    share = math.log10(min(max(milliseconds, 1), 20_000)) / math.log10(20_000)
    return round(CHART[1] * (1 - share), 1)


def _meters(slow: SlowHandlers) -> list[Meter]:
    """Return the figures of slow handlers. The bar of the queue is full when it is as long as all places."""
    running, places = slow.running, slow.max_running
    waiting, limit = (slow.fullest.waiting, slow.fullest.max_waiting) if slow.fullest else (0, 0)
    delay, oldest, p95 = slow.oldest_queued, slow.oldest, (slow.p95_ms or 0) / 1000
    return [
        Meter(_("正在运行"), running, places, f"{running:,} / {places:,}", is_crowded(running, places)),
        Meter(_("推送在等回答"), waiting, limit, f"{waiting:,} / {limit:,}", is_crowded(waiting, limit)),
        Meter(_("排队的消息"), slow.queued, places, f"{slow.queued:,}"),
        Meter(_("排队最久"), delay, MAX_QUEUE_SECONDS, _seconds(delay), delay >= MAX_QUEUE_SECONDS),
        Meter(_("最早还没回答"), oldest, LONGEST_WAIT, _seconds(oldest)),
        Meter(_("运行用时 p95"), p95, LONGEST_WAIT, _seconds(p95)),
    ]


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds else "–"


def _explained(errcode: int, errmsg: str) -> Explanation | None:
    """Return the meaning of an errcode; None for success."""
    if errcode == 0:
        return None
    return NO_RESPONSE if errcode == NO_ANSWER else explain(errcode, errmsg)


@bp.app_template_filter("size")
def format_size(count: int) -> str:
    """Format a number of bytes, such as 1.5 MB."""
    number = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TB"


def _as_json(report: HealthReport) -> dict[str, Any]:
    facts = _facts(report)
    present, wanted = report.revisions
    return {
        "headline": report.diagnosis.headline.as_json(),
        "checks": [check.as_json() for check in report.diagnosis.checks],
        "pushes": [_row(push) for push in facts.pushes],
        "requests": [_row(seen, "outcome", "times", "last_at", "detail") for seen in facts.requests.values()],
        "calls": [
            _row(call)
            | {"meaning": (said := _explained(call.errcode, call.last_message)) and localized(said.meaning)}
            for call in facts.calls
        ],
        "slow_handlers": _slow_handlers_as_json(facts.slow_handlers),
        "messages": {"incoming": facts.backlog.incoming, "outgoing": facts.backlog.outgoing},
        "media": facts.backlog.media,
        "capabilities": {
            feature: {"allowed": permission.allowed, "reason": permission.reason}
            for feature, permission in report.permissions.items()
        },
        "workers": [_row(worker, "name", "seen_at") for worker in facts.workers],
        "database": {"size": report.database_size, "revision": present, "wanted_revision": wanted},
        "quota_clears_left": report.quota_clears_left,
        "free_space": report.free_space,
        "versions": report.versions,
    }


def _slow_handlers_as_json(slow: SlowHandlers) -> dict[str, Any]:
    counts = ("running", "max_running", "waiting", "max_waiting", "queued")
    times = ("oldest", "oldest_queued", "p95_ms")
    processes = [_row(process, *HandlerProcess.__table__.columns.keys()) for process in slow.processes]
    return _row(slow, *counts, *times) | {"processes": processes}


def _row(row: Any, *names: str) -> dict[str, Any]:
    """Return the named columns as JSON values; by default all but the text of the platform."""
    values = {name: getattr(row, name) for name in names or row._fields if name != "last_message"}
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in values.items()
    }
