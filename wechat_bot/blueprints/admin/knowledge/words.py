"""Words of the knowledge base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....models import DocumentKind, KnowledgeState, PairSource
from ....routing.strict_json import Problem
from ....services.knowledge.reading import DocumentProblem
from ....services.knowledge.sources import SourceKind
from ....services.knowledge.web import FetchProblem
from ....services.rules.transfer import FileProblem, LineError
from ..answers import words as answer_words
from ..rules.words import FILE_PROBLEMS

STATES = {KnowledgeState.APPROVED: lazy_gettext("已采用"), KnowledgeState.SUGGESTED: lazy_gettext("待采用")}
PAIR_SOURCES = {
    PairSource.WRITTEN: lazy_gettext("手写"),
    PairSource.CONVERSATION: lazy_gettext("来自对话"),
    PairSource.IMPORTED: lazy_gettext("导入"),
}
DOCUMENT_KINDS = {
    DocumentKind.MARKDOWN: "Markdown",
    DocumentKind.TEXT: lazy_gettext("纯文本"),
    DocumentKind.PDF: "PDF",
    DocumentKind.ARTICLE: lazy_gettext("公众号文章"),
    DocumentKind.ADDRESS: lazy_gettext("网页"),
}
SOURCES = {
    SourceKind.PAIR: lazy_gettext("问答"),
    SourceKind.DOCUMENT: lazy_gettext("文档的一段"),
    SourceKind.ARTICLE: lazy_gettext("公众号文章"),
    SourceKind.RULE: lazy_gettext("自动回复的规则"),
    SourceKind.CANNED: lazy_gettext("话术"),
}
FIELDS = {
    "question": lazy_gettext("问题"),
    "wordings": lazy_gettext("别的问法"),
    "answer": lazy_gettext("答案"),
    "state": lazy_gettext("状态"),
}
"""The fields of a pair, for comparisons and problems."""
DOCUMENT_PROBLEMS: dict[DocumentProblem | FileProblem, Any] = {
    **{problem: FILE_PROBLEMS[problem] for problem in FileProblem},
    FileProblem.SPREADSHEET: lazy_gettext(
        "这是 Word、Excel 或 WPS 的文件：在那里另存为 PDF 或纯文本，再选那个文件。"
    ),
    FileProblem.NO_TEXT: lazy_gettext("这不是文字，可能是图片或别的文件。"),
    DocumentProblem.TOO_LARGE: lazy_gettext("文件太大：PDF 最多 10 MB，文字最多 5 MB。"),
    DocumentProblem.TOO_LONG: lazy_gettext("内容太长：最多 100 万字，PDF 最多 1000 页。分成几个文件再上传。"),
    DocumentProblem.NO_WORDS: lazy_gettext("里面没有文字。扫描的 PDF 只有图片，要先识别成文字。"),
    DocumentProblem.KIND: lazy_gettext("只收 Markdown（.md）、纯文本（.txt）和 PDF。"),
    DocumentProblem.UNREADABLE: lazy_gettext("读不了这个文件：它可能坏了，换一份再试。"),
    DocumentProblem.ENCRYPTED: lazy_gettext("这个 PDF 有密码：去掉密码再上传。"),
}
FETCH_PROBLEMS = {
    FetchProblem.ADDRESS: lazy_gettext("网址要以 http:// 或 https:// 开头，用默认的端口，不带密码。"),
    FetchProblem.PRIVATE: lazy_gettext("这个网址在内部网络里，程序不去访问。"),
    FetchProblem.UNREACHABLE: lazy_gettext("打不开这个网址：检查一下拼写，或过一会儿再试。"),
    FetchProblem.STATUS: lazy_gettext("对方的网站没有给出这一页"),
    FetchProblem.TOO_LARGE: lazy_gettext("这一页太大：最多 2 MB。"),
    FetchProblem.NO_PAGE: lazy_gettext("这不是网页：PDF 请下载后上传。"),
}


def problem(it: Problem) -> str:
    """Return what is wrong with a field of a pair as a sentence."""
    if it.field.partition("[")[0] == "wordings" and it.detail:
        return str(_("最多 30 种问法，每种最多 200 个字。"))
    return answer_words.problem(it)


def line_error(error: LineError) -> str:
    """Return what is wrong in a line of a file."""
    if isinstance(error.problem, FileProblem):
        return str(FILE_PROBLEMS[error.problem])
    name = FIELDS.get(error.problem.field.partition("[")[0], error.problem.field)
    return f"{name} · {problem(error.problem)}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the fields in which two definitions of a pair differ: name, before and after, in words."""
    old, new = _in_words(before), _in_words(after)
    return [(str(FIELDS[name]), old[name], new[name]) for name in FIELDS if old[name] != new[name]]


def _in_words(definition: Mapping[str, Any]) -> dict[str, str]:
    return {
        "question": definition["question"],
        "wordings": "\n".join(definition.get("wordings", ())),
        "answer": definition["answer"],
        "state": str(STATES[definition.get("state", KnowledgeState.APPROVED)]),
    }
