"""Alerts in words: media, occasions, and why a message did not arrive."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....models import AlertFailure, Occasion
from ....services.alerts.definitions import Medium

MEDIA = {
    Medium.WECOM: lazy_gettext("企业微信群机器人"),
    Medium.FEISHU: lazy_gettext("飞书群机器人"),
    Medium.DINGTALK: lazy_gettext("钉钉群机器人"),
    Medium.WEBHOOK: lazy_gettext("自己的 Webhook（JSON）"),
    Medium.MAIL: lazy_gettext("邮件"),
}
OCCASIONS = {
    Occasion.WAITING: lazy_gettext("有粉丝在等人工"),
    Occasion.UNANSWERED: lazy_gettext("等了几分钟还没有人回复"),
    Occasion.STOPPED: lazy_gettext("没有推送了，而平时这时候总有"),
    Occasion.FAILING: lazy_gettext("很多推送处理失败"),
    Occasion.LATE: lazy_gettext("很多推送过了 4 秒才回应"),
    Occasion.DIGEST: lazy_gettext("每周一早上九点，上周的小结"),
}
FAILURES = {
    AlertFailure.UNREACHABLE: lazy_gettext("连接不上：看看地址对不对，本机能不能上网。"),
    AlertFailure.TIMEOUT: lazy_gettext("5 秒内没有回应。"),
    AlertFailure.PRIVATE: lazy_gettext(
        "地址在内网或本机，没有发送。确实要发，就设置 ALERTS_PRIVATE_ADDRESSES=yes。"
    ),
    AlertFailure.REDIRECTED: lazy_gettext("地址转到了别处（HTTP %(code)s）：请填最终的地址。"),
    AlertFailure.STATUS: lazy_gettext("对方的服务器出错（HTTP %(code)s）。"),
    AlertFailure.UNREADABLE: lazy_gettext("回应不是机器人的：看看地址对不对。"),
    AlertFailure.REFUSED: lazy_gettext("对方拒绝了（%(code)s）。"),
    AlertFailure.SEALED: lazy_gettext("SECRET_KEY 换过，地址或密钥解不开了：请重新填写。"),
    AlertFailure.NO_MAIL_SERVER: lazy_gettext("没有设置 SMTP_URL，不能寄邮件。"),
}
_REFUSALS = {
    Medium.WECOM: {
        93000: lazy_gettext("Webhook 地址不对，或者机器人已经被移出群。"),
        93004: lazy_gettext("机器人被停用了。"),
        93008: lazy_gettext("机器人不在群里。"),
        45009: lazy_gettext("发得太快：一个机器人每分钟最多 20 条。"),
        40008: lazy_gettext("机器人不认识这种消息。"),
        40058: lazy_gettext("机器人不接受消息的内容。"),
        -1: lazy_gettext("企业微信忙，过一会儿会再发。"),
    },
    Medium.FEISHU: {
        19001: lazy_gettext("Webhook 地址不对，或者机器人已经删除。"),
        19021: lazy_gettext("签名不对：看看密钥是否和机器人的一样，本机的时钟准不准。"),
        19022: lazy_gettext("本机的 IP 不在机器人的白名单里。"),
        19024: lazy_gettext(
            "机器人要求的关键词不在消息里：把“公众号”加为关键词，英文的提醒是“Official Account”。"
        ),
        11232: lazy_gettext("发得太快：一个机器人每分钟最多 100 条。"),
        9499: lazy_gettext("机器人不接受消息的内容，或者请求太多。"),
    },
    Medium.DINGTALK: {
        310000: lazy_gettext(
            "没有通过机器人的安全设置：看看加签的密钥、IP 白名单、本机的时钟和关键词"
            "（把“公众号”加为关键词，英文的提醒是“Official Account”）。"
        ),
        130101: lazy_gettext("发得太快：一个机器人每分钟最多 20 条。"),
        410100: lazy_gettext("发得太快：一个机器人每分钟最多 20 条。"),
        300001: lazy_gettext("Webhook 地址里的 access_token 不对，或者机器人已经删除。"),
        300005: lazy_gettext("Webhook 地址里的 access_token 不对，或者机器人已经删除。"),
        400101: lazy_gettext("Webhook 地址里的 access_token 不对，或者机器人已经删除。"),
        40035: lazy_gettext("Webhook 地址里没有 access_token。"),
        400013: lazy_gettext("群已经解散。"),
        400102: lazy_gettext("机器人被停用了。"),
        -1: lazy_gettext("钉钉忙，过一会儿会再发。"),
    },
}
"""What errcodes of robots mean, where it is known."""


def failure(medium: Medium, reason: AlertFailure, code: int, detail: str) -> str:
    """Return why a message did not arrive, with what the other side said about it."""
    sentence = str(FAILURES[reason]) % {"code": code}
    known: Any = _REFUSALS.get(medium, {}).get(code) if reason is AlertFailure.REFUSED else None
    if known:
        sentence += f" {known}"
    return f"{sentence} {_('原话：%(words)s', words=detail)}" if detail else sentence
