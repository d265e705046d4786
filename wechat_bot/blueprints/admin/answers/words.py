"""Answers in words: their kinds, what they say, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....routing import strict_json
from ....routing.answers import (
    FILE_FIELDS,
    ChoicesAnswer,
    ImageAnswer,
    MiniProgramAnswer,
    MusicAnswer,
    NewsAnswer,
    PersonAnswer,
    PreparedAnswer,
    PublishedAnswer,
    TextAnswer,
    VideoAnswer,
    VoiceAnswer,
)
from ....routing.definitions import Pick
from ....routing.strict_json import Problem, ProblemCode

KINDS = {
    "text": lazy_gettext("文字"),
    "image": lazy_gettext("图片"),
    "voice": lazy_gettext("语音"),
    "video": lazy_gettext("视频"),
    "news": lazy_gettext("图文卡片"),
    "choices": lazy_gettext("选项"),
    "mini_program": lazy_gettext("小程序卡片"),
    "music": lazy_gettext("音乐"),
    "published": lazy_gettext("已发布的文章"),
    "person": lazy_gettext("转人工"),
    "platform_ai": lazy_gettext("微信的 AI"),
    "nothing": lazy_gettext("不回答"),
}
PICKS = {
    Pick.ALL: lazy_gettext("全部发出"),
    Pick.RANDOM: lazy_gettext("随机一条"),
    Pick.IN_TURN: lazy_gettext("轮流，每次一条"),
}
FIELDS = {
    "answers": lazy_gettext("回答"),
    "answer": lazy_gettext("回答"),
    "pick": lazy_gettext("几条回答"),
    "title": lazy_gettext("标题"),
    "description": lazy_gettext("说明"),
    "text": lazy_gettext("文字"),
    "url": lazy_gettext("链接"),
    "hq_url": lazy_gettext("高音质的链接"),
    "picture": lazy_gettext("图片地址"),
    "file_id": lazy_gettext("文件"),
    "cover_file_id": lazy_gettext("封面"),
    "choices": lazy_gettext("选项"),
    "app_id": "AppID",
    "path": lazy_gettext("页面路径"),
    "article_id": lazy_gettext("文章的 ID"),
    "agent": lazy_gettext("客服账号"),
    "article": lazy_gettext("文章"),
    "ending": lazy_gettext("结尾的话"),
    "articles": lazy_gettext("图文卡片"),
}
"""The names of fields, for problems and differences."""
_PROBLEMS = {
    ProblemCode.MISSING: lazy_gettext("还没有填。"),
    ProblemCode.UNKNOWN: lazy_gettext("没有这样的字段。"),
    ProblemCode.TYPE: lazy_gettext("写法不对：要是 %(detail)s。"),
    ProblemCode.VALUE: lazy_gettext("只能是：%(detail)s。"),
    ProblemCode.BLANK: lazy_gettext("不能是空的。"),
    ProblemCode.BYTES: lazy_gettext("太长：最多 %(detail)s 字节（一个汉字 3 字节）。"),
    ProblemCode.CHARACTERS: lazy_gettext("太长：最多 %(detail)s 个字。"),
    ProblemCode.TOO_MANY: lazy_gettext("太多：最多 %(detail)s 个。"),
    ProblemCode.NOT_POSITIVE: lazy_gettext("还没有选。"),
    ProblemCode.NO_FILE: lazy_gettext("素材里没有这个文件，或者它不是%(detail)s：请另选一个。"),
    ProblemCode.RANGE: lazy_gettext("超出范围：%(detail)s。"),
    ProblemCode.FORMAT: lazy_gettext("写法不对，要像这样：%(detail)s。"),
    ProblemCode.PATTERN: lazy_gettext("不是能用的正则表达式：%(detail)s"),
    ProblemCode.VARIABLE: lazy_gettext("没有 %(detail)s 这个变量。"),
    ProblemCode.ALONE: lazy_gettext("它不能和别的回答一起发：只留它一条，或改成随机、轮流。"),
    ProblemCode.TAKEN: lazy_gettext("已经有了，换一个。"),
    ProblemCode.USELESS: lazy_gettext("在这里没有用处（%(detail)s），请去掉。"),
}
_DETAILS = {
    "text without blanks, quotes, < and >": lazy_gettext("https://example.com，没有空格、引号和尖括号"),
    "text without < and >": lazy_gettext("没有尖括号的文字"),
    "a whole number": lazy_gettext("整数"),
    "a number": lazy_gettext("数字"),
}


def listed(items: Iterable[Any]) -> str:
    """Return items as a list in a sentence."""
    return str(_("、")).join(map(str, items))


def quoted(text: str) -> str:
    return str(_("「%(text)s」", text=text))


def answer(it: PreparedAnswer, files: Mapping[int, str]) -> str:
    """Return an answer in one line."""
    match it:
        case TextAnswer():
            return " ".join(it.text.split())
        case ImageAnswer() | VoiceAnswer() | VideoAnswer():
            shown = files.get(it.file_id, _("文件已删除"))
        case MusicAnswer() | MiniProgramAnswer():
            shown = it.title
        case NewsAnswer():
            shown = listed(article.title for article in it.articles)
        case PublishedAnswer():
            shown = it.article.title
        case ChoicesAnswer():
            shown = listed(it.choices)
        case PersonAnswer():
            shown = it.text or (_("微信的客服工具") if it.desk else "")
        case _:
            shown = ""
    return f"[{KINDS[it.kind]}] {shown}".strip()


def details(it: PreparedAnswer, files: Mapping[int, str]) -> str:
    """Return an answer with all its fields, one a line, for comparisons."""
    if isinstance(it, TextAnswer):
        return it.text
    fields = strict_json.to_json(it)
    lines = [str(KINDS[fields.pop("kind")])]
    for name, value in fields.items():
        content = files.get(value, _("文件已删除")) if name in FILE_FIELDS else value
        items = content if isinstance(content, list) else [content]
        shown = (" · ".join(each.values()) if isinstance(each, dict) else str(each) for each in items)
        lines.append(f"{FIELDS.get(name, name)}: {listed(shown)}")
    return "\n".join(lines)


def field(path: str, names: Mapping[str, Any] = FIELDS) -> str:
    """Return the name of a field, with the number of the answer to which it belongs."""
    parts = [part.partition("[")[0] for part in path.split(".")]
    known = [str(names[part]) for part in reversed(parts) if part in names]
    name = known[0] if known else path
    if path.startswith("answers["):
        number = int(path[len("answers[") : path.index("]")]) + 1
        which = _("第 %(number)s 条回答", number=number)
        return f"{which} · {name}" if len(parts) > 1 else str(which)
    return name


def problem(it: Problem, item: str = "") -> str:
    """Return what is wrong with a field as a sentence, about an `item` of it if there is one."""
    detail = _DETAILS.get(it.detail) or KINDS.get(it.detail, it.detail)
    if limits := re.fullmatch(r"(\d+) to (\d+)", it.detail):
        detail = _("%(least)s 到 %(most)s", least=limits[1], most=limits[2])
    sentence = str(_PROBLEMS[it.code]) % {"detail": detail}
    return f"{quoted(item)} {sentence}" if item else sentence
