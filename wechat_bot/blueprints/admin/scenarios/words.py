"""Scenarios in words: what followers do, what is expected and given, and what is wrong."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....services.scenarios import editing
from ....services.scenarios.editing import Limit, ScenarioRefused
from ....services.scenarios.playing import OBSTACLES
from ....simulator.scenarios import Expectation, Fault, ScenarioError, Step, StepResult, action_of, flow
from .forms import SHOWS

ACTIONS = {
    "send": lazy_gettext("说"),
    "follow": lazy_gettext("关注"),
    "scan": lazy_gettext("扫码"),
    "click": lazy_gettext("点菜单"),
    "unfollow": lazy_gettext("取消关注"),
    "push": lazy_gettext("其他消息"),
}
_OUTCOMES = {
    "nothing": lazy_gettext("不回答"),
    "text": lazy_gettext("任何文字"),
    "image": lazy_gettext("图片"),
    "voice": lazy_gettext("语音"),
    "video": lazy_gettext("视频"),
    "music": lazy_gettext("音乐"),
    "news": lazy_gettext("图文"),
    "transfer_customer_service": lazy_gettext("转到微信的客服工具"),
    "transfer_biz_ai_ivr": lazy_gettext("由微信的 AI 回答"),
    "notice": lazy_gettext("故障提示"),
}
_TEXTS = {
    "text": lazy_gettext("这段话"),
    "contains": lazy_gettext("含有"),
    "pattern": lazy_gettext("符合（正则表达式）"),
    "rule": lazy_gettext("由这条规则回答"),
}
EXPECTATIONS = {
    **_TEXTS,
    **{SHOWS + outcome: word for outcome, word in _OUTCOMES.items()},
    "": lazy_gettext("什么都可以"),
}
"""The kinds of expectations in a form."""
_FAULTS = {
    Fault.YAML: lazy_gettext("不是 YAML：%(detail)s"),
    Fault.ALIAS: lazy_gettext("不能用 YAML 的引用（*）。"),
    Fault.SHAPE: lazy_gettext("一段对话要有 name 和 steps 的列表。"),
    Fault.TAGS: lazy_gettext("tags 要是标签名称的列表。"),
    Fault.STEP: lazy_gettext("要写粉丝做什么，和预期什么。"),
    Fault.ACTIONS: lazy_gettext("一步只能做一件事。"),
    Fault.ACTION: lazy_gettext("没有“%(detail)s”这个动作。"),
    Fault.EXPECTATION: lazy_gettext("expect 是一段话，或者其中之一：%(detail)s。"),
    Fault.PATTERN: lazy_gettext("正则表达式不对：%(detail)s。"),
    Fault.FIELDS: lazy_gettext("要写成 {MsgType: image, PicUrl: …} 这样的字段，MsgType 不能少。"),
    Fault.TIME: lazy_gettext("时间要写成 2026-11-28 22:00 这样。"),
}
_LIMITS = {
    Limit.NAME: lazy_gettext("名称要有 1 到 %(limit)s 个字符。"),
    Limit.NO_STEPS: lazy_gettext("还没有写粉丝做什么。"),
    Limit.STEPS: lazy_gettext("一个测试最多 %(limit)s 步。"),
    Limit.BYTES: lazy_gettext("一个测试最多 %(limit)s 字节。"),
    Limit.SCENARIOS: lazy_gettext("最多 %(limit)s 个测试。"),
    Limit.ALL_STEPS: lazy_gettext("所有测试加起来最多 %(limit)s 步。"),
}
_NUMBERS = {
    Limit.NAME: editing.MAX_NAME,
    Limit.STEPS: editing.MAX_STEPS,
    Limit.BYTES: editing.MAX_BYTES,
    Limit.SCENARIOS: editing.MAX_SCENARIOS,
    Limit.ALL_STEPS: editing.MAX_ALL_STEPS,
}


def action(step: Step) -> tuple[str, str]:
    """Return what a follower does, and the text, key or scene."""
    name, value = action_of(step)
    return str(ACTIONS[name]), value if isinstance(value, str) else flow(value)


def expectation(step: Step) -> tuple[str, str]:
    """Return what kind of answer is expected, and which."""
    match step.expected:
        case None:
            return str(EXPECTATIONS[""]), ""
        case Expectation("shows", outcome):
            return outcome_word(outcome), ""
        case Expectation(kind, value):
            return str(_TEXTS[kind]), value


def outcome_word(outcome: str) -> str:
    return str(_OUTCOMES.get(outcome, outcome))


def given(result: StepResult) -> str:
    """Return what is given: the text of the reply, or its kind."""
    return result.text if result.outcome == "text" else outcome_word(result.outcome)


def obstacle(result: StepResult) -> str:
    return str(OBSTACLES[result.obstacle]) if result.obstacle else ""


def fault(error: ScenarioError) -> str:
    """Return what is wrong in a file or form."""
    sentence = str(_FAULTS[error.fault] % {"detail": error.detail})
    return (
        _("第 %(number)s 步：%(sentence)s", number=error.step, sentence=sentence) if error.step else sentence
    )


def refusal(error: ScenarioRefused) -> str:
    """Return which limit forbids a scenario."""
    return str(_LIMITS[error.limit] % {"limit": _NUMBERS.get(error.limit, "")})
