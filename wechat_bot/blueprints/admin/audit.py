"""The audit log: who did what, newest first; for admins."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone, lazy_gettext
from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from ...extensions import db
from ...models import AuditEntry, Operator, Role
from ...services.audit import note
from ...services.messages.export import csv_lines
from ...services.messages.history import midnight
from . import bp
from .access import actor, role
from .messages import chosen_filter, cursor, link

PAGE_SIZE = 50
BATCH_SIZE = 1000
"""So many entries of a download are in memory."""
COLUMNS = ("id", "at", "operator", "action", "subject", "before", "after", "address", "detail")

ACTIONS = {
    "sign_in": lazy_gettext("登录"),
    "sign_in_failed": lazy_gettext("登录失败"),
    "locked_out": lazy_gettext("尝试太多，暂停登录"),
    "sign_out": lazy_gettext("退出登录"),
    "signed_out_everywhere": lazy_gettext("退出所有浏览器"),
    "session_revoked": lazy_gettext("撤销登录"),
    "operator_created": lazy_gettext("创建操作员"),
    "operator_disabled": lazy_gettext("停用操作员"),
    "operator_enabled": lazy_gettext("启用操作员"),
    "role_changed": lazy_gettext("更改角色"),
    "password_reset": lazy_gettext("重置密码"),
    "password_changed": lazy_gettext("更换密码"),
    "second_factor_on": lazy_gettext("打开两步验证"),
    "second_factor_off": lazy_gettext("关闭两步验证"),
    "recovery_code_used": lazy_gettext("使用恢复码"),
    "alias_changed": lazy_gettext("更改备注名"),
    "tag_added": lazy_gettext("加标签"),
    "tag_removed": lazy_gettext("去掉标签"),
    "sync_started": lazy_gettext("同步粉丝"),
    "status_changed": lazy_gettext("更改对话状态"),
    "assigned": lazy_gettext("分配对话"),
    "starred": lazy_gettext("加星标"),
    "note_added": lazy_gettext("写笔记"),
    "answered": lazy_gettext("回复粉丝"),
    "withdrawn": lazy_gettext("撤回回复"),
    "sent_again": lazy_gettext("重发回复"),
    "canned_saved": lazy_gettext("保存话术"),
    "canned_removed": lazy_gettext("删除话术"),
    "raw_viewed": lazy_gettext("查看原始消息"),
    "exported": lazy_gettext("导出"),
    "media_retried": lazy_gettext("重新取回媒体"),
    "capability_changed": lazy_gettext("更改接口权限"),
    "audit_exported": lazy_gettext("导出审计记录"),
}
WITH_BROWSER = {"sign_in", "sign_out", "session_revoked"}
"""Actions whose detail is a User-Agent."""


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are asked for; days are the operator's."""

    operator: str
    action: str
    subject: str
    since: date | None
    until: date | None

    def select(self) -> Select[Any]:
        conditions = [
            column == value
            for column, value in (
                (AuditEntry.operator, self.operator),
                (AuditEntry.action, self.action),
                (AuditEntry.subject, self.subject),
            )
            if value
        ]
        if self.since:
            conditions.append(AuditEntry.at >= midnight(self.since, get_timezone()))
        if self.until:
            conditions.append(AuditEntry.at < midnight(self.until + timedelta(days=1), get_timezone()))
        return select(AuditEntry).where(*conditions).order_by(AuditEntry.id.desc())


@bp.get("/audit")
@role(Role.ADMIN)
def audit() -> ResponseReturnValue:
    chosen, position = _chosen(), cursor("before")
    found = chosen.select().limit(PAGE_SIZE + 1)
    if position:
        found = found.where(AuditEntry.id < position["before"])
    entries = db.session.scalars(found).all()
    page = entries[:PAGE_SIZE]
    everybody = select(Operator.id, Operator.name).order_by(Operator.name)
    return render_template(
        "admin/audit.html",
        entries=page,
        chosen=chosen,
        actions=ACTIONS,
        with_browser=WITH_BROWSER,
        operators={row.id: row.name for row in db.session.execute(everybody)},
        first=position and link(),
        older=len(entries) > PAGE_SIZE and link(before=page[-1].id),
    )


@bp.get("/audit.csv")
@role(Role.ADMIN)
def audit_csv() -> ResponseReturnValue:
    found, zone, query = _chosen().select(), get_timezone(), request.query_string.decode(errors="replace")
    engine = db.engine
    note(engine, actor(), "audit_exported", detail=query[:1000])

    def lines() -> Iterator[str]:
        yield csv_lines([COLUMNS])
        for entries in _batches(engine, found):
            yield csv_lines(_values(entry, zone) for entry in entries)

    headers = {"Content-Disposition": "attachment; filename=audit.csv"}
    return Response(lines(), mimetype="text/csv", headers=headers)


def _chosen() -> AuditFilter:
    """What the query string asks for; 400 with a sentence when that makes no sense."""
    period = chosen_filter()  # days mean what they mean in the history
    words = {
        name: request.args.get(name, "").replace("\x00", "").strip()
        for name in ("operator", "action", "subject")
    }
    return AuditFilter(**words, since=period.since, until=period.until)


def _batches(engine: Engine, found: Select[Any]) -> Iterator[Sequence[AuditEntry]]:
    """Every entry, without a transaction that lasts as long as the download."""
    batch = found.limit(BATCH_SIZE)
    while True:
        with Session(engine) as session:
            entries = session.scalars(batch).all()
        yield entries
        if len(entries) < BATCH_SIZE:
            return
        batch = found.where(AuditEntry.id < entries[-1].id).limit(BATCH_SIZE)


def _values(entry: AuditEntry, zone: tzinfo) -> Iterator[Any]:
    for name in COLUMNS:
        value = getattr(entry, name)
        if isinstance(value, datetime):
            yield value.astimezone(zone).isoformat()
        elif value is None or isinstance(value, (int, str)):
            yield value
        else:
            yield json.dumps(value, ensure_ascii=False)
