"""Layout of the console's pages: navigation, badges, shortcuts, and the template variables of all pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from flask import abort, current_app, g, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_login import current_user
from sqlalchemy import ScalarSelect, func, select
from werkzeug.exceptions import MethodNotAllowed

from ...extensions import db
from ...models import Conversation, ConversationStatus, Follower, Mention, MessageLog, Note, Role
from ...security import SAFE_METHODS
from ...services.conversations.filters import ConversationFilter, Tab
from ...services.conversations.queries import unseen_mentions
from ...services.outbox.sending import UNDO_SECONDS
from ...wiring import services
from ..shared.display import name as name_of
from ..shared.labels import HANDOVERS, ROLES, WORDS
from .paging import link

MAX_BADGE = 100
"""Upper limit of a counted badge; the page shows 99+ for it."""
MAX_NOTIFICATION = 200
"""Maximum number of characters that a notification shows of a message."""


@dataclass(frozen=True)
class NavigationItem:
    endpoint: str
    icon: str
    label: Any
    key: str = ""
    """The second key of the shortcut ``g …``."""
    role: Role = Role.VIEWER
    more: tuple[str, ...] = ()
    """Where other pages of the section are, such as ``knowledge`` for ``/admin/knowledge``."""

    @property
    def section(self) -> str:
        """The name of the entry's subject, which is that of its blueprint."""
        return self.endpoint.split(".")[1]


SHORTCUTS = (
    ("?", lazy_gettext("这张表")),
    ("/", lazy_gettext("搜索")),
    ("g c", lazy_gettext("去对话")),
    ("g m", lazy_gettext("去消息")),
    ("g f", lazy_gettext("去粉丝")),
    ("g b", lazy_gettext("去自动回复")),
    ("g i", lazy_gettext("去 AI 助手")),
    ("g l", lazy_gettext("去素材")),
    ("g h", lazy_gettext("去健康")),
    ("g s", lazy_gettext("去设置")),
    ("j", lazy_gettext("下一行")),
    ("k", lazy_gettext("上一行")),
    ("Enter", lazy_gettext("打开")),
    ("[", lazy_gettext("更新的一页")),
    ("]", lazy_gettext("更早的一页")),
    ("r", lazy_gettext("写回复")),
    ("n", lazy_gettext("写内部笔记")),
    ("o", lazy_gettext("接手对话")),
    ("e", lazy_gettext("标记为已处理")),
    ("a", lazy_gettext("分配给我")),
    ("t", lazy_gettext("加标签")),
    ("f", lazy_gettext("在对话里查找")),
    ("Ctrl Enter", lazy_gettext("提交正在写的内容")),
    ("Ctrl Shift Enter", lazy_gettext("发送并处理")),
    ("Ctrl K", lazy_gettext("命令面板")),
    ("Esc", lazy_gettext("关闭")),
)


def catch_up() -> None:
    """Update the projections that lists and searches read, for one second at most.

    The page shows how many messages they still lack.
    """
    g.behind = services().projector.catch_up_for_page(seconds=1)


def counts() -> dict[str, int]:
    """Return the numbers of the navigation's badges and the newest message's id, read once a request."""
    found: dict[str, int] | None = g.get("counts")
    if found is None:
        g.counts = found = _count()
    return found


def _count() -> dict[str, int]:
    account_id = services().account_id
    mentions = select(func.count()).select_from(Mention).join(Note).join(Follower)
    mentions = mentions.where(*unseen_mentions(current_user.id), Follower.account_id == account_id)
    row = db.session.execute(
        select(
            *(_badge(tab).label(tab.value) for tab in (Tab.OPEN, Tab.UNASSIGNED, Tab.MINE)),
            mentions.scalar_subquery().label("mentions"),
            func.coalesce(select(func.max(MessageLog.id)).scalar_subquery(), 0).label("newest"),
        )
    ).one()
    return dict(row._mapping)


def _badge(tab: Tab) -> ScalarSelect[int]:
    """Count the conversations of a tab, up to `MAX_BADGE`."""
    conditions = ConversationFilter(tab).conditions(services().account_id, current_user.id)
    found = select(Conversation.follower_id).where(*conditions).limit(MAX_BADGE).subquery()
    return select(func.count()).select_from(found).scalar_subquery()


def inject_layout(navigation: Iterable[NavigationItem]) -> dict[str, Any]:
    if not current_user.is_authenticated:
        return {"current_user": current_user, "theme": "auto"}
    return {
        "current_user": current_user,
        "roles": ROLES,
        "theme": current_user.theme,
        "navigation": [item for item in navigation if Role(current_user.role).includes(item.role)],
        "section": _section(navigation),
        "shortcuts": SHORTCUTS,
        "words": WORDS,
        "handovers": HANDOVERS,
        "counts": counts,
        "link": link,
        "behind": g.get("behind", 0),
        "undo_seconds": UNDO_SECONDS,
        "can_work": Role(current_user.role).includes(Role.OPERATOR),
        "is_admin": Role(current_user.role).includes(Role.ADMIN),
    }


def _section(navigation: Iterable[NavigationItem]) -> str:
    """Return the section of the entry of which an address is the requested one, or above it."""
    path = f"{request.script_root}{request.path}/"
    for each in navigation:
        addresses = (url_for(each.endpoint), *(f"{url_for('admin.home')}{name}" for name in each.more))
        if any(path.startswith(f"{address}/") for address in addresses):
            return each.section
    return ""


def home() -> ResponseReturnValue:
    return redirect(url_for("admin.conversations.index"))


def live() -> ResponseReturnValue:
    """Return what an open page polls: the badges, and the newest message's id."""
    return jsonify(problems=services().doctor.problems(), **counts())


def waiting() -> ResponseReturnValue:
    """Return what a notification says of the conversation that began to wait last; 204 if none waits.

    What the follower wrote is only told to operators who want notifications to show it.
    """
    found = (
        select(Follower.id, Follower.openid, Follower.alias, MessageLog.kind, MessageLog.text)
        .join(Conversation, Conversation.follower_id == Follower.id)
        .join(MessageLog, MessageLog.id == Conversation.last_in_id)
        .where(
            Conversation.account_id == services().account_id,
            Conversation.status == ConversationStatus.OPEN,
            Conversation.waiting_since.is_not(None),
        )
        .order_by(Conversation.waiting_since.desc(), Follower.id.desc())
    )
    row = db.session.execute(found.limit(1)).one_or_none()
    if row is None:
        return "", 204
    text = row.text[:MAX_NOTIFICATION] or f"[{WORDS['kinds'].get(row.kind, row.kind)}]"
    return jsonify(
        title=name_of(row),
        text=text if current_user.notification_text else _("有新的待处理对话"),
        url=url_for("admin.conversations.show", follower_id=row.id),
    )


def missing(path: str) -> NoReturn:
    """Make an unknown address an error of the console, so that it is shown within its layout.

    Addresses that take another method come here, too, because this view takes GET for all.
    """
    adapter = current_app.create_url_adapter(request)
    methods = set(adapter.allowed_methods()) - SAFE_METHODS if adapter else set()
    if methods:
        raise MethodNotAllowed(sorted(methods))
    abort(404)
