"""The form of answers: every kind comes back from it, and problems find their fields."""

from __future__ import annotations

from typing import Any

import pytest

from wechat_bot.blueprints.admin.answers import forms
from wechat_bot.blueprints.admin.answers.forms import Form
from wechat_bot.routing import strict_json
from wechat_bot.routing.answers import PreparedAnswer
from wechat_bot.routing.strict_json import InvalidDefinition

ANSWERS: list[dict[str, Any]] = [
    {"kind": "text", "text": "第一行\n\n第三行 {{name|朋友}}"},
    {"kind": "image", "file_id": 3},
    {"kind": "voice", "file_id": 4},
    {"kind": "video", "file_id": 5, "title": "宣传片", "description": "一分钟"},
    {"kind": "music", "url": "https://a.example/1.mp3", "cover_file_id": 3, "title": "歌"},
    {
        "kind": "news",
        "articles": [
            {"title": "甲", "url": "https://a.example/"},
            {"title": "乙", "url": "https://b.example/"},
        ],
    },
    {"kind": "published", "article_id": "x1", "article": {"title": "甲", "url": "https://a.example/"}},
    {"kind": "choices", "text": "问什么？", "choices": ["地址", "退款"], "ending": "或者打字"},
    {"kind": "mini_program", "app_id": "wx1", "path": "p/i", "title": "点单", "url": "https://a.example/"},
    {"kind": "person", "text": "稍等"},
    {"kind": "person", "desk": True, "agent": "kf@shop"},
    {"kind": "platform_ai"},
    {"kind": "nothing"},
]


def read(answer: dict[str, Any]) -> PreparedAnswer:
    return strict_json.read(PreparedAnswer, answer)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer["kind"])
def test_every_answer_comes_back_from_its_form(answer: dict[str, Any]) -> None:
    form = Form()
    forms.fill_answer(form, "answer", answer)
    assert read(forms.answer_of(form, "answer")) == read(answer)


def test_a_list_of_answers_comes_back_with_how_they_are_picked() -> None:
    definition = {"answers": ANSWERS[:2], "pick": "random"}
    form = Form()
    forms.fill_answers(form, definition)
    assert forms.answers_of(form) == definition


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kind": "image"}, "answer.file_id.image"),
        ({"kind": "choices", "text": "问什么？", "choices": "a\n<"}, "answer.choices"),
        ({"kind": "news", "articles[7].title": "甲"}, "answer.articles[7].url"),
    ],
    ids=["file", "choices", "articles"],
)
def test_a_problem_finds_its_field(fields: dict[str, str], expected: str) -> None:
    form = Form({f"answer.{name}": value for name, value in fields.items()})
    with pytest.raises(InvalidDefinition) as raised:
        read(forms.answer_of(form, "answer"))
    found = [forms.field_of(f"answer.{problem.field}", form) for problem in raised.value.problems]
    assert found == [expected]


def test_a_problem_of_a_list_finds_its_field_where_an_answer_was_removed() -> None:
    form = Form({"answers[1].kind": "text", "answers[4].kind": "image"})
    assert forms.field_of("answers[1].file_id", form) == "answers[4].file_id.image"
    assert forms.field_of("answers", form) == "answers"
