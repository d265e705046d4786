"""Texts as search tokens, search queries, and the highlighting of matches.

A text has one token for each of its characters and one for each pair of neighbouring characters. Tokens are
plain ASCII, so that no tokenizer of a database changes them. A query selects the texts that have all tokens
of its words; where pairs do not prove a match, the folded text is compared (``docs/decisions/0005``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Any

from opencc import OpenCC

MAX_TOKENS = 24
"""Maximum number of tokens of a query. More tokens would hardly narrow the result."""

_SEARCHABLE_FIELDS = {"Title", "Description", "Url", "Label", "Poiname", "ScanResult"}
"""Fields of payloads that operators see and therefore can search for."""
_CHARACTER_LENGTH = len("x00000")
"""Length of the token of a single character."""
_WORD_OR_PHRASE = re.compile(r'"([^"]+)"|“([^”]+)”|(\S+)')
_BMP_END = 0x10000
_CACHED_TEXTS = 256
"""Number of texts whose tokens are kept, since bots repeat their answers and followers their words."""
_CACHED_LENGTH = 256
"""Maximum length of these texts, in characters. Together their tokens take 16 MB at most."""


_ACCENT = re.compile("[\u0300-\u036f]")
"""Combining marks of Latin, Greek and Cyrillic. In other scripts they distinguish words."""
_PLAIN_PUNCTUATION = str.maketrans(
    {mark: plain for plain, marks in {"'": "‘’‚‛", '"': "“”„‟", "-": "‐‑‒–—―−"}.items() for mark in marks}
)
_GROUPED_NUMBER = re.compile(r"\d(?:[ ()-]{0,2}\d){6,}")
_simplify = OpenCC("t2s").convert


class _FoldTable(dict[int, str]):
    """Maps code points to folded strings, for `str.translate`."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char.isspace():
            folded = " "
        elif unicodedata.category(char) in {"Cc", "Cf", "Cs"} or "\ufe00" <= char <= "\ufe0f":
            folded = ""
        else:
            letters = _ACCENT.sub("", unicodedata.normalize("NFKD", char)).translate(_PLAIN_PUNCTUATION)
            folded = _simplify(letters).casefold()
        if code < _BMP_END:  # bounds the cache: hostile texts could fill it with a million code points
            self[code] = folded
        return folded


_FOLD_TABLE = _FoldTable()


def fold(text: str) -> str:
    """Return `text` without case, width, accents and invisible characters, in simplified Chinese.

    Each character is folded by itself, so that folding keeps substrings: if a text contains another, so
    do their folded forms.
    """
    return text.translate(_FOLD_TABLE)


def search_form(text: str) -> str:
    """Return the folded `text`, and after it the numbers of seven digits or more that it writes in groups."""
    folded = fold(text)
    numbers = (number for number in _GROUPED_NUMBER.findall(folded) if not number.isdecimal())
    return "\n".join([folded, *(re.sub(r"\D", "", number) for number in numbers)])


class _CharacterTokens(dict[str, str]):
    """Maps characters to their tokens."""

    def __missing__(self, char: str) -> str:
        code = ord(char)
        token = f"x{code:05x}"
        if code < _BMP_END:  # bounds the cache, as above
            self[char] = token
        return token


_CHARACTER_TOKENS = _CharacterTokens()


def tokens_of(text: str) -> frozenset[str]:
    """Return a token for each character of the `search_form` and for each pair without white space."""
    return _cached_tokens(text) if len(text) <= _CACHED_LENGTH else _tokens_of(text)


def _tokens_of(text: str) -> frozenset[str]:
    found: list[str] = []
    for word in search_form(text).split():
        characters = list(map(_CHARACTER_TOKENS.__getitem__, word))
        found += characters
        found += [one + two[1:] for one, two in pairwise(characters)]
    return frozenset(found)


_cached_tokens = lru_cache(_CACHED_TEXTS)(_tokens_of)


@lru_cache(maxsize=4096)
def label(name: str, *values: str) -> str:
    """Return the token of a property that messages are filtered by, such as their kind."""
    whole = "\0".join((name, *values)).encode(errors="surrogatepass")
    return "f" + blake2b(whole, digest_size=8).hexdigest()


def filter_tokens(message: Any) -> frozenset[str]:
    """Return the filter tokens of a message. Those of kind and origin include the direction."""
    labels = _type_labels(message.direction, message.kind, message.event, message.origin)
    return labels | {label("follower", str(message.follower_id))} if message.follower_id else labels


@lru_cache(maxsize=1024)
def _type_labels(direction: str, kind: str, event: str, origin: str) -> frozenset[str]:
    labels = {label("direction", direction), label("kind", direction, kind)}
    labels.add(label("origin", direction, origin))
    return frozenset(labels | {label("event", event)} if event else labels)


def searchable(text: str, payload: Any) -> str:
    """Return the text that a message is found by: its `text` and the visible fields of its `payload`."""
    return "\n".join(dict.fromkeys([text, *_visible_fields(payload)])) if payload else text


def _visible_fields(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _visible_fields(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str):
                if name in _SEARCHABLE_FIELDS and item:
                    yield item
            else:
                yield from _visible_fields(item)


MAX_QUERY = 200
"""Upper limit of what is searched for, in characters. Lists refuse what is longer."""


@dataclass(frozen=True)
class Query:
    """Words that a text must all contain. A query without words is false."""

    words: tuple[str, ...]
    """Folded words. A phrase is one word that contains spaces."""

    @classmethod
    def parse(cls, text: str) -> Query:
        """Parse words separated by white space and phrases in quotation marks. Any text is valid."""
        found = (fold("".join(match.groups(default=""))).strip() for match in _WORD_OR_PHRASE.finditer(text))
        return cls(tuple(dict.fromkeys(word for word in found if word)))

    def __bool__(self) -> bool:
        return bool(self.words)

    @cached_property
    def tokens(self) -> frozenset[str]:
        """Tokens that every match has, at most `MAX_TOKENS`."""
        wanted = sorted({token for word in self.words for token in pair_tokens(word)}, reverse=True)
        return frozenset(wanted[:MAX_TOKENS])

    @cached_property
    def exact(self) -> bool:
        """Whether every text with these tokens matches, so that no text needs to be compared."""
        return all(len(word) <= 2 for word in self.words) and len(self.words) <= MAX_TOKENS

    def matches(self, text: str) -> bool:
        searched = search_form(text)
        return all(word in searched for word in self.words)


def pair_tokens(word: str) -> set[str]:
    """Return the pairs of a word, or its character if it is a single one; pairs imply characters."""
    return {
        token
        for part in word.split()
        for token in tokens_of(part)
        if len(token) > _CHARACTER_LENGTH or len(part) == 1
    }


def highlight(text: str, query: Query, context: int | None = 30) -> list[tuple[str, bool]]:
    """Return `text` as pieces, each with whether it matches `query`.

    The result is limited to `context` characters on each side of the first match; None means the whole
    text. "…" stands for text that is left out.
    """
    spans = list(_spans(text, query))
    start, end = 0, len(text)
    if context is not None:
        first, last = spans[0] if spans else (0, context)
        start, end = _grapheme_boundary(text, first - context), _grapheme_boundary(text, last + context)
    pieces = [("…", False)] if start > 0 else []
    at = start
    for first, last in spans:
        if first >= end:
            break
        pieces += [(text[at:first], False), (text[first : min(last, end)], True)]
        at = min(last, end)
    pieces += [(text[at:end], False), ("…" if end < len(text) else "", False)]
    return [piece for piece in pieces if piece[0]]


def _spans(text: str, query: Query) -> Iterator[tuple[int, int]]:
    """Yield the ranges of `text` that match, in order and without overlaps."""
    if not query:
        return
    folded_lengths = [len(_FOLD_TABLE[ord(char)]) for char in text]
    original_index = [index for index, length in enumerate(folded_lengths) for _ in range(length)]
    end = 0
    any_word = re.compile("|".join(map(re.escape, sorted(query.words, key=len, reverse=True))))
    for match in any_word.finditer(fold(text)):
        first = max(original_index[match.start()], end)
        last = _grapheme_boundary(text, original_index[match.end() - 1] + 1)
        if first < last:
            yield first, last
        end = last


def _grapheme_boundary(text: str, index: int) -> int:
    """Return the first index from `index` on that splits no character of several code points."""
    index = min(max(index, 0), len(text))
    while 0 < index < len(text) and (_is_combining(text[index]) or text[index - 1] == "\u200d"):
        index += 1
    return index


def _is_combining(char: str) -> bool:
    return unicodedata.category(char) in {"Mn", "Me", "Mc", "Cf"} or "\U0001f3fb" <= char <= "\U0001f3ff"
