"""What is expected of answers, and whether they are so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_bot.routing.strict_json import InvalidDefinition
from wechat_bot.services.evaluations import definitions
from wechat_bot.services.evaluations.definitions import Case, Expected, Failure, Given, judge
from wechat_bot.simulator.scenarios import ScenarioError

PASSAGES = ({"source": "pair", "id": 12, "title": "营业时间"},)


@pytest.mark.parametrize(
    ("expected", "answered", "failures"),
    [
        ({}, Given("answered", "九点"), []),
        ({}, Given("unknown", "不知道"), [(Failure.OUTCOME, "unknown")]),
        ({}, Given("failed", error="timeout"), [(Failure.OUTCOME, "timeout")]),
        ({}, Given("rule", rule_id=3), [(Failure.OUTCOME, "rule")]),
        ({"contains": ["九点", "ＷＩＦＩ"]}, Given("answered", "九点，有wifi"), []),
        ({"contains": ["九点", "十点"]}, Given("answered", "九点"), [(Failure.LACKS, "十点")]),
        ({"excludes": ["退款"]}, Given("answered", "可以退款"), [(Failure.HAS, "退款")]),
        ({"source": "pair:12"}, Given("answered", "九点", PASSAGES), []),
        ({"source": "pair:1"}, Given("answered", "九点", PASSAGES), [(Failure.SOURCE, "pair:1")]),
        ({"expected": "unknown"}, Given("unknown", "不知道"), []),
        ({"expected": "unknown"}, Given("handed_over"), []),
        ({"expected": "unknown"}, Given("answered", "九点"), [(Failure.OUTCOME, "answered")]),
        ({"expected": "rule", "rule": 3}, Given("rule", rule_id=3), []),
        ({"expected": "rule", "rule": 3}, Given("rule", rule_id=4), [(Failure.RULE, "3")]),
        ({"expected": "rule", "rule": 3}, Given(""), [(Failure.RULE, "3")]),
    ],
)
def test_an_answer_is_judged(
    expected: dict[str, Any], answered: Given, failures: list[tuple[Failure, str]]
) -> None:
    case = definitions.read({"question": "几点开门", **expected})
    assert judge(case, answered) == failures


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({}, "question"),
        ({"question": " "}, "question"),
        ({"question": "长" * 501}, "question"),
        ({"question": "几点", "contains": [""]}, "contains[0]"),
        ({"question": "几点", "excludes": ["x"] * 21}, "excludes"),
        ({"question": "几点", "source": "pair"}, "source"),
        ({"question": "几点", "expected": "rule"}, "rule"),
        ({"question": "几点", "answer": "九点"}, "answer"),
    ],
)
def test_what_is_no_question_is_refused_at_its_field(definition: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        definitions.read(definition)
    assert [problem.field for problem in caught.value.problems] == [field]


WORDS = st.lists(st.text("九点 :-#'\"", min_size=1, max_size=9).filter(str.strip), max_size=3).map(tuple)
CASES = st.builds(
    Case,
    question=st.text("几点开门？: #\n", min_size=1, max_size=20).filter(str.strip),
    expected=st.sampled_from([Expected.ANSWER, Expected.UNKNOWN]),
    contains=WORDS,
    excludes=WORDS,
    source=st.sampled_from(["", "pair:1", "document:22"]),
)


@given(st.lists(CASES, max_size=4))
def test_a_file_has_what_was_written_to_it(cases: list[Case]) -> None:
    assert definitions.load(definitions.dump(cases)) == cases


@pytest.mark.parametrize("text", ["questions: [", "a: &x 1\nb: *x"])
def test_a_file_that_is_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(ScenarioError):
        definitions.load(text)


@pytest.mark.parametrize("text", ["", "- question: 几点", "questions: 几点", "questions: [{question: ''}]"])
def test_a_file_without_questions_is_refused(text: str) -> None:
    with pytest.raises(InvalidDefinition):
        definitions.load(text)
