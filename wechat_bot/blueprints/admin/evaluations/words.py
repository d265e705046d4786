"""Questions of an evaluation in words: what is expected, what is given, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....models import EvaluationState
from ....services.evaluations.definitions import Case, Expected, Failure
from ....services.evaluations.running import OVER_BUDGET
from ..answers.words import listed, quoted

EXPECTED = {
    Expected.ANSWER: lazy_gettext("助手回答"),
    Expected.UNKNOWN: lazy_gettext("助手说不知道"),
    Expected.RULE: lazy_gettext("一条规则回答"),
}
FIELDS = {
    "question": lazy_gettext("粉丝问"),
    "expected": lazy_gettext("预期"),
    "contains": lazy_gettext("回答里有（一行一个，都要有）"),
    "excludes": lazy_gettext("回答里没有（一行一个，都不能有）"),
    "source": lazy_gettext("来自哪条资料（不填：哪条都可以）"),
    "rule": lazy_gettext("规则"),
    "instructions": lazy_gettext("给模型的说明"),
    "model": lazy_gettext("模型"),
    "threshold": lazy_gettext("资料的门槛（0 到 1）"),
}
STATES = {
    EvaluationState.RUNNING: lazy_gettext("正在问"),
    EvaluationState.DONE: lazy_gettext("问完了"),
    EvaluationState.STOPPED: lazy_gettext("停下了"),
    EvaluationState.FAILED: lazy_gettext("没有问成"),
}
_OUTCOMES = {
    "answered": lazy_gettext("助手回答了"),
    "unknown": lazy_gettext("助手说不知道"),
    "blocked": lazy_gettext("有禁用的词"),
    "failed": lazy_gettext("模型出错"),
    "handed_over": lazy_gettext("转给了人"),
    "rule": lazy_gettext("规则先答了"),
}
_FAILURES = {
    Failure.LACKS: lazy_gettext("没有「%(detail)s」"),
    Failure.HAS: lazy_gettext("有「%(detail)s」"),
    Failure.SOURCE: lazy_gettext("不是来自 %(detail)s"),
}


def expectation(case: Case, rules: Mapping[int, str]) -> str:
    """Return what is expected of an answer."""
    if case.expected is Expected.RULE:
        return str(_("规则%(name)s回答", name=quoted(rules.get(case.rule, str(case.rule)))))
    found = [str(EXPECTED[case.expected])]
    if case.contains:
        found.append(str(_("有%(words)s", words=listed(map(quoted, case.contains)))))
    if case.excludes:
        found.append(str(_("没有%(words)s", words=listed(map(quoted, case.excludes)))))
    if case.source:
        found.append(str(_("来自 %(source)s", source=case.source)))
    return str(_("，")).join(found)


def failure(found: Sequence[str], rules: Mapping[int, str]) -> str:
    """Return why an answer is not as expected."""
    kind, detail = Failure(found[0]), found[1]
    if kind is Failure.OUTCOME:
        return str(_OUTCOMES.get(detail, detail))
    if kind is Failure.RULE:
        return str(_("规则%(name)s没有答", name=quoted(rules.get(int(detail), detail))))
    return str(_FAILURES[kind] % {"detail": detail})


def outcome(name: str) -> str:
    return str(_OUTCOMES.get(name, name or _("没有人回答")))


def reason(error: str) -> str:
    """Return why a run ended early."""
    return str(_("今天的预算用完了：明天再跑，或者调高预算。")) if error == OVER_BUDGET else error
