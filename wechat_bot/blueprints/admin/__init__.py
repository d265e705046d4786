"""The console: web pages on which operators read and answer messages.

Each module of a page has a blueprint of its own, nested in `bp`. What is registered on `bp` applies to all.
"""

from functools import partial

from flask import Blueprint
from flask_babel import lazy_gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from ...models import Role
from ...services.operators.management import OperatorError
from . import access, audit, health, layout, media, messages, operators, profile, sign_in
from .conversations import answers, canned_replies
from .conversations import views as conversations
from .followers import sync
from .followers import views as followers
from .layout import NavigationItem

bp = Blueprint("admin", __name__, url_prefix="/admin", template_folder="templates", static_folder="static")

NAVIGATION = (
    NavigationItem("admin.conversations.index", "messages", lazy_gettext("对话"), "c"),
    NavigationItem("admin.messages.index", "history", lazy_gettext("消息"), "m"),
    NavigationItem("admin.followers.index", "users", lazy_gettext("粉丝"), "f"),
    NavigationItem("admin.canned_replies.index", "message-2", lazy_gettext("话术"), "r", Role.OPERATOR),
    NavigationItem("admin.health.show", "heartbeat", lazy_gettext("健康"), "h"),
    NavigationItem("admin.operators.index", "users-group", lazy_gettext("操作员"), "o", Role.ADMIN),
    NavigationItem("admin.audit.index", "shield-lock", lazy_gettext("审计"), "a", Role.ADMIN),
    NavigationItem("admin.profile.show", "settings", lazy_gettext("我的设置"), "s"),
)

bp.before_request(access.guard)
bp.after_request(access.keep_out_of_caches)
bp.register_error_handler(HTTPException, access.explain_error)
bp.register_error_handler(CSRFError, access.refuse_forgery)
bp.register_error_handler(OperatorError, access.explain_problem)
bp.context_processor(partial(layout.inject_layout, NAVIGATION))
bp.context_processor(media.inject_media)
bp.add_url_rule("/", view_func=layout.home)
bp.add_url_rule("/live", view_func=layout.live)
bp.add_url_rule("/<path:path>", view_func=layout.missing)

for page in (
    sign_in,
    conversations,
    answers,
    canned_replies,
    messages,
    media,
    followers,
    sync,
    health,
    operators,
    audit,
    profile,
):
    bp.register_blueprint(page.bp)
