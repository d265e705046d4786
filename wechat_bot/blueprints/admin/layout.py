"""What every page of the console has around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import g, jsonify, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext
from flask_login import current_user
from sqlalchemy import func, select

from ...extensions import db
from ...models import Conversation, ConversationStatus, Direction, Mention, MessageLog, MessageState, Role
from ...wiring import services
from . import bp

MAX_BADGE = 100
"""Badges show no more than one less."""


@dataclass(frozen=True)
class NavigationItem:
    """An entry of the navigation; `section` names the pages that belong to it."""

    section: str
    endpoint: str
    icon: str
    label: Any
    key: str = ""
    role: Role = Role.VIEWER


NAVIGATION = (
    NavigationItem("conversations", "admin.conversations", "messages", lazy_gettext("对话"), "c"),
    NavigationItem("messages", "admin.messages", "history", lazy_gettext("消息"), "m"),
    NavigationItem("followers", "admin.followers", "users", lazy_gettext("粉丝"), "f"),
    NavigationItem("canned", "admin.canned", "message-2", lazy_gettext("话术"), "r", Role.OPERATOR),
    NavigationItem("health", "admin.health", "heartbeat", lazy_gettext("健康"), "h"),
    NavigationItem("operators", "admin.operators", "users-group", lazy_gettext("操作员"), "o", Role.ADMIN),
    NavigationItem("audit", "admin.audit", "shield-lock", lazy_gettext("审计"), "a", Role.ADMIN),
    NavigationItem("profile", "admin.profile", "settings", lazy_gettext("我的设置"), "s"),
)

SHORTCUTS = (
    ("?", lazy_gettext("这张表")),
    ("/", lazy_gettext("搜索")),
    ("g c", lazy_gettext("去对话")),
    ("g m", lazy_gettext("去消息")),
    ("g f", lazy_gettext("去粉丝")),
    ("g h", lazy_gettext("去健康")),
    ("g s", lazy_gettext("去设置")),
    ("j", lazy_gettext("下一行")),
    ("k", lazy_gettext("上一行")),
    ("Enter", lazy_gettext("打开")),
    ("[", lazy_gettext("更新的一页")),
    ("]", lazy_gettext("更早的一页")),
    ("r", lazy_gettext("写回复")),
    ("n", lazy_gettext("写内部笔记")),
    ("e", lazy_gettext("标记为已处理")),
    ("a", lazy_gettext("分配给我")),
    ("t", lazy_gettext("加标签")),
    ("Ctrl Enter", lazy_gettext("提交正在写的内容")),
    ("Ctrl K", lazy_gettext("命令面板")),
    ("Esc", lazy_gettext("关闭")),
)

WORDS: dict[str, dict[str, Any]] = {
    "directions": {Direction.IN: lazy_gettext("收到"), Direction.OUT: lazy_gettext("发出")},
    "kinds": {
        "text": lazy_gettext("文本"),
        "image": lazy_gettext("图片"),
        "voice": lazy_gettext("语音"),
        "video": lazy_gettext("视频"),
        "shortvideo": lazy_gettext("小视频"),
        "location": lazy_gettext("位置"),
        "link": lazy_gettext("链接"),
        "file": lazy_gettext("文件"),
        "event": lazy_gettext("事件"),
        "news": lazy_gettext("图文"),
        "music": lazy_gettext("音乐"),
        "msgmenu": lazy_gettext("菜单消息"),
    },
    "events": {
        "subscribe": lazy_gettext("关注"),
        "unsubscribe": lazy_gettext("取消关注"),
        "scan": lazy_gettext("扫码"),
        "click": lazy_gettext("点击菜单"),
        "view": lazy_gettext("打开链接"),
        "location": lazy_gettext("上报位置"),
        "templatesendjobfinish": lazy_gettext("模板消息结果"),
        "masssendjobfinish": lazy_gettext("群发结果"),
    },
    "states": {
        MessageState.RECEIVED: lazy_gettext("处理中"),
        MessageState.ANSWERED: lazy_gettext("已回应"),
        MessageState.LATE: lazy_gettext("迟到"),
        MessageState.FAILED: lazy_gettext("失败"),
        MessageState.READY: lazy_gettext("待领取"),
        MessageState.QUEUED: lazy_gettext("排队"),
        MessageState.SENDING: lazy_gettext("发送中"),
        MessageState.SENT: lazy_gettext("已发出"),
        MessageState.UNKNOWN: lazy_gettext("结果未知"),
        MessageState.WITHDRAWN: lazy_gettext("已撤回"),
    },
    "statuses": {
        ConversationStatus.OPEN: lazy_gettext("待处理"),
        ConversationStatus.WAITING: lazy_gettext("等待对方"),
        ConversationStatus.DONE: lazy_gettext("已处理"),
    },
}
"""What the program's own words are called on pages."""


def catch_up() -> None:
    """Let lists and searches know every message that is recorded; what is missing is told on the page."""
    digest = services().projector
    g.behind = digest.catch_up(seconds=1)


def counts() -> dict[str, int]:
    """The numbers beside the navigation, and the newest message; asked for once, by pages that show them."""
    if "counts" not in g:
        g.counts = _counts()
    counted: dict[str, int] = g.counts
    return counted


def _counts() -> dict[str, int]:
    open_threads = (
        select(Conversation.follower_id)
        .where(Conversation.status == ConversationStatus.OPEN)
        .limit(MAX_BADGE)
        .subquery()
    )
    unseen = Mention.operator_id == current_user.id, Mention.seen_at.is_(None)
    row = db.session.execute(
        select(
            select(func.count()).select_from(open_threads).scalar_subquery().label("open"),
            select(func.count()).select_from(Mention).where(*unseen).scalar_subquery().label("mentions"),
            select(func.max(MessageLog.id)).scalar_subquery().label("newest"),
        )
    ).one()
    return {"open": row.open, "mentions": row.mentions, "newest": row.newest or 0}


@bp.context_processor
def inject_layout() -> dict[str, Any]:
    if not current_user.is_authenticated:
        return {"theme": "auto"}
    return {
        "theme": current_user.theme,
        "navigation": [item for item in NAVIGATION if Role(current_user.role).includes(item.role)],
        "section": request.path.removeprefix(bp.url_prefix or "").split("/")[1].partition(".")[0],
        "shortcuts": SHORTCUTS,
        "words": WORDS,
        "counts": counts,
        "behind": g.get("behind", 0),
        "can_work": Role(current_user.role).includes(Role.OPERATOR),
        "is_admin": Role(current_user.role).includes(Role.ADMIN),
    }


@bp.get("/live")
def live() -> ResponseReturnValue:
    """What changes while a page is open: the badges, and the newest message."""
    doctor = services().doctor
    return jsonify(problems=doctor.problems(), **counts())
