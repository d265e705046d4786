"""Finding texts by what they contain: words of two Chinese characters, parts of numbers, anything.

A text has a token for each of its characters and for each pair of neighbours, written in plain ASCII so that
no database's own ideas of words interfere. A query asks for rows that have all tokens of its words; where
pairs do not prove a match, the folded text is looked at (``docs/decisions/0005``).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Any
from zlib import crc32

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import Text

from ...models import Follower, FollowerTag, Note, Tag

MAX_TOKENS = 24
"""Of a query: more would find no less."""

_SHOWN = {"Title", "Description", "Url", "Label", "Poiname", "ScanResult"}
"""Fields of messages and replies that operators see, and so may look for."""
_WORD = re.compile(r'"([^"]+)"|“([^”]+)”|(\S+)')
_BMP = 0x10000


class _Folding(dict[int, str]):
    """What each character is compared as, by its code point."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char.isspace():
            folded = " "
        elif unicodedata.category(char) in {"Cc", "Cf", "Cs"} or "\ufe00" <= char <= "\ufe0f":
            folded = ""
        else:
            folded = unicodedata.normalize("NFKD", char).casefold()
        if code < _BMP:  # hostile texts could make it remember a million others
            self[code] = folded
        return folded


_FOLDING = _Folding()


def fold(text: str) -> str:
    """`text` without case and width, and without what cannot be seen; accents follow their letters.

    Each character is folded by itself, so that a text contains, folded, whatever it contains.
    """
    return text.translate(_FOLDING)


def tokens_of(text: str) -> set[str]:
    """The characters of the folded `text`, and the pairs of neighbours with no white space between."""
    found: set[str] = set()
    for word in fold(text).split():
        codes = [f"{ord(char):05x}" for char in word]
        found.update(["x" + code for code in codes])
        found.update(["x" + one + two for one, two in pairwise(codes)])
    return found


@lru_cache(maxsize=4096)
def label(name: str, *values: str) -> str:
    """The token of something else that is looked for, as a whole."""
    whole = "\0".join((name, *values)).encode(errors="surrogatepass")
    return "f" + blake2b(whole, digest_size=8).hexdigest()


def filter_tokens(message: Any) -> set[str]:
    """The tokens that a message is filtered by; those of kind and origin say the direction too."""
    direction = message.direction
    labels = {
        label("direction", direction),
        label("kind", direction, message.kind),
        label("origin", direction, message.origin),
    }
    if message.event:
        labels.add(label("event", message.event))
    if message.follower_id:
        labels.add(label("follower", str(message.follower_id)))
    return labels


def searchable(text: str, payload: Any) -> str:
    """What is searched of a message: its `text`, and what operators see of its `payload`."""
    return "\n".join(dict.fromkeys([text, *_shown(payload)])) if payload else text


def _shown(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _shown(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str):
                if name in _SHOWN and item:
                    yield item
            else:
                yield from _shown(item)


@dataclass(frozen=True)
class Query:
    """Words that a text must contain, all of them; nothing to look for when there are none."""

    words: tuple[str, ...]
    """Folded. A phrase is one word, with its blanks."""

    @classmethod
    def parse(cls, text: str) -> Query:
        """Words are separated by white space, and phrases stand in quotation marks; anything is a query."""
        found = (fold("".join(match.groups(default=""))).strip() for match in _WORD.finditer(text))
        return cls(tuple(dict.fromkeys(word for word in found if word)))

    def __bool__(self) -> bool:
        return bool(self.words)

    @cached_property
    def tokens(self) -> frozenset[str]:
        """Those that every match has."""
        wanted = sorted({token for word in self.words for token in _needed(word)}, reverse=True)
        return frozenset(wanted[:MAX_TOKENS])

    @cached_property
    def exact(self) -> bool:
        """Whether what has the tokens matches."""
        return all(len(word) <= 2 for word in self.words) and len(self.words) <= MAX_TOKENS

    def matches(self, text: str) -> bool:
        folded = fold(text)
        return all(word in folded for word in self.words)


def _needed(word: str) -> set[str]:
    """The pairs of a word; they imply its single characters."""
    pairs: set[str] = set()
    for part in word.split():
        pairs |= {token for token in tokens_of(part) if len(token) > _SINGLE or len(part) == 1}
    return pairs


_SINGLE = len("x00000")


def highlight(text: str, query: Query, context: int | None = 30) -> list[tuple[str, bool]]:
    """`text` in pieces, with whether they match.

    Only so many characters of context around the first match, or all if None; … stands for what is left out.
    """
    spans = list(_spans(text, query))
    start, end = 0, len(text)
    if context is not None:
        first, last = spans[0] if spans else (0, context)
        start, end = _whole(text, first - context), _whole(text, last + context)
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
    """Where `text` matches: ranges that do not overlap, in order."""
    if not query:
        return
    lengths = [len(_FOLDING[ord(char)]) for char in text]
    owner = [index for index, length in enumerate(lengths) for _ in range(length)]
    done = 0
    anything = re.compile("|".join(map(re.escape, sorted(query.words, key=len, reverse=True))))
    for match in anything.finditer(fold(text)):
        first, last = max(owner[match.start()], done), owner[match.end() - 1] + 1
        if first < last:
            yield first, last
        done = last


def _whole(text: str, index: int) -> int:
    """The next index from `index` on, within `text`, that splits no character of several code points."""
    index = min(max(index, 0), len(text))
    while 0 < index < len(text) and (_joins(text[index]) or text[index - 1] == "\u200d"):
        index += 1
    return index


def _joins(char: str) -> bool:
    return unicodedata.category(char) in {"Mn", "Me", "Mc", "Cf"} or "\U0001f3fb" <= char <= "\U0001f3ff"


def _number(token: str) -> int:
    """What stands for `token` on PostgreSQL, in a third of the space; seldom for another one, too."""
    return crc32(token.encode()) - (1 << 31)


_NUMBERS = postgresql.ARRAY(Integer)
_IDS = bindparam("ids", type_=postgresql.ARRAY(BigInteger))
_ARRAYS = bindparam("arrays", type_=postgresql.ARRAY(Text))


class SearchIndex:
    """Which tokens the rows of a table have. Each database has its own way to keep it."""

    def __init__(self, name: str, key: str) -> None:
        self._name = name
        sqlite = table(name, column("rowid", BigInteger), column("tokens", Text))
        array = table(name, column(key, BigInteger), column("tokens", _NUMBERS))
        words = table(name, column(key, BigInteger), column("tokens", Text))
        self._tables = defaultdict(lambda: words, sqlite=sqlite, postgresql=array)

    def put(self, connection: Connection, tokens: Mapping[int, Collection[str]]) -> None:
        """Add rows, by their ids, that are not in the index (what MariaDB has already is left as it is)."""
        if not tokens:
            return
        dialect = connection.dialect.name
        into, key = self._tables[dialect], self.key(dialect).name
        if dialect == "postgresql":  # one statement: a third of the time of one for each row
            rows = select(func.unnest(_IDS), cast(func.unnest(_ARRAYS), _NUMBERS))
            arrays = [
                "{" + ",".join(str(_number(token)) for token in of_row) + "}" for of_row in tokens.values()
            ]
            values: Any = {"ids": list(tokens), "arrays": arrays}
            connection.execute(insert(into).from_select([key, "tokens"], rows), values)
        else:
            values = [{key: row_id, "tokens": " ".join(of_row)} for row_id, of_row in tokens.items()]
            connection.execute(insert(into).prefix_with("IGNORE", dialect="mysql"), values)

    def remove(self, connection: Connection, ids: Collection[int]) -> None:
        """Remove rows, also those that are not there. Not for the messages, which never change."""
        dialect = connection.dialect.name
        connection.execute(delete(self._tables[dialect]).where(self.key(dialect).in_(ids)))

    def clear(self, connection: Connection) -> None:
        """Remove all rows, at once."""
        if connection.dialect.name == "sqlite":
            connection.execute(
                insert(table(self._name, column(self._name))).values(**{self._name: "delete-all"})
            )
        else:
            connection.exec_driver_sql(f"TRUNCATE TABLE {self._name}")

    def key(self, dialect: str) -> ColumnClause[int]:
        """The column with the ids."""
        return self._tables[dialect].columns[0]

    def has(self, dialect: str, *groups: Collection[str]) -> ColumnElement[bool]:
        """Rows with at least one token of each of `groups`."""
        tokens = self._tables[dialect].c.tokens
        if dialect == "sqlite":
            wanted = " AND ".join(f"({' OR '.join(group)})" for group in groups)
            return literal_column(self._name).op("MATCH", is_comparison=True)(wanted)
        if dialect == "postgresql":
            numbers = [[_number(token) for token in group] for group in groups]
            all_of = [group[0] for group in numbers if len(group) == 1]
            any_of = [tokens.overlap(group) for group in numbers if len(group) > 1]
            return and_(*any_of, tokens.contains(all_of)) if all_of else and_(*any_of)
        wanted = " ".join(f"+({' '.join(group)})" for group in groups)
        return mysql.match(tokens, against=wanted).in_boolean_mode()

    def found(self, query: Query, dialect: str) -> Select[int]:
        """The ids of rows with the tokens of `query`, which are all that match and perhaps a few others."""
        return select(self.key(dialect)).where(self.has(dialect, *({token} for token in query.tokens)))


MESSAGES = SearchIndex("message_search", "message_id")
FOLLOWERS = SearchIndex("follower_search", "follower_id")


def refresh_followers(connection: Connection, ids: Collection[int]) -> None:
    """Let followers be found by alias, tags, notes, scene and openid as they are now."""
    if not ids:
        return
    known = select(Follower.id, Follower.alias, Follower.scene, Follower.openid)
    tags = select(FollowerTag.follower_id, Tag.name).join(Tag, Tag.id == FollowerTag.tag_id)
    notes = select(Note.follower_id, Note.text)
    texts: dict[int, list[str]] = {
        follower_id: words for follower_id, *words in connection.execute(known.where(Follower.id.in_(ids)))
    }
    for follower_id, word in connection.execute(tags.where(FollowerTag.follower_id.in_(ids))):
        texts[follower_id].append(word)
    for follower_id, word in connection.execute(notes.where(Note.follower_id.in_(ids))):
        texts[follower_id].append(word)
    FOLLOWERS.remove(connection, ids)
    FOLLOWERS.put(
        connection, {follower_id: tokens_of("\n".join(words)) for follower_id, words in texts.items()}
    )
