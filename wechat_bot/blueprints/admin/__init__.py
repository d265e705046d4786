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
from . import (
    access,
    audit,
    first_steps,
    handover,
    health,
    importer,
    layout,
    library,
    materials,
    media,
    messages,
    model_answers,
    operators,
    personal_data,
    profile,
    questions,
    sign_in,
)
from .alerts import views as alerts
from .answers import editor as answer_editor
from .answers import files as answer_files
from .assistant import views as assistant
from .conversations import canned_replies, outgoing, saved_views
from .conversations import views as conversations
from .evaluations import runs as evaluation_runs
from .evaluations import views as evaluations
from .followers import sync
from .followers import views as followers
from .knowledge import documents, pairs
from .layout import NavigationItem
from .menus import conditional as conditional_menus
from .menus import publication as menu_publication
from .menus import views as menus
from .rules import editor as rule_editor
from .rules import menu_keys
from .rules import testing as rule_bench
from .rules import views as rules
from .scenarios import views as scenarios

bp = Blueprint("admin", __name__, url_prefix="/admin", template_folder="templates", static_folder="static")

NAVIGATION = (
    NavigationItem("admin.conversations.index", "messages", lazy_gettext("对话"), "c"),
    NavigationItem("admin.messages.index", "history", lazy_gettext("消息"), "m"),
    NavigationItem("admin.followers.index", "users", lazy_gettext("粉丝"), "f"),
    NavigationItem("admin.rules.index", "robot", lazy_gettext("自动回复"), "b"),
    NavigationItem(
        "admin.assistant.show",
        "sparkles",
        lazy_gettext("AI 助手"),
        "i",
        Role.OPERATOR,
        ("knowledge", "questions", "evaluations", "model-answers"),
    ),
    NavigationItem("admin.menus.show", "hand-click", lazy_gettext("菜单"), "u"),
    NavigationItem("admin.canned_replies.index", "message-2", lazy_gettext("话术"), "r", Role.OPERATOR),
    NavigationItem(
        "admin.handover.show", "user-check", lazy_gettext("转人工"), "t", Role.OPERATOR, ("alerts",)
    ),
    NavigationItem("admin.library.index", "photo", lazy_gettext("素材"), "l"),
    NavigationItem("admin.health.show", "heartbeat", lazy_gettext("健康"), "h"),
    NavigationItem("admin.operators.index", "users-group", lazy_gettext("操作员"), "o", Role.ADMIN),
    NavigationItem(
        "admin.audit.index", "shield-lock", lazy_gettext("审计"), "a", Role.ADMIN, ("personal-data",)
    ),
    NavigationItem("admin.profile.show", "settings", lazy_gettext("我的设置"), "s"),
)

bp.before_request(access.guard)
bp.after_request(access.keep_out_of_caches)
bp.register_error_handler(HTTPException, access.explain_error)
bp.register_error_handler(CSRFError, access.refuse_forgery)
bp.register_error_handler(OperatorError, access.explain_problem)
bp.context_processor(partial(layout.inject_layout, NAVIGATION))
bp.context_processor(media.inject_media)
bp.context_processor(model_answers.inject_model_answers)
bp.context_processor(first_steps.inject_first_steps)
bp.add_url_rule("/", view_func=layout.home)
bp.add_url_rule("/live", view_func=layout.live)
bp.add_url_rule("/live/waiting", view_func=layout.waiting)
bp.add_url_rule("/<path:path>", view_func=layout.missing)

for page in (
    sign_in,
    first_steps,
    conversations,
    outgoing,
    canned_replies,
    saved_views,
    menus,
    menu_publication,
    conditional_menus,
    importer,
    answer_editor,
    answer_files,
    rules,
    rule_editor,
    menu_keys,
    rule_bench,
    scenarios,
    assistant,
    handover,
    pairs,
    documents,
    questions,
    evaluations,
    evaluation_runs,
    messages,
    model_answers,
    media,
    library,
    materials,
    followers,
    sync,
    alerts,
    health,
    operators,
    audit,
    personal_data,
    profile,
):
    bp.register_blueprint(page.bp)
