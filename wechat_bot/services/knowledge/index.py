"""An index in memory that finds the passages which cover a question.

A text consists of units: each Chinese character is one, and so is each Latin word or number. Tokens are the
units and the pairs of neighbouring units of the folded text (`search.tokens.fold`), so that nothing has to be
segmented into words. ``docs/knowledge.md`` describes the score for operators.
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from operator import itemgetter
from typing import Generic, TypeVar

from ..search.tokens import fold

K = TypeVar("K", bound=Hashable)

MAX_QUESTION = 200
"""Characters of a question that are looked at."""
ALONE = 0.5
"""How much of a character counts as covered when none of its neighbours in the question is beside it."""
SHARE_OF_RANK = 0.3
"""How much of a score the passage loses at most that BM25 ranks last."""
MAX_POSTINGS = 10_000
"""Postings that are read for a question, which limits its time. Rare tokens are read first."""
CANDIDATES = 20
"""Passages of which the coverage is computed."""
_SATURATION, _LENGTH_SHARE = 1.2, 0.5
"""k1 and b of BM25."""

_RUN = re.compile(r"[^\W_]+")
_UNIT = re.compile(r"[a-z0-9]+|.")
_FILLERS = re.compile(
    "请问|您好|你好|谢谢|麻烦|一下|知道|告诉|为什么|是不是|能不能|可不可以|有没有|要不要|可以|什么|怎么样|怎么办|怎么|怎样|如何"
    "|哪里|哪儿|哪个|哪些|多少|多久|几个|需要|想要|我们|你们|咱们"
)
"""Words that say nothing about the subject of a question, and are therefore left out."""
_PARTICLES = frozenset("的了吗呢吧啊呀哦嘛么我你您咱他她它是在有和与想要请能会就也都还把被给让到")
"""Characters that need not be covered. They may be parts of words that say something, as in 申请 and 会员."""


def _runs(folded: str) -> list[list[str]]:
    """Return the units of a folded text, in lists of units with nothing between them."""
    return [[run] if run.isascii() else _UNIT.findall(run) for run in _RUN.findall(folded)]


def _tokens(folded: str) -> set[str]:
    found: list[str] = []
    for run in _runs(folded):
        found += run
        found += map(str.__add__, run, run[1:])
    return set(found)


def _in_head(token: str) -> str:
    """Return what stands for a token in the head of a passage, which counts beside the token itself."""
    return "^" + token


Slots = Sequence[int]


@dataclass(frozen=True)
class _Asked:
    """A unit of a question: the slots with it, its weight, and the slots with it and its next neighbour."""

    slots: Slots
    weight: float
    beside_next: Slots
    alone: float
    """How much of it counts as covered where it stands without a neighbour."""


class PassageIndex(Generic[K]):
    """Maps tokens to passages, which are known by keys. One thread may change it while others search."""

    def __init__(self) -> None:
        self._keys: list[K | None] = []
        """The keys by slots; None for passages that have been removed."""
        self._lengths = array("I")
        self._total_length = 0
        self._slots: dict[K, int] = {}
        self._postings: defaultdict[str, array[int]] = defaultdict(lambda: array("I"))
        """The slots of the passages that have a token, in ascending order."""

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def is_sparse(self) -> bool:
        """Whether more passages have been removed than are left, so that a new index is better."""
        return len(self._keys) > 2 * len(self._slots) + 100

    def add(self, key: K, head: str, text: str) -> None:
        """Add a passage that is found by `head`, its title and questions, and by `text`."""
        folded_head, folded = fold(head), fold(text)
        heading = _tokens(folded_head)
        slot = len(self._keys)
        self._slots[key] = slot
        self._lengths.append(len(folded_head) + len(folded))
        self._total_length += self._lengths[-1]
        self._keys.append(key)
        for token in {*_tokens(folded), *heading, *map(_in_head, heading)}:
            self._postings[token].append(slot)

    def remove(self, key: K) -> None:
        self._keys[self._slots.pop(key)] = None

    def find(self, question: str, limit: int) -> list[tuple[K, float]]:
        """Return the keys of the passages that cover most of a question with their scores, best first.

        The score is the share of the question that a passage covers, 0 to 1, of which it loses up to
        `SHARE_OF_RANK` the worse BM25 ranks it. Units count by their inverse document frequency. A unit is
        covered in full if it stands in the passage beside a neighbour that it has in the question, and as
        `ALONE` says if it stands there by itself.
        """
        runs = _asked_for(question)
        ranked = self._rank(runs)
        asked = [unit for run in runs for unit in self._look_up(run)]
        whole = sum(unit.weight for unit in asked)
        if not ranked or not whole:
            return []
        best = ranked[0][1]
        covered = [
            (key, _coverage(asked, slot) / whole * (1 - SHARE_OF_RANK + SHARE_OF_RANK * rank / best))
            for slot, rank in ranked
            if (key := self._keys[slot]) is not None
        ]
        return nlargest(limit, covered, key=itemgetter(1))

    def _rank(self, runs: Sequence[Sequence[str]]) -> list[tuple[int, float]]:
        """Return the slots that BM25 ranks first with its scores. A token counts once in each passage."""
        wanted = {token for run in runs for token in (*run, *map(str.__add__, run, run[1:]))} - _PARTICLES
        tokens = [token for token in {*wanted, *map(_in_head, wanted)} if token in self._postings]
        sums: defaultdict[int, float] = defaultdict(float)
        left = MAX_POSTINGS
        for slots in sorted(map(self._postings.__getitem__, tokens), key=len):
            if sums and len(slots) > left:
                break
            left -= len(slots)
            weight = self._weight(slots)
            for slot in slots:
                sums[slot] += weight
        return nlargest(CANDIDATES, self._scores(sums), key=itemgetter(1))

    def _scores(self, sums: Mapping[int, float]) -> Iterator[tuple[int, float]]:
        """Yield the slots with their weights, which BM25 reduces in long passages."""
        lengths = self._lengths
        fixed = 1 + _SATURATION * (1 - _LENGTH_SHARE)
        by_length = _SATURATION * _LENGTH_SHARE * len(lengths) / max(self._total_length, 1)
        for slot, total in sums.items():
            yield slot, total / (fixed + by_length * lengths[slot])

    def _look_up(self, run: Sequence[str]) -> Iterator[_Asked]:
        for unit, pair in zip(run, (*map(str.__add__, run, run[1:]), ""), strict=True):
            slots = self._postings.get(unit, ())
            alone = ALONE if len(unit) == 1 else 1.0
            weight = 0.0 if unit in _PARTICLES else self._weight(slots)
            yield _Asked(slots, weight, self._postings.get(pair, ()), alone)

    def _weight(self, slots: Slots) -> float:
        """Return the inverse document frequency of a token that these passages have."""
        return math.log(1 + (len(self._keys) - len(slots) + 0.5) / (len(slots) + 0.5))


def _coverage(asked: Sequence[_Asked], slot: int) -> float:
    """Return how much of the weight of a question the passage in a slot covers."""
    covered, has_pair = 0.0, False
    for unit in asked:
        had_pair, has_pair = has_pair, _has(unit.beside_next, slot)
        if had_pair or has_pair:
            covered += unit.weight
        elif _has(unit.slots, slot):
            covered += unit.weight * unit.alone
    return covered


def _has(slots: Slots, slot: int) -> bool:
    place = bisect_left(slots, slot)
    return place < len(slots) and slots[place] == slot


def _asked_for(question: str) -> list[list[str]]:
    """Return the units of a question without fillers; with them if there is nothing else."""
    folded = fold(question[:MAX_QUESTION])
    return _runs(_FILLERS.sub(" ", folded)) or _runs(folded)
