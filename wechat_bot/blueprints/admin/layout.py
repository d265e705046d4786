"""Layout of the console's pages: navigation, badges, shortcuts, and the template variables of all pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from flask import abort, current_app, g, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext
from flask_login import current_user
from sqlalchemy import func, select
from werkzeug.exceptions import MethodNotAllowed

from ...extensions import db
from ...models import Conversation, ConversationStatus, Mention, MessageLog, Role
from ...security import SAFE_METHODS
from ...services.conversations.queries import unseen_mentions
from ...services.outbox.sending import UNDO_SECONDS
from ...wiring import services
from ..shared.labels import ROLES, WORDS
from .paging import link

MAX_BADGE = 100
"""Upper limit of a counted badge; the page shows 99+ for it."""


@dataclass(frozen=True)
class NavigationItem:
    endpoint: str
    icon: str
    label: Any
    key: str = ""
    """The second key of the shortcut ``g …``."""
    role: Role = Role.VIEWER

    @property
    def section(self) -> str:
        """The name of the blueprint whose pages belong to the entry."""
        return self.endpoint.split(".")[1]


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


def catch_up() -> None:
    """Update the projections that lists and searches read, for one second at most.

    The page shows how many messages they still lack.
    """
    g.behind = services().projector.catch_up(seconds=1)


def counts() -> dict[str, int]:
    """Return the numbers of the navigation's badges and the newest message's id, read once a request."""
    found: dict[str, int] | None = g.get("counts")
    if found is None:
        g.counts = found = _count()
    return found


def _count() -> dict[str, int]:
    open_conversations = (
        select(Conversation.follower_id)
        .where(Conversation.status == ConversationStatus.OPEN)
        .limit(MAX_BADGE)
        .subquery()
    )
    unseen = unseen_mentions(current_user.id)
    row = db.session.execute(
        select(
            select(func.count()).select_from(open_conversations).scalar_subquery().label("open"),
            select(func.count()).select_from(Mention).where(*unseen).scalar_subquery().label("mentions"),
            select(func.max(MessageLog.id)).scalar_subquery().label("newest"),
        )
    ).one()
    return {"open": row.open, "mentions": row.mentions, "newest": row.newest or 0}


def inject_layout(navigation: Iterable[NavigationItem]) -> dict[str, Any]:
    if not current_user.is_authenticated:
        return {"current_user": current_user, "theme": "auto"}
    return {
        "current_user": current_user,
        "roles": ROLES,
        "theme": current_user.theme,
        "navigation": [item for item in navigation if Role(current_user.role).includes(item.role)],
        "section": (request.blueprint or "").rpartition(".")[2],
        "shortcuts": SHORTCUTS,
        "words": WORDS,
        "counts": counts,
        "link": link,
        "behind": g.get("behind", 0),
        "undo_seconds": UNDO_SECONDS,
        "can_work": Role(current_user.role).includes(Role.OPERATOR),
        "is_admin": Role(current_user.role).includes(Role.ADMIN),
    }


def home() -> ResponseReturnValue:
    return redirect(url_for("admin.conversations.index"))


def live() -> ResponseReturnValue:
    """Return what an open page polls: the badges, and the newest message's id."""
    return jsonify(problems=services().doctor.problems(), **counts())


def missing(path: str) -> NoReturn:
    """Make an unknown address an error of the console, so that it is shown within its layout.

    Addresses that take another method come here, too, because this view takes GET for all.
    """
    adapter = current_app.create_url_adapter(request)
    methods = set(adapter.allowed_methods()) - SAFE_METHODS if adapter else set()
    if methods:
        raise MethodNotAllowed(sorted(methods))
    abort(404)
