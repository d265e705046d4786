"""Finds the groups to which unanswered questions belong, by their likeness."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from sqlalchemy import Connection, select

from ...models import QuestionGroup, QuestionToken
from .likeness import likeness, needed_in_prefixes, prefix, sizes_alike, tokens_of_question

MAX_IDS = 5000
"""Ids in one statement, of which databases take a limited number."""
_INDEXED = select(QuestionToken.token, QuestionToken.group_id, QuestionToken.size).execution_options(
    yield_per=1000
)
_TEXTS = select(QuestionGroup.id, QuestionGroup.text)


@dataclass(frozen=True)
class Question:
    """A message that nobody answered."""

    message_id: int
    text: str
    """Its beginning, with which others are compared."""
    at: datetime


class _Index:
    """Finds the groups that a text may be like by the tokens of prefixes."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._by_token: dict[int, list[int]] = defaultdict(list)

    def add(self, token: int, number: int, size: int) -> None:
        """Add a token of the prefix of a group, whose text has `size` tokens."""
        self._by_token[token].append(number)
        self._sizes[number] = size

    def candidates(self, tokens: frozenset[int]) -> list[int]:
        """Return the groups that a text with these tokens may be like."""
        counted = Counter(chain.from_iterable(self._by_token.get(token, ()) for token in prefix(tokens)))
        needed = {size: needed_in_prefixes(len(tokens), size) for size in sizes_alike(len(tokens))}
        least = min(needed.values())
        return [
            number
            for number, count in counted.items()
            if count >= least and count >= needed.get(self._sizes[number], math.inf)
        ]


class Matching:
    """Finds the groups of an account to which questions belong. Groups that are new have negative numbers."""

    def __init__(self, connection: Connection, account_id: int, asked: Iterable[Question]) -> None:
        self.groups: dict[Question, int] = {}
        self.new: dict[int, tuple[Question, frozenset[int]]] = {}
        """The first questions of new groups, with their tokens."""
        self._new_groups = _Index()
        tokens = {each: found for each in asked if (found := tokens_of_question(each.text))}
        self._candidates = _stored_candidates(connection, account_id, set(tokens.values()))
        numbers = {number for several in self._candidates.values() for number in several}
        self._tokens = _stored_tokens(connection, sorted(numbers))
        """Those of the groups to which questions may belong."""
        for each, found in tokens.items():
            self.groups[each] = self._find(found) or self._add(each, found)

    def _find(self, tokens: frozenset[int]) -> int | None:
        """Return the group whose text is most like one with these tokens, the oldest of several."""
        candidates = self._candidates[tokens] + self._new_groups.candidates(tokens)
        found = ((likeness(tokens, self._tokens[each]), -abs(each), each) for each in candidates)
        best = max(found, default=(0.0, 0, 0))
        return best[2] if best[0] else None

    def _add(self, first: Question, tokens: frozenset[int]) -> int:
        number = -len(self.new) - 1
        self.new[number] = first, tokens
        self._tokens[number] = tokens
        for token in prefix(tokens):
            self._new_groups.add(token, number, len(tokens))
        return number


def _stored_candidates(
    connection: Connection, account_id: int, texts: Collection[frozenset[int]]
) -> dict[frozenset[int], list[int]]:
    """Return the stored groups that each of the texts may be like."""
    index = _Index()
    wanted = {token for tokens in texts for token in prefix(tokens)}
    indexed = _INDEXED.where(QuestionToken.account_id == account_id, QuestionToken.token.in_(wanted))
    for entry in connection.execute(indexed):
        index.add(*entry)
    return {tokens: index.candidates(tokens) for tokens in texts}


def _stored_tokens(connection: Connection, numbers: Sequence[int]) -> dict[int, frozenset[int]]:
    """Return the tokens of the texts of stored groups."""
    found: dict[int, frozenset[int]] = {}
    for first in range(0, len(numbers), MAX_IDS):
        texts = _TEXTS.where(QuestionGroup.id.in_(numbers[first : first + MAX_IDS]))
        found |= {row.id: tokens_of_question(row.text) for row in connection.execute(texts)}
    return found
