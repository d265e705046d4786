"""Rules in words: their triggers, answers and times, what is wrong with them, and what differs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....routing.definitions import FollowerKind, MatchKind, Pick, Rule, Schedule, Trigger, TriggerKind
from ....routing.rules import Refusal, Verdict
from ....routing.strict_json import InvalidDefinition, Problem
from ....services.rules.transfer import FileProblem
from ...shared.labels import WORDS
from ..answers import words as answer_words
from ..answers.words import PICKS
from ..answers.words import answer as answer
from ..answers.words import listed as listed
from ..answers.words import quoted as quoted
from .forms import UNITS

TRIGGERS = {
    TriggerKind.TEXT: lazy_gettext("粉丝说到关键词"),
    TriggerKind.FOLLOWED: lazy_gettext("关注时"),
    TriggerKind.SCANNED: lazy_gettext("已关注的人扫码时"),
    TriggerKind.MESSAGE: lazy_gettext("发来图片、语音等"),
    TriggerKind.MENU: lazy_gettext("点击菜单时"),
    TriggerKind.OUT_OF_HOURS: lazy_gettext("不在服务时间"),
    TriggerKind.NOTHING_MATCHED: lazy_gettext("没有人回答时"),
}
FOLLOWERS = {
    FollowerKind.ANY: lazy_gettext("所有人"),
    FollowerKind.NEW: lazy_gettext("新粉丝"),
    FollowerKind.RETURNING: lazy_gettext("回来的老粉丝"),
}
MATCHES = {
    MatchKind.CONTAINS: lazy_gettext("包含"),
    MatchKind.WHOLE: lazy_gettext("完全一样"),
    MatchKind.STARTS: lazy_gettext("开头是"),
    MatchKind.WORDS: lazy_gettext("这些词都有（用空格分开）"),
    MatchKind.NUMBER: lazy_gettext("编号（1 到 999）"),
    MatchKind.PATTERN: lazy_gettext("正则表达式（RE2，要配整句）"),
}
_SAYS = {
    MatchKind.CONTAINS: lazy_gettext("说到 %(words)s"),
    MatchKind.WHOLE: lazy_gettext("只说 %(words)s"),
    MatchKind.STARTS: lazy_gettext("开头是 %(words)s"),
    MatchKind.WORDS: lazy_gettext("同时说到 %(words)s"),
    MatchKind.NUMBER: lazy_gettext("回复编号 %(words)s"),
    MatchKind.PATTERN: lazy_gettext("符合 %(words)s"),
}
WEEKDAYS = {
    1: lazy_gettext("周一"),
    2: lazy_gettext("周二"),
    3: lazy_gettext("周三"),
    4: lazy_gettext("周四"),
    5: lazy_gettext("周五"),
    6: lazy_gettext("周六"),
    7: lazy_gettext("周日"),
}
UNIT_NAMES = dict(
    zip(
        UNITS,
        (lazy_gettext("秒"), lazy_gettext("分钟"), lazy_gettext("小时"), lazy_gettext("天")),
        strict=True,
    )
)
FIELDS = {
    **answer_words.FIELDS,
    "name": lazy_gettext("名称"),
    "enabled": lazy_gettext("启用"),
    "trigger": lazy_gettext("什么时候"),
    "patterns": lazy_gettext("关键词"),
    "schedule": lazy_gettext("时段"),
    "audience": lazy_gettext("给谁"),
    "cool_down": lazy_gettext("冷却"),
    "with_person": lazy_gettext("有人对话时也回答"),
    "resets_assistant": lazy_gettext("AI 助手重新开始对话"),
    "notes": lazy_gettext("备注"),
    "hours": lazy_gettext("几点到几点"),
    "last_day": lazy_gettext("最后一天"),
    "first_day": lazy_gettext("第一天"),
    "followed_since": lazy_gettext("关注的日子"),
    "keys": lazy_gettext("菜单按钮的 key"),
    "rules": lazy_gettext("规则"),
}
"""The names of fields, for problems and differences."""
FILE_PROBLEMS = {
    FileProblem.TOO_LARGE: lazy_gettext("文件太大：最多 5 MB。"),
    FileProblem.EMPTY: lazy_gettext("文件是空的。"),
    FileProblem.SPREADSHEET: lazy_gettext("这是 Excel 或 WPS 的表格：在那里另存为 CSV，再选那个文件。"),
    FileProblem.NO_TEXT: lazy_gettext("这不是文字，可能是图片或别的文件：要 YAML 或 CSV。"),
    FileProblem.ENCODING: lazy_gettext("这里的字认不出来：存成 UTF-8 编码，再选一次。"),
    FileProblem.YAML: lazy_gettext("YAML 的写法不对：看看这一行和上一行的缩进、冒号和引号。"),
    FileProblem.TAB: lazy_gettext("YAML 用空格缩进，不能用制表符（Tab）。"),
    FileProblem.ALIAS: lazy_gettext("这里不能用别名（*）：把内容写出来。"),
    FileProblem.NO_RULES: lazy_gettext("没有叫 rules 的列表：第一行要是 rules:，下面是一条条规则。"),
    FileProblem.HEADER: lazy_gettext("第一行不是规定的列名：先导出一份，照着它的第一行写。"),
    FileProblem.QUOTE: lazy_gettext("少了一个引号：从这一行起的单元格没有结束。"),
    FileProblem.CSV: lazy_gettext("CSV 的写法不对：看看这一行的引号和逗号。"),
    FileProblem.MORE: lazy_gettext("more 一列要是 JSON 对象，例如 {}，也可以空着。"),
}
"""What is wrong with a file of rules."""
_REFUSALS = {
    Refusal.OFF: lazy_gettext("它停用了"),
    Refusal.PERSON: lazy_gettext("一位客服正在和粉丝对话"),
    Refusal.DIALOGUE: lazy_gettext("粉丝正在和一段代码对话，下一条消息归它"),
    Refusal.TRIGGER: lazy_gettext("不是给这种消息的"),
    Refusal.FOLLOWERS: lazy_gettext("不是给这类粉丝的（新、老）"),
    Refusal.SCENE: lazy_gettext("二维码的场景不符"),
    Refusal.KEY: lazy_gettext("不是这个菜单按钮"),
    Refusal.TEXT: lazy_gettext("没有关键词匹配"),
    Refusal.OPEN: lazy_gettext("现在是服务时间"),
    Refusal.DATE: lazy_gettext("不在它的日期里"),
    Refusal.WEEKDAY: lazy_gettext("不在它的星期里"),
    Refusal.HOURS: lazy_gettext("不在它的时段里"),
    Refusal.TAGS: lazy_gettext("粉丝没有它要的标签"),
    Refusal.FOLLOWED_SINCE: lazy_gettext("粉丝关注得太早"),
    Refusal.COOL_DOWN: lazy_gettext("刚答过这位粉丝，在冷却"),
}
MAX_WORDS = 8
"""Keywords that are shown of a rule."""


def trigger(rule: Rule) -> str:
    """Return when a rule is asked, such as: says 退款, 退钱."""
    it = rule.trigger
    match it.type:
        case TriggerKind.TEXT:
            return _patterns(rule)
        case TriggerKind.FOLLOWED:
            return _with_details(it, "" if it.followers is FollowerKind.ANY else str(FOLLOWERS[it.followers]))
        case TriggerKind.MESSAGE:
            kinds = listed(WORDS["kinds"].get(kind, kind) for kind in it.kinds)
            return str(_("发来%(kinds)s", kinds=kinds) if kinds else TRIGGERS[it.type])
        case TriggerKind.MENU:
            return str(_("点击菜单 %(keys)s", keys=listed(it.keys)))
    return _with_details(it)


def _with_details(it: Trigger, *details: str) -> str:
    scene = _("二维码 %(scene)s…", scene=it.scene) if it.scene else ""
    return " · ".join(filter(None, (str(TRIGGERS[it.type]), *details, scene)))


def _patterns(rule: Rule) -> str:
    shown = rule.patterns[:MAX_WORDS]
    parts = []
    for match in dict.fromkeys(pattern.match for pattern in shown):
        words = listed(pattern.text for pattern in shown if pattern.match is match)
        parts.append(str(_SAYS[match]) % {"words": words})
    if more := len(rule.patterns) - len(shown):
        parts.append(_("等 %(count)s 个", count=more + len(shown)))
    return " · ".join(parts)


def answers(rule: Rule, files: Mapping[int, str]) -> str:
    """Return what a rule answers in short; `files` are the names of the library's files."""
    separator = {Pick.ALL: " + ", Pick.RANDOM: " / ", Pick.IN_TURN: " → "}[rule.pick]
    return separator.join(answer(each, files) for each in rule.answers)


def schedule(it: Schedule) -> str:
    """Return the times of a rule; empty if it holds always."""
    parts = [
        listed(WEEKDAYS[day] for day in it.weekdays),
        listed(it.hours),
        _("%(day)s 起", day=it.first_day) if it.first_day else "",
        _("到 %(day)s", day=it.last_day) if it.last_day else "",
    ]
    return " ".join(filter(None, parts))


def conditions(rule: Rule) -> str:
    """Return the times of a rule, for whom it is, and how long it rests; empty if it answers always."""
    parts = [schedule(rule.schedule), _audience(rule), _rest(rule.cool_down)]
    return " · ".join(filter(None, parts))


def _audience(rule: Rule) -> str:
    it = rule.audience
    since = _("%(day)s 起关注的", day=it.followed_since) if it.followed_since else ""
    tags = _("有标签 %(tags)s", tags=listed(it.tags)) if it.tags else ""
    return " ".join(filter(None, (since, tags)))


def _rest(seconds: int) -> str:
    if not seconds:
        return ""
    unit = next(name for name in reversed(UNITS) if seconds % UNITS[name] == 0)
    return str(_("冷却 %(time)s", time=f"{seconds // UNITS[unit]} {UNIT_NAMES[unit]}"))


def field(path: str) -> str:
    """Return the name of a field, with the numbers of the rule and answer to which it belongs."""
    if found := re.match(r"rules\[(\d+)\]\.", path):
        which = _("第 %(number)s 条规则", number=int(found[1]) + 1)
        return f"{which} · {field(path[found.end() :])}"
    return answer_words.field(path, FIELDS)


def problem(it: Problem, item: str = "") -> str:
    """Return what is wrong with a field as a sentence, about an `item` of it if there is one."""
    detail = str(TRIGGERS.get(it.detail, it.detail))  # type: ignore[call-overload]
    return answer_words.problem(replace(it, detail=detail), item)


def advice(kind: str) -> str:
    """Return what `routing.definitions.advice` means."""
    if kind == "one_character":
        return str(_("只有一个字的关键词会接走很多别的话：多写几个字，或改成“完全一样”。"))
    return str(_("超过 30 个字的关键词几乎没有人会打出来。"))


def verdict(it: Verdict, rule: Rule, names: Mapping[int, str], *, in_code: bool) -> str:
    """Return why a rule answers, or does not, as when a handler `in_code` takes the message."""
    if it.refusal is Refusal.EARLIER:
        return str(_("也符合，但规则「%(name)s」先答了", name=names[it.by or 0]))
    if it.refusal:
        return str(_REFUSALS[it.refusal])
    if in_code:
        return str(_("也符合，但代码先接走了"))
    if it.pattern is not None and it.pattern < len(rule.patterns):
        pattern = rule.patterns[it.pattern]
        return f"{MATCHES[pattern.match]} {quoted(pattern.text)}"
    return str(TRIGGERS[rule.trigger.type])


def described(definition: Mapping[str, Any], files: Mapping[int, str]) -> dict[str, str]:
    """Return the fields of a definition in words, for comparisons."""
    rule = Rule.from_json(definition)
    return {
        "name": rule.name,
        "enabled": str(_("是") if rule.enabled else _("否")),
        "trigger": trigger(rule),
        "answers": "\n".join(answer_words.details(each, files) for each in rule.answers),
        "pick": str(PICKS[rule.pick]) if len(rule.answers) > 1 else "",
        "schedule": schedule(rule.schedule),
        "audience": _audience(rule),
        "cool_down": _rest(rule.cool_down),
        "with_person": str(_("是") if rule.with_person else _("否")),
        "resets_assistant": str(_("是") if rule.resets_assistant else _("否")),
        "notes": rule.notes,
    }


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], files: Mapping[int, str]
) -> list[tuple[str, str, str]]:
    """Return the fields in which two definitions differ: name, before and after, in words.

    None are returned if another release of the program wrote one of them.
    """
    try:
        old, new = described(before, files), described(after, files)
    except InvalidDefinition:
        return []
    return [(str(FIELDS[name]), old[name], new[name]) for name in old if old[name] != new[name]]
