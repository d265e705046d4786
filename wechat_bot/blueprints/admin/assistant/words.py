"""The assistant's profile in words: its fields, what differs, and why a model does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....llm import ModelErrorReason
from ....routing import strict_json
from ....routing.strict_json import InvalidDefinition
from ....services.assistant.profile import AssistantProfile
from .forms import decimal

FIELDS = {
    "enabled": lazy_gettext("打开"),
    "base_url": lazy_gettext("接口地址"),
    "model": lazy_gettext("模型"),
    "region": lazy_gettext("模型在哪里运行"),
    "filing": lazy_gettext("备案号"),
    "sees_pictures": lazy_gettext("看得懂图片"),
    "embedding_model": lazy_gettext("向量模型"),
    "extra_parameters": lazy_gettext("额外的参数（JSON）"),
    "instructions": lazy_gettext("给模型的说明"),
    "max_tokens": lazy_gettext("一次回答最多多少 token"),
    "timeout": lazy_gettext("最多等多少秒"),
    "threshold": lazy_gettext("资料要多相近才用（0 到 1）"),
    "may_chat": lazy_gettext("没有资料也可以聊"),
    "unknown_text": lazy_gettext("不知道时的回答"),
    "memory_turns": lazy_gettext("记得最近几轮"),
    "memory_tokens": lazy_gettext("最多记多少 token"),
    "memory_minutes": lazy_gettext("记多少分钟"),
    "reset_words": lazy_gettext("让它忘掉前面的话"),
    "label": lazy_gettext("AI 标识"),
    "blocked_in": lazy_gettext("粉丝说到就不问模型的词"),
    "blocked_out": lazy_gettext("模型说到就不发出的词"),
    "per_minute": lazy_gettext("每人每分钟最多几问"),
    "per_day": lazy_gettext("每人每天最多几问"),
    "daily_tokens": lazy_gettext("每天最多多少 token（0：不限）"),
    "daily_yuan": lazy_gettext("每天最多多少元（0：不限）"),
    "price_in": lazy_gettext("每百万输入 token 多少元"),
    "price_out": lazy_gettext("每百万输出 token 多少元"),
}
"""The names of the fields, also in problems and differences."""
MODEL_ERRORS = {
    ModelErrorReason.UNREACHABLE: lazy_gettext("连不上接口，或者它出了故障：看看接口地址，过一会儿再试。"),
    ModelErrorReason.TIMEOUT: lazy_gettext("等得太久，模型没有答完：换一个快的模型，或者把等的秒数加大。"),
    ModelErrorReason.UNAUTHORIZED: lazy_gettext("接口不认这个密钥：从服务商的控制台复制一个新的。"),
    ModelErrorReason.RATE_LIMITED: lazy_gettext("调用太频繁，或者余额用完了：到服务商的控制台看看。"),
    ModelErrorReason.REFUSED: lazy_gettext("模型拒绝回答这个问题。"),
    ModelErrorReason.INVALID: lazy_gettext("接口不明白请求，或者回答不成样子：看看接口地址和模型的名字。"),
    ModelErrorReason.INTERRUPTED: lazy_gettext("回答到一半断了：再试一次；总是这样，就看看中间的代理。"),
}
"""Why a model does not answer, and what helps."""


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the fields in which two definitions differ: name, before and after, in words.

    None are returned if another release of the program wrote one of them.
    """
    try:
        old, new = (strict_json.read(AssistantProfile, each) for each in (before, after))
    except InvalidDefinition:
        return []
    pairs = ((name, in_words(getattr(old, name)), in_words(getattr(new, name))) for name in FIELDS)
    return [(str(FIELDS[name]), was, now) for name, was, now in pairs if was != now]


def in_words(value: Any) -> str:
    """Return the value of a field."""
    if isinstance(value, bool):
        return str(_("是") if value else _("否"))
    if isinstance(value, tuple):
        return "\n".join(value)
    return decimal(value) if isinstance(value, float) else str(value)
