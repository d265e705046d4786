"""Page of the import: what was set in the platform's console, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ...models import Role
from ...routing.definitions import MAX_PATTERNS, MAX_RULES
from ...routing.strict_json import InvalidDefinition
from ...services.messages.export import BOM, csv_lines
from ...services.rules.conversion import Item, Note, NoteCode, Outcome, Report, Source
from ...services.rules.importer import ADDRESS, Difference
from ...wechat.errors import APIError
from ...wiring import services
from ..shared.labels import REFUSALS
from ..shared.problems import describe_error
from .access import actor, role
from .menus.words import KIND_WORDS
from .messages import record_export

bp = Blueprint("importer", __name__)

COLUMNS = ("source", "name", "outcome", "difference", "notes")

SOURCES = {
    Source.FOLLOWED: lazy_gettext("被关注回复"),
    Source.KEYWORDS: lazy_gettext("关键词回复"),
    Source.DEFAULT: lazy_gettext("收到消息回复"),
    Source.MENU: lazy_gettext("菜单"),
}
OUTCOMES = {
    Outcome.IMPOSSIBLE: lazy_gettext("不能导入"),
    Outcome.CHANGED: lazy_gettext("有改动"),
    Outcome.TAKEN: lazy_gettext("照原样"),
}
"""In the order of the page: what needs somebody's attention comes first."""
DIFFERENCES = {
    Difference.CHANGED_HERE: lazy_gettext("导入过，后来在这里改过或删去了：不再导入。"),
    Difference.CHANGED_THERE: lazy_gettext("导入过，后来在公众平台后台改过：不再导入，这里的规则不变。"),
}
NOTES = {
    NoteCode.ANSWER_KIND: lazy_gettext("略过一个回复：没有“%(detail)s”这种回答。"),
    NoteCode.BUTTON_KIND: lazy_gettext("接口发布不了这种按钮：%(detail)s。发布时会略过。"),
    NoteCode.CHOOSE_AGAIN: lazy_gettext("一个文件没有取到，要重新选：%(detail)s"),
    NoteCode.ARTICLE: lazy_gettext("略过一篇文章，因为标题或网址缺失，或者文章太多：%(detail)s"),
    NoteCode.ONE_ARTICLE: lazy_gettext("有几篇文章；回复消息时，微信只显示第一篇。"),
    NoteCode.TITLE_CUT: lazy_gettext("文章的标题太长，截短了：%(detail)s"),
    NoteCode.NAME_CUT: lazy_gettext("名称太长，截短了。"),
    NoteCode.VARIABLE: lazy_gettext("文字里的“{{”在规则里表示变量，所以在中间加了一个空格。"),
    NoteCode.KEYWORD: lazy_gettext("略过一个关键词，因为它不是文字、是空的或太长：%(detail)s"),
    NoteCode.NO_KEYWORD: lazy_gettext("没有能用的关键词。"),
    NoteCode.NO_ANSWER: lazy_gettext("没有能用的回答。"),
    NoteCode.TOO_MANY_ANSWERS: lazy_gettext("回答太多，只留下前 %(detail)s 个。"),
    NoteCode.INVALID: lazy_gettext("略过一个回答，因为它超过了限制：%(detail)s"),
    NoteCode.SPLIT: lazy_gettext("分成两条规则：全匹配的先问，半匹配的后问，和微信的次序一样。"),
    NoteCode.KEY_UNANSWERED: lazy_gettext("没有规则回答 key“%(detail)s”；程序里也许有。"),
    NoteCode.UNREADABLE: lazy_gettext("平台给出的内容读不懂。"),
}


@dataclass(frozen=True)
class Row:
    """An item of the report. `difference` is None if it becomes no rule."""

    item: Item
    difference: Difference | None

    @property
    def sentences(self) -> list[str]:
        """How it is changed, or why it is not imported."""
        difference = [str(DIFFERENCES[self.difference])] if self.difference in DIFFERENCES else []
        return [*difference, *map(sentence, self.item.notes)]


@dataclass(frozen=True)
class Comparison:
    """A report beside what was imported before."""

    report: Report
    differences: list[Difference]

    @cached_property
    def rows(self) -> list[Row]:
        """What is new or has changed since the last import, or was never imported."""
        of_rules = iter(self.differences)
        rows = [Row(item, next(of_rules) if item.rule else None) for item in self.report.items]
        return [row for row in rows if not self._is_known(row)]

    def _is_known(self, row: Row) -> bool:
        """Whether an earlier import has told of it."""
        if row.difference:
            return row.difference is Difference.SAME
        was_imported = any(each is not Difference.NEW for each in self.differences)
        return was_imported and row.item.outcome is Outcome.TAKEN

    @property
    def new(self) -> int:
        return self.differences.count(Difference.NEW)

    @property
    def same(self) -> int:
        return self.differences.count(Difference.SAME)


def sentence(note: Note) -> str:
    """Return a note in the language of the page."""
    detail = note.detail
    if note.code is NoteCode.CHOOSE_AGAIN:
        detail = _why_missing(detail)
    elif note.code is NoteCode.BUTTON_KIND:
        detail = str(KIND_WORDS.get(detail, detail))
    return str(NOTES[note.code] % {"detail": detail})


def _why_missing(detail: str) -> str:
    """Return why a file was not fetched."""
    if detail == ADDRESS:
        return str(_("平台只给出了它的网址。"))
    if detail in REFUSALS:
        return str(_("%(reason)s。", reason=REFUSALS[detail]))  # type: ignore[index]
    return describe_error(None, detail) if detail else str(_("平台没有说是哪个文件。"))


@bp.get("/import")
@role(Role.ADMIN)
def show() -> ResponseReturnValue:
    return _page()


@bp.post("/import")
@role(Role.ADMIN)
def read() -> ResponseReturnValue:
    """Read the report from the platform, and show it, return it as CSV or store it."""
    importer, account_id = services().importer, services().account_id
    try:
        report = importer.report(actor(), account_id)
    except APIError as error:
        return _page(problem=describe_error(error.errcode or None, str(error)), status=502)
    found = Comparison(report, importer.differences(account_id, report.rules))
    match request.form.get("do"):
        case "csv":
            return _csv(found)
        case "store":
            return _store(found)
        case _:
            return _page(found)


def _page(found: Comparison | None = None, *, problem: str = "", status: int = 200) -> tuple[str, int]:
    page = render_template(
        "admin/import.html",
        found=found,
        problem=problem,
        has_api=services().client is not None,
        sources=SOURCES,
        outcomes=OUTCOMES,
    )
    return page, status


def _store(found: Comparison) -> ResponseReturnValue:
    report = found.report
    if request.form.get("seen") != report.fingerprint:
        return _page(found, problem=_("公众平台后台刚刚改过：看过新的内容后，再按一次导入。"), status=409)
    try:
        added = services().importer.store(actor(), services().account_id, report)
    except InvalidDefinition:
        limits = {"rules": MAX_RULES, "patterns": MAX_PATTERNS}
        problem = _(
            "没有导入：规则会超过 %(rules)s 条，或者关键词会超过 %(patterns)s 个。先删去用不到的。", **limits
        )
        return _page(found, problem=problem, status=422)
    flash(_("已导入 %(count)s 条规则。", count=len(added)), "success")
    if any(entry.rule.trigger.keys for entry in added):
        flash(_("换好按钮的菜单在“菜单”页的历史里：恢复成草稿，再发布。"), "success")
    return redirect(url_for("admin.importer.show"), 303)


def _csv(found: Comparison) -> Response:
    record_export("import.csv")
    lines = (
        (row.item.source, row.item.name, row.item.outcome, row.difference or "", "\n".join(row.sentences))
        for row in found.rows
    )
    headers = {"Content-Disposition": "attachment; filename=import.csv"}
    return Response(BOM + csv_lines([COLUMNS, *lines]), mimetype="text/csv", headers=headers)
