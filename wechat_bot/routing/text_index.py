"""Finds which of thousands of patterns match a text, in about the time that one takes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ahocorasick
import re2

from .conditions import clean, normalize
from .definitions import MatchKind, Pattern

Target = tuple[int, int]
"""The key of a list of patterns, and the number of a pattern in it."""

SET_MEMORY = 64 << 20
"""Bytes that the automaton of all regular expressions may take."""

_NUMBER = re.compile(r"[(\[【]?([1-9][0-9]{0,2})[.。、,:)\]】]?")


@dataclass
class _Word:
    """A text that is looked for anywhere."""

    number: int
    contains: list[Target] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    """The conjunctions to which it belongs."""


class TextIndex:
    """Patterns of the keys in `patterns`, of which the smaller ones come first."""

    def __init__(self, patterns: Iterable[tuple[int, Sequence[Pattern]]]) -> None:
        self._whole: dict[str, list[Target]] = defaultdict(list)
        self._starts: dict[str, list[Target]] = defaultdict(list)
        self._numbers: dict[str, list[Target]] = defaultdict(list)
        self._words: dict[str, _Word] = {}
        self._conjunctions: list[tuple[frozenset[int], Target]] = []
        self._expressions: list[tuple[Pattern, Target]] = []
        for key, several in patterns:
            for number, pattern in enumerate(several):
                self._add(pattern, (key, number))
        self._lengths = sorted({len(start) for start in self._starts})
        self._automaton = _automaton(self._words)
        self._set = _expression_set([pattern.text for pattern, _ in self._expressions])

    def _add(self, pattern: Pattern, target: Target) -> None:
        keyword = pattern.keyword
        match pattern.match:
            case MatchKind.WHOLE:
                self._whole[keyword].append(target)
            case MatchKind.STARTS:
                self._starts[keyword].append(target)
            case MatchKind.NUMBER:
                self._numbers[keyword].append(target)
            case MatchKind.CONTAINS:
                self._word(keyword).contains.append(target)
            case MatchKind.WORDS:
                words = [self._word(word) for word in keyword.split()]
                for word in words:
                    word.words.append(len(self._conjunctions))
                self._conjunctions.append((frozenset(word.number for word in words), target))
            case MatchKind.PATTERN:
                self._expressions.append((pattern, target))

    def _word(self, word: str) -> _Word:
        return self._words.setdefault(word, _Word(len(self._words)))

    def find(self, content: str) -> dict[int, int]:
        """Return the keys of which a pattern matches, each with the number of the first that does."""
        targets = self.find_keywords(normalize(content))
        if self._expressions:
            targets += self._find_expressions(clean(content))
        found: dict[int, int] = {}
        for key, number in sorted(targets, reverse=True):  # the first of each key comes last
            found[key] = number
        return found

    def find_keywords(self, text: str) -> list[Target]:
        """Return the patterns that match the normalized `text`, without regular expressions."""
        targets = [*self._whole.get(text, ())]
        for length in self._lengths:
            targets += self._starts.get(text[:length], ())
        if self._numbers and (number := _NUMBER.fullmatch(text)):
            targets += self._numbers.get(number[1], ())
        if self._automaton:
            targets += self._find_words(text)
        return targets

    def _find_words(self, text: str) -> list[Target]:
        words = {id(word): word for _, word in self._automaton.iter(text)}.values()
        targets = [target for word in words for target in word.contains]
        if conjunctions := {number for word in words for number in word.words}:
            present = {word.number for word in words}
            complete = (self._conjunctions[number] for number in conjunctions)
            targets += [target for needed, target in complete if needed <= present]
        return targets

    def _find_expressions(self, text: str) -> list[Target]:
        if self._set is None:
            return [target for pattern, target in self._expressions if pattern.regex.fullmatch(text)]
        return [self._expressions[number][1] for number in self._set.Match(text) or ()]


def _automaton(words: dict[str, _Word]) -> Any:
    """Return an Aho-Corasick automaton of `words`; None if there are none."""
    automaton = ahocorasick.Automaton()
    for text, word in words.items():
        automaton.add_word(text, word)
    automaton.make_automaton()
    return automaton if words else None


def _expression_set(expressions: Sequence[str]) -> Any:
    """Return an automaton that matches all expressions at once; None if it would take too much memory."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = SET_MEMORY
    found = re2.Set.FullMatchSet(options)
    try:
        for expression in expressions:
            found.Add(expression)
        found.Compile()
    except re2.error:
        return None
    return found
