"""Names of values on the simulator's page."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext

from ...simulator.journal import DeliveryScenario, JournalEntry, PushFault
from ...simulator.state import APIFaultKind
from ...wechat.account_kinds import AccountKind
from ...wechat.credentials import Mode
from ..shared.labels import WORDS
from .flood_chart import Fate

MODES = {
    Mode.PLAIN: lazy_gettext("明文模式"),
    Mode.COMPATIBLE: lazy_gettext("兼容模式"),
    Mode.SAFE: lazy_gettext("安全模式"),
}
FAULTS = {
    PushFault.NONE: lazy_gettext("没有差错"),
    PushFault.SIGNATURE: lazy_gettext("签名错误"),
    PushFault.TIMESTAMP: lazy_gettext("时间戳是 10 分钟前的"),
    PushFault.KEY: lazy_gettext("AES 密钥错误"),
    PushFault.SIZE: lazy_gettext("消息体过大（1.2 MB）"),
}
DELIVERY_SCENARIOS = {
    DeliveryScenario.NORMAL: lazy_gettext("正常投递"),
    DeliveryScenario.LOST: lazy_gettext("前两次的回答丢失，迫使重推"),
    DeliveryScenario.DUPLICATE: lazy_gettext("回答之后再推一次"),
    DeliveryScenario.PARALLEL: lazy_gettext("三次推送同时到达"),
    DeliveryScenario.HELD: lazy_gettext("扣住，等下一条之后才送到（乱序）"),
}
ACCOUNT_KINDS = {
    AccountKind.VERIFIED_SERVICE: lazy_gettext("认证服务号"),
    AccountKind.UNVERIFIED_SERVICE: lazy_gettext("未认证服务号"),
    AccountKind.VERIFIED_SUBSCRIPTION: lazy_gettext("认证订阅号"),
    AccountKind.UNVERIFIED_SUBSCRIPTION: lazy_gettext("未认证订阅号（API 回答 48001）"),
    AccountKind.TEST: lazy_gettext("测试号"),
}
CLIENTS = {"1": lazy_gettext("苹果手机"), "2": lazy_gettext("安卓手机"), "3": lazy_gettext("其他客户端")}
"""The phones of followers, by client_platform_type of conditional menus."""
API_FAULTS = {
    "-1": lazy_gettext("-1 系统繁忙"),
    "45009": lazy_gettext("45009 调用次数用完"),
    "40164": lazy_gettext("40164 IP 不在白名单"),
    "45015": lazy_gettext("45015 超过 48 小时"),
    "45047": lazy_gettext("45047 客服消息条数用完"),
    "48001": lazy_gettext("48001 没有权限"),
    APIFaultKind.DELAY: lazy_gettext("回答太迟（15 秒）"),
    APIFaultKind.STATUS_500: lazy_gettext("状态 500"),
    APIFaultKind.HTML: lazy_gettext("HTML 页面"),
    APIFaultKind.GARBAGE: lazy_gettext("乱码"),
    APIFaultKind.CUT: lazy_gettext("回答中途断开"),
}
"""Names of faults by errcode or `APIFaultKind`."""
FATES = {
    Fate.ANSWERED: lazy_gettext("得到回答"),
    Fate.LATE: lazy_gettext("收到客服消息"),
    Fate.FETCH: lazy_gettext("需要点链接"),
    Fate.SILENT: lazy_gettext("还没有回复"),
    Fate.NOTICE: lazy_gettext("故障提示"),
    Fate.WAITING: lazy_gettext("还在等"),
}
STATES = WORDS["states"]


def silence_label(exchange: JournalEntry, *, late: bool) -> Any:
    """Return what the follower sees of an exchange without a reply. A `late` answer may have followed."""
    if late:
        return FATES[Fate.LATE]
    return FATES[Fate.SILENT] if exchange.is_answerable else lazy_gettext("粉丝什么也看不到")


def kind_label(name: str) -> Any:
    """Return the label of a kind of message or event; the platform's name if it has none."""
    return WORDS["kinds"].get(name) or WORDS["events"].get(name.lower(), name)
