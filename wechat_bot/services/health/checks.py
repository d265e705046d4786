"""Checks of the doctor: their names, their results, and the formatting of results in the reader's language.

The texts are here and in `findings` rather than in a blueprint, because the console and the command line both
show them. Flask-Babel also translates them outside requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask_babel import format_timedelta, get_locale, lazy_gettext
from flask_babel import gettext as _

from ...database.clock import database_now
from ...wechat.errcodes import BilingualText
from ..accounts.capabilities import Feature


class Health(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    """Nothing has happened yet that would show it."""


STEPS = {
    "settings": lazy_gettext("程序设置"),
    "database": lazy_gettext("数据库"),
    "redis": "Redis",
    "worker": lazy_gettext("后台进程"),
    "disk": lazy_gettext("磁盘"),
    "media": lazy_gettext("媒体文件"),
    "backup": lazy_gettext("数据备份"),
    "url": lazy_gettext("服务器地址（URL）"),
    "path": lazy_gettext("路径"),
    "token": lazy_gettext("令牌（Token）"),
    "clock": lazy_gettext("时钟"),
    "mode": lazy_gettext("消息加解密方式"),
    "key": lazy_gettext("消息加解密密钥（EncodingAESKey）"),
    "app_id": "AppID",
    "message": lazy_gettext("消息格式"),
    "program": lazy_gettext("程序运行"),
    "answers": lazy_gettext("5 秒内回应"),
    "slow_handlers": lazy_gettext("慢处理函数"),
    "assistant": lazy_gettext("AI 助手"),
    "https": lazy_gettext("HTTPS 与反向代理"),
    "secret": lazy_gettext("AppSecret 与 IP 白名单"),
    "reach": lazy_gettext("微信眼里的服务器"),
    "import": lazy_gettext("公众平台后台的设置"),
    "capabilities": lazy_gettext("接口权限"),
    "queue": lazy_gettext("发送队列"),
    "alerts": lazy_gettext("提醒"),
}
"""The names of the checks, in the order in which a deployment is set up."""

FEATURES = {
    Feature.CUSTOMER_SERVICE: lazy_gettext("客服消息"),
    Feature.FOLLOWERS: lazy_gettext("粉丝与标签"),
    Feature.MENU: lazy_gettext("自定义菜单"),
    Feature.MEDIA: lazy_gettext("临时素材"),
    Feature.PUBLISH: lazy_gettext("发布"),
    Feature.MASS: lazy_gettext("群发"),
    Feature.TEMPLATES: lazy_gettext("模板消息"),
    Feature.QR_CODES: lazy_gettext("带参数二维码"),
    Feature.OAUTH: lazy_gettext("网页授权"),
    Feature.JS_SDK: "JS-SDK",
    Feature.STATISTICS: lazy_gettext("数据统计"),
}


@dataclass(frozen=True)
class Finding:
    """A possible result of a check. `said` and `remedy` are %-formatted with the values of the `Check`."""

    step: str
    code: str
    state: Health
    said: Any
    remedy: Any = ""
    alarm: bool = False
    """Whether the console calls operators to it although nothing has failed."""


@dataclass(frozen=True)
class Check:
    """The result of a check: a finding, and the values (times, numbers, texts) for its texts."""

    finding: Finding
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Health:
        return self.finding.state

    @property
    def name(self) -> str:
        return str(STEPS[self.finding.step])

    @property
    def said(self) -> str:
        return self._format(self.finding.said)

    @property
    def remedy(self) -> str:
        return self._format(self.finding.remedy)

    def _format(self, template: Any) -> str:
        return str(template) % {name: localized(value) for name, value in self.values.items()}

    def as_json(self) -> dict[str, Any]:
        finding = self.finding
        return {
            "step": finding.step,
            "code": finding.code,
            "state": finding.state,
            "values": {name: _json_value(value) for name, value in self.values.items()},
            "said": self.said,
            "remedy": self.remedy,
        }


def localized(value: Any) -> str:
    """Return `value` in the language of the reader."""
    match value:
        case datetime():
            return ago(value)
        case BilingualText():
            return value.zh if str(get_locale()).startswith("zh") else value.en
        case list() | tuple():
            return str(_("、")).join(localized(item) for item in value)
        case Feature():
            return str(FEATURES[value])
        case _:
            return str(value)


def ago(at: datetime) -> str:
    """Return the time since `at` in the language of the reader, such as "12秒前"."""
    return str(format_timedelta(min(at - database_now(), -datetime.resolution), add_direction=True))


def _json_value(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat(timespec="seconds")
        case BilingualText():
            return {"zh": value.zh, "en": value.en}
        case _:
            return value
