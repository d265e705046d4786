"""What owners can define as a rule, and what they are told when they cannot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from wechat_bot.routing.answers import Giving, MissingFile, PreparedAnswer
from wechat_bot.routing.definitions import Pattern, Rule, Schedule, ScheduleReason, advice
from wechat_bot.routing.strict_json import InvalidDefinition, read
from wechat_bot.wechat.replies import ImageReply, NewsReply, PlatformAIReply, Reply, TextReply, TransferReply

RULE: dict[str, Any] = {
    "name": "价格",
    "trigger": {"type": "text"},
    "patterns": [{"match": "contains", "text": "价格"}],
    "answers": [{"kind": "text", "text": "十元"}],
}
ARTICLE = {"title": "春茶", "url": "https://example.com/tea"}
ANSWERS: list[dict[str, Any]] = [
    {"kind": "text", "text": "你好"},
    {"kind": "image", "file_id": 3},
    {"kind": "voice", "file_id": 3},
    {"kind": "video", "file_id": 3, "title": "片"},
    {"kind": "music", "url": "https://example.com/a.mp3", "cover_file_id": 3},
    {"kind": "news", "articles": [ARTICLE, {**ARTICLE, "picture": "https://example.com/p.jpg"}]},
    {"kind": "published", "article_id": "a1", "article": ARTICLE},
    {"kind": "choices", "text": "选一个", "choices": ["好", "不好"]},
    {"kind": "mini_program", "app_id": "wx1", "path": "pages/a", "title": "店", "url": "https://example.com"},
    {"kind": "person", "text": "请稍等"},
    {"kind": "person", "desk": True, "agent": "anna@shop"},
    {"kind": "platform_ai"},
    {"kind": "nothing"},
]


def problems(**changes: Any) -> list[str]:
    """What is wrong with the rule after `changes`, in words."""
    with pytest.raises(InvalidDefinition) as caught:
        Rule.from_json({**RULE, **changes})
    return [str(problem) for problem in caught.value.problems]


def prepared(definition: dict[str, Any]) -> PreparedAnswer:
    return Rule.from_json({**RULE, "answers": [definition]}).answers[0]


def test_a_rule_is_read_as_it_was_written() -> None:
    full = {
        **RULE,
        "enabled": False,
        "answers": [{"kind": "text", "text": "一"}, {"kind": "image", "file_id": 7}],
        "pick": "in_turn",
        "schedule": {"hours": ["09:00-18:00"], "weekdays": [1, 5], "first_day": "2026-01-01"},
        "audience": {"tags": ["会员"], "followed_since": "2025-06-01"},
        "cool_down": 60,
        "notes": "问过老板",
    }
    assert Rule.from_json(full).to_json() == full
    assert Rule.from_json(RULE).to_json() == RULE


@pytest.mark.parametrize("definition", ANSWERS, ids=lambda answer: answer["kind"])
def test_every_kind_of_answer_is_read_as_it_was_written(definition: dict[str, Any]) -> None:
    assert Rule.from_json({**RULE, "answers": [definition]}).to_json()["answers"] == [definition]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": " "}, "name is blank"),
        ({"name": "x" * 65}, "name has more than 64 characters"),
        ({"name": "a\x00"}, "name is not written as characters of Unicode without NUL"),
        ({"name": 3}, "name is not text"),
        ({"enabled": 1}, "enabled is not true or false"),
        ({"hits": 3}, "hits is not known"),
        ({"trigger": {}}, "trigger.type is missing"),
        ({"trigger": "text"}, "trigger is not an object"),
        ({"trigger": {"type": "text", "keys": ["A"]}}, "trigger.keys has no meaning for the trigger text"),
        ({"trigger": {"type": "menu"}, "patterns": []}, "trigger.keys is blank"),
        ({"trigger": {"type": "followed"}}, "patterns has no meaning for the trigger followed"),
        ({"patterns": []}, "patterns is missing"),
        ({"patterns": [{"match": "whole", "text": "\u200b "}]}, "patterns[0].text is blank"),
        (
            {"patterns": [{"match": "whole", "text": "x" * 201}]},
            "patterns[0].text has more than 200 characters",
        ),
        ({"patterns": [{"match": "number", "text": "一"}]}, "patterns[0].text is not written as 1 to 999"),
        ({"answers": []}, "answers is missing"),
        ({"answers": [{"kind": "text", "text": " "}]}, "answers[0].text is blank"),
        ({"answers": [{"kind": "text", "text": "字" * 683}]}, "answers[0].text has more than 2048 bytes"),
        ({"answers": [{"kind": "image", "file_id": 0}]}, "answers[0].file_id is less than 1"),
        ({"answers": [{"kind": "image", "file_id": True}]}, "answers[0].file_id is not a whole number"),
        ({"answers": [{"kind": "news", "articles": [ARTICLE] * 9}]}, "answers[0].articles has more than 8"),
        (
            {"answers": [{"kind": "nothing"}, RULE["answers"][0]]},
            "answers[0] cannot be one of several answers",
        ),
        (
            {"answers": [{"kind": "text", "text": "{{city}}"}]},
            "answers[0] has the variable city, which has no value here",
        ),
        ({"schedule": {"hours": ["9-18"]}}, "schedule.hours[0] is not written as 09:00-18:00"),
        ({"schedule": {"hours": ["09:00-25:00"]}}, "schedule.hours[0] is not written as 09:00-18:00"),
        ({"schedule": {"weekdays": [0]}}, "schedule.weekdays[0] is out of range: 1 to 7"),
        ({"schedule": {"first_day": "1.1."}}, "schedule.first_day is not written as 2026-12-31"),
        ({"cool_down": -1}, "cool_down is out of range: 0 to 2592000"),
    ],
)
def test_an_owner_is_told_which_field_is_wrong_and_why(changes: dict[str, Any], problem: str) -> None:
    assert problem in problems(**changes)


def test_all_problems_are_told_at_once() -> None:
    broken: dict[str, Any] = {
        "name": "",
        "cool_down": -1,
        "answers": [{"kind": "text", "text": ""}, {"kind": "image"}, {"kind": "nothing"}],
        "schedule": {"first_day": "1.1.", "weekdays": [8]},
        "pick": "best",
        "hits": 3,
    }
    assert problems(**broken) == [
        "answers[0].text is blank",
        "answers[1].file_id is missing",
        "pick is none of: all, random, in_turn",
        "schedule.first_day is not written as 2026-12-31",
        "schedule.weekdays[0] is out of range: 1 to 7",
        "hits is not known",
        "name is blank",
        "cool_down is out of range: 0 to 2592000",
        "answers[2] cannot be one of several answers",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"patterns": [{"match": "like", "text": "x"}]}, "patterns[0].match is none of"),
        ({"patterns": "x"}, "patterns is not a list"),
        ({"trigger": {"type": "out_of_hours"}, "patterns": [], "schedule": []}, "schedule is not an object"),
        ({"answers": [{"kind": "poem"}]}, "answers[0].kind is none of"),
        ({"name": None}, "name is not text"),
    ],
)
def test_what_cannot_be_read_is_told_once(changes: dict[str, Any], problem: str) -> None:
    [told] = problems(**changes)
    assert told.startswith(problem)


@pytest.mark.parametrize("expression", [r"(a)\1", "(?=a)b", "(", "a{2000}", "((a{100}){100}){100}"])
def test_a_pattern_that_could_take_long_is_refused_with_the_reason(expression: str) -> None:
    [problem] = problems(patterns=[{"match": "pattern", "text": expression}])
    assert problem.startswith("patterns[0].text is not a pattern: ")


def test_groups_of_a_pattern_are_variables_of_its_answers() -> None:
    pattern = {"match": "pattern", "text": r"天气\s*(?P<city>.+)"}
    text = {"kind": "text", "text": "{{city}} {{1}} {{name|朋友}}"}
    assert Rule.from_json({**RULE, "patterns": [pattern], "answers": [text]})


def test_a_keyword_of_one_character_and_a_long_one_are_remarked() -> None:
    patterns = [
        {"match": "contains", "text": "茶"},
        {"match": "whole", "text": "茶"},
        {"match": "starts", "text": "茶" * 31},
    ]
    found = advice(Rule.from_json({**RULE, "patterns": patterns}))
    assert found == {"patterns[0].text": "one_character", "patterns[2].text": "long"}


# Times


@pytest.mark.parametrize(
    ("schedule", "moment", "reason"),
    [
        ({}, "2026-11-28T03:00", None),
        ({"hours": ["09:00-18:00"]}, "2026-11-28T09:00", None),
        ({"hours": ["09:00-18:00"]}, "2026-11-28T18:00", ScheduleReason.HOURS),
        ({"hours": ["09:00-12:00", "14:00-24:00"]}, "2026-11-28T23:59", None),
        ({"weekdays": [6]}, "2026-11-28T12:00", None),
        ({"weekdays": [5]}, "2026-11-28T12:00", ScheduleReason.WEEKDAY),
        ({"weekdays": [5], "hours": ["22:00-02:00"]}, "2026-11-28T01:59", None),
        ({"weekdays": [6], "hours": ["22:00-02:00"]}, "2026-11-28T01:59", ScheduleReason.HOURS),
        ({"first_day": "2026-11-28", "last_day": "2026-11-28"}, "2026-11-28T12:00", None),
        ({"first_day": "2026-11-29"}, "2026-11-28T12:00", ScheduleReason.DATE),
        ({"last_day": "2026-11-27"}, "2026-11-28T00:00", ScheduleReason.DATE),
    ],
)
def test_a_schedule_holds_at_its_times(schedule: Any, moment: str, reason: ScheduleReason | None) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert read(Schedule, schedule).refusal(now) == reason


# Replies


def given(definition: dict[str, Any], **variables: str) -> Reply | None:
    return prepared(definition).reply(Giving(lambda file_id: f"media-{file_id}", variables))


def passive(definition: dict[str, Any]) -> Reply | None:
    reply = given(definition)
    return reply and reply.passive


def test_every_kind_of_answer_but_silence_becomes_a_passive_reply() -> None:
    kinds = {answer["kind"]: type(passive(answer)) for answer in ANSWERS}
    assert kinds["image"] is ImageReply
    assert kinds["news"] is kinds["published"] is NewsReply
    assert kinds["choices"] is kinds["mini_program"] is TextReply
    assert kinds["person"] is TransferReply
    assert kinds["platform_ai"] is PlatformAIReply
    assert [kind for kind, reply in kinds.items() if not issubclass(reply, Reply)] == ["nothing"]


def test_the_choices_of_an_answer_can_be_tapped() -> None:
    reply = passive({"kind": "choices", "text": "选", "choices": ["好 的"], "ending": "完"})
    link = '<a href="weixin://bizmsgmenu?msgmenucontent=%E5%A5%BD%20%E7%9A%84&msgmenuid=choice-1">好 的</a>'
    assert reply == TextReply(f"选\n{link}\n完")


def test_a_variable_has_its_value_or_its_default() -> None:
    text = {"kind": "text", "text": "{{ name|朋友 }}，{{time}} 好"}
    assert given(text, name="小明", time="09:30") == TextReply("小明，09:30 好")
    assert given(text, time="09:30") == TextReply("朋友，09:30 好")


def test_a_file_that_the_platform_does_not_have_is_no_answer() -> None:
    def missing(file_id: int) -> str:
        raise MissingFile

    with pytest.raises(MissingFile):
        prepared({"kind": "image", "file_id": 3}).reply(Giving(missing, {}))


def test_the_groups_of_a_pattern_have_names_and_numbers() -> None:
    pattern = read(Pattern, {"match": "pattern", "text": "(?P<a>x)(y)"})
    assert pattern.groups == {"0", "1", "2", "a"}
