"""Questions with what is expected of the answers, as operators and files define them, and their judgement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from ...routing import strict_json
from ...routing.conditions import normalize
from ...routing.strict_json import Definition, Problem, ProblemCode
from ...simulator.scenarios import parse_yaml

MAX_QUESTION = 500
MAX_WORDS = 20
MAX_WORD = 200
"""Upper limits: characters, and how many words are expected or excluded."""
_SOURCE = re.compile(r"(pair|document|article|rule|canned):[1-9]\d{0,14}")


class Expected(StrEnum):
    """Who is to answer a question."""

    ANSWER = "answer"
    """The model, from a passage."""
    UNKNOWN = "unknown"
    """Nobody: the model does not know, and a person is offered."""
    RULE = "rule"
    """A rule, before the model is asked."""


@dataclass(frozen=True)
class Case(Definition):
    """A question, and what is expected of the answer."""

    question: str
    expected: Expected = Expected.ANSWER
    contains: tuple[str, ...] = ()
    """Words that occur in the answer, all of them, in whatever case and width."""
    excludes: tuple[str, ...] = ()
    """Words none of which occurs in it."""
    source: str = ""
    """A passage from which it comes, such as ``pair:12``; empty: any."""
    rule: int = 0
    """The id of the rule that answers, if one is to."""

    def problems(self) -> Iterator[Problem]:
        if not self.question.strip():
            yield Problem("question", ProblemCode.BLANK)
        elif len(self.question) > MAX_QUESTION:
            yield Problem("question", ProblemCode.CHARACTERS, str(MAX_QUESTION))
        for name in ("contains", "excludes"):
            yield from _problems_of_words(name, getattr(self, name))
        if self.source and not _SOURCE.fullmatch(self.source):
            yield Problem("source", ProblemCode.FORMAT, "pair:12")
        if self.expected is Expected.RULE and self.rule < 1:
            yield Problem("rule", ProblemCode.NOT_POSITIVE)


def _problems_of_words(name: str, words: tuple[str, ...]) -> Iterator[Problem]:
    if len(words) > MAX_WORDS:
        yield Problem(name, ProblemCode.TOO_MANY, str(MAX_WORDS))
    for number, word in enumerate(words):
        if not word.strip():
            yield Problem(f"{name}[{number}]", ProblemCode.BLANK)
        elif len(word) > MAX_WORD:
            yield Problem(f"{name}[{number}]", ProblemCode.CHARACTERS, str(MAX_WORD))


# Judgement


@dataclass(frozen=True)
class Given:
    """What a question was answered."""

    outcome: str
    """That of the assistant, such as ``answered`` or ``unknown``; ``rule`` if a rule answers instead."""
    text: str = ""
    passages: tuple[dict[str, Any], ...] = ()
    """The source, id and title of each passage that the model was given."""
    rule_id: int | None = None
    milliseconds: int = 0
    tokens: int = 0
    error: str = ""


class Failure(StrEnum):
    """Why an answer is not as expected. A detail says which word, passage, rule or outcome."""

    OUTCOME = "outcome"
    LACKS = "lacks"
    HAS = "has"
    SOURCE = "source"
    RULE = "rule"


def judge(case: Case, given: Given) -> list[tuple[Failure, str]]:
    """Return what is not as expected, with its details; nothing if the answer passes."""
    if case.expected is Expected.RULE:
        return [] if given.rule_id == case.rule else [(Failure.RULE, str(case.rule))]
    wanted = {"answered"} if case.expected is Expected.ANSWER else {"unknown", "handed_over"}
    if given.outcome not in wanted:
        return [(Failure.OUTCOME, given.error or given.outcome)]
    text = normalize(given.text)
    found = [(Failure.LACKS, word) for word in case.contains if normalize(word) not in text]
    found += [(Failure.HAS, word) for word in case.excludes if normalize(word) in text]
    sources = {f"{passage['source']}:{passage['id']}" for passage in given.passages}
    if case.source and case.source not in sources:
        found.append((Failure.SOURCE, case.source))
    return found


# Files


def load(text: str) -> list[Case]:
    """Return the questions of a file, which has them in a list ``questions``.

    :raises ScenarioError: if it is not YAML.
    :raises InvalidDefinition: if it has anything else.
    """
    return list(strict_json.read(_File, parse_yaml(text)).questions)


def dump(cases: Sequence[Case]) -> str:
    """Return the text of a file, from which `load` makes the questions again."""
    document = strict_json.to_json(_File(tuple(cases)))
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=110)


@dataclass(frozen=True)
class _File(Definition):
    questions: tuple[Case, ...]


def read(definition: Any) -> Case:
    """Return the question in a JSON value.

    :raises InvalidDefinition: if it is none.
    """
    return strict_json.read(Case, definition)
