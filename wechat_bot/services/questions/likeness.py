"""Whether two questions are alike: by the pairs of characters that both have.

The likeness of two texts is the Jaccard index of their pairs: those that both have, divided by those that one
of them has. Of two texts that are alike, the first pairs of each (`prefix`), in an order that all texts have
in common, share `needed_in_prefix` at least. So an index of these pairs finds every group that a text may
belong to, and few others.
"""

from __future__ import annotations

from functools import lru_cache
from operator import add
from unicodedata import category
from zlib import crc32

from ...routing.conditions import normalize
from ..search.tokens import fold, pair_tokens

MAX_TEXT = 200
"""Characters of a question that are compared."""
_NUMERATOR, _DENOMINATOR = 3, 5
"""The likeness from which on two texts are alike, 0.6, as a fraction, since floats would round."""
_IGNORED = {"C", "P", "S", "Z"}
"""Categories of characters that do not count: punctuation, symbols such as emoji, and blanks."""


def tokens_of_question(text: str) -> frozenset[int]:
    """Return numbers for the pairs of characters of a text, or for its only character."""
    counted = fold("".join(char for char in normalize(text[:MAX_TEXT]) if category(char)[0] not in _IGNORED))
    return frozenset(map(_token, map(add, counted, counted[1:]) if len(counted) > 1 else counted))


@lru_cache(maxsize=16_384)
def _token(characters: str) -> int:
    [token] = pair_tokens(characters)
    return crc32(token.encode())


def prefix(tokens: frozenset[int]) -> list[int]:
    """Return the tokens of a text that are compared first."""
    return sorted(tokens)[: _prefix_length(len(tokens))]


def _prefix_length(size: int) -> int:
    """Return how many tokens the prefix of a text with so many has.

    It shares two tokens at least with the prefix of every text that is like it, or its only one.
    """
    return size - sizes_alike(size).start + min(size, 2)


def needed_in_prefixes(size: int, other: int) -> int:
    """Return how many tokens the prefixes of two texts that are alike share at least, by the texts' tokens.

    A token of both texts that is in one prefix only comes behind the other prefix, in the order of all
    tokens. So all of these come behind the prefix that ends first.
    """
    common = -(-(size + other) * _NUMERATOR // (_NUMERATOR + _DENOMINATOR))
    return common - max(size - _prefix_length(size), other - _prefix_length(other))


def likeness(one: frozenset[int], other: frozenset[int]) -> float:
    """Return the likeness of two texts by their tokens, and 0 if they are not alike."""
    common = len(one & other)
    either = len(one) + len(other) - common
    return common / either if common * _DENOMINATOR >= either * _NUMERATOR else 0.0


def sizes_alike(size: int) -> range:
    """Return how many tokens a text has that may be like one with so many."""
    return range(-(-_NUMERATOR * size // _DENOMINATOR), size * _DENOMINATOR // _NUMERATOR + 1)
