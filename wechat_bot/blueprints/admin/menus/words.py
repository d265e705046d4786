"""Sentences about menus: kinds of buttons, faults, differences, states and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....models import MenuState
from ....services.accounts.capabilities import PermissionReason
from ....services.menus.audiences import Audience
from ....services.menus.buttons import KINDS
from ....services.menus.checks import Fault, Finding
from ....services.menus.comparison import Change, ChangeKind
from ....services.menus.decisions import DIFFERS, NOT_READ_BACK, UNREADABLE
from ....wechat.api.menu import Button
from ...shared.labels import SEND_REASONS
from ...shared.problems import describe_error

KIND_WORDS = {
    "click": lazy_gettext("自动回复"),
    "view": lazy_gettext("打开网页"),
    "miniprogram": lazy_gettext("打开小程序"),
    "article_id": lazy_gettext("发送已发布的文章"),
    "article_view_limited": lazy_gettext("打开已发布的文章"),
    "scancode_waitmsg": lazy_gettext("扫码，等回复"),
    "scancode_push": lazy_gettext("扫码，打开结果"),
    "pic_photo_or_album": lazy_gettext("拍照或选照片"),
    "pic_sysphoto": lazy_gettext("拍照"),
    "pic_weixin": lazy_gettext("选照片"),
    "location_select": lazy_gettext("发送位置"),
    "media_id": lazy_gettext("发送永久素材"),
    "view_limited": lazy_gettext("打开图文素材"),
    "text": lazy_gettext("后台的文字"),
    "img": lazy_gettext("后台的图片"),
    "voice": lazy_gettext("后台的语音"),
    "video": lazy_gettext("后台的视频"),
    "news": lazy_gettext("后台的图文"),
    "finder": lazy_gettext("视频号"),
}
OFFERED = [kind for kind in KINDS if kind not in {"media_id", "view_limited"}]
"""The kinds that the editor offers; others stay where they are."""
FIELD_WORDS = {
    "key": lazy_gettext("按钮的 key"),
    "url": lazy_gettext("网址"),
    "appid": lazy_gettext("小程序的 AppID"),
    "pagepath": lazy_gettext("小程序的页面路径"),
    "article_id": lazy_gettext("文章的 article_id"),
    "media_id": lazy_gettext("素材的 media_id"),
}
CLIENT_WORDS = {"1": lazy_gettext("苹果手机"), "2": lazy_gettext("安卓手机"), "3": lazy_gettext("其他客户端")}
STATE_WORDS = {
    MenuState.DRAFT: lazy_gettext("草稿"),
    MenuState.SCHEDULED: lazy_gettext("等待发布"),
    MenuState.PUBLISHED: lazy_gettext("已发布"),
    MenuState.FAILED: lazy_gettext("没有发布成"),
    MenuState.WITHDRAWN: lazy_gettext("备份"),
}
STATE_COLOURS = {
    MenuState.DRAFT: "secondary",
    MenuState.SCHEDULED: "blue",
    MenuState.PUBLISHED: "green",
    MenuState.FAILED: "red",
    MenuState.WITHDRAWN: "secondary",
}
MENU_REASONS = SEND_REASONS | {
    PermissionReason.KIND: lazy_gettext("这类账号没有自定义菜单接口；完成微信认证后才有。"),
    PermissionReason.LEARNED: lazy_gettext(
        "微信回答过 48001：账号没有自定义菜单接口。一天后会再试；已经获得权限的，到“健康”页改回来。"
    ),
}
"""Why the account may not publish menus."""

_FAULTS = {
    Fault.EMPTY: lazy_gettext("菜单里没有能发布的按钮：至少要有一个。"),
    Fault.TOO_MANY_COLUMNS: lazy_gettext(
        "一级菜单有 %(size)s 个，微信最多允许 %(limit)s 个：删去或移走几个。"
    ),
    Fault.TOO_MANY_SUBS: lazy_gettext("子菜单有 %(size)s 个，微信最多允许 %(limit)s 个：删去或移走几个。"),
    Fault.THIRD_LEVEL: lazy_gettext("菜单只有两级，子菜单里不能再有子菜单：把它下面的按钮移出来。"),
    Fault.NO_NAME: lazy_gettext("还没有名称。"),
    Fault.NAME_TOO_LONG: lazy_gettext(
        "名称有 %(size)s 字节，超过了 %(limit)s 字节（一个汉字 3 字节，表情 4 字节以上）：写短一些。"
    ),
    Fault.NO_ACTION: lazy_gettext("还没有选点了以后做什么；也可以给它加子菜单。"),
    Fault.MISSING: lazy_gettext("还没有填%(field)s。"),
    Fault.TOO_LONG: lazy_gettext("%(field)s有 %(size)s 字节，超过了 %(limit)s 字节：写短一些。"),
    Fault.NO_ADDRESS: lazy_gettext("网址要以 http:// 或 https:// 开头，后面有域名，中间没有空格。"),
    Fault.TOO_MANY_DOMAINS: lazy_gettext(
        "网址用了 %(size)s 个不同的域名，微信最多允许 %(limit)s 个（公众号文章不算）。"
    ),
    Fault.NO_AUDIENCE: lazy_gettext("还没有选谁看到它：标签和客户端至少选一个。"),
    Fault.SHADOWED: lazy_gettext(
        "排在前面的一套已经给了这些粉丝，这一套永远轮不到：把它往前移，或者换条件。"
    ),
    Fault.NAME_CUT: lazy_gettext("名称超过 %(limit)s 个汉字，有的手机显示不完整。"),
    Fault.SAME_KEY: lazy_gettext("另一个按钮有同样的 key：两个得到同样的回答，点击也算在一起。"),
    Fault.KEPT: lazy_gettext(
        "这个按钮是在公众平台后台做的，接口发布不了，发布时会略过。改选别的动作就能发布。"
    ),
}
_REMARKS = {
    NOT_READ_BACK: lazy_gettext("已发布，但没能读回来核对。"),
    UNREADABLE: lazy_gettext("这一版的内容坏了，读不出来。"),
    DIFFERS: lazy_gettext("已发布，但读回来的和发布的不一样：看看“差别”。"),
}


def kind_word(button: Button) -> str:
    """Return what a tap on the button does."""
    if button.sub_button:
        return str(_("子菜单"))
    if not button.type:
        return str(_("没有动作"))
    return str(KIND_WORDS.get(button.type, button.type))


def name_of(button: Button) -> str:
    return button.name.strip() or str(_("（没有名称）"))


def action_of(button: Button) -> str:
    """Return what a tap on the button does, with its address or key."""
    fields = () if button.sub_button else KINDS.get(button.type, ("value",))
    return " ".join([kind_word(button), *(getattr(button, name) for name in fields)]).strip()


def sentence(finding: Finding) -> str:
    """Return what is wrong, and what to do."""
    field = FIELD_WORDS.get(finding.field, "")
    return str(_FAULTS[finding.fault] % {"size": finding.size, "limit": finding.limit, "field": field})


def audience(audience: Audience, tags: Mapping[str, str]) -> str:
    """Return who sees a conditional menu. `tags` are the names of tags by the platform's numbers."""
    parts = []
    if audience.tag_id:
        parts.append(tags.get(audience.tag_id) or str(_("标签 %(id)s", id=audience.tag_id)))
    if audience.client:
        parts.append(str(CLIENT_WORDS.get(audience.client, audience.client)))
    return " · ".join(parts) or str(_("还没有条件"))


def difference(change: Change) -> str:
    """Return how one button differs."""
    before, after = change.before, change.after
    if after is None:
        assert before
        return str(_("去掉“%(name)s”", name=name_of(before)))
    if before is None:
        return str(_("新增“%(name)s”：%(action)s", name=name_of(after), action=action_of(after)))
    if change.kind is ChangeKind.MOVED:
        return str(_("移动“%(name)s”", name=name_of(after)))
    parts = []
    if before.name != after.name:
        parts.append(_("改名为“%(name)s”", name=name_of(after)))
    if action_of(before) != action_of(after):
        parts.append(_("%(old)s 改为 %(new)s", old=action_of(before), new=action_of(after)))
    return str(_("“%(name)s”：%(changes)s", name=name_of(before), changes="；".join(parts) or _("内容改了")))


def what_came_of_it(row: Any) -> str:
    """Return the error or the remark of a version; empty if all went well."""
    if not row.error:
        return ""
    return str(_REMARKS[row.error]) if row.error in _REMARKS else describe_error(row.errcode, row.error)
