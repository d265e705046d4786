"""Texts of messages: their line ends, and long texts in parts (``wechat-platform.md`` section 5.3)."""

from __future__ import annotations

from collections.abc import Iterator

import regex

_CLOSING = r"[，。、；：！？…,.;:!?)）】》」』”’%％]"
_LIST_MARKER = r"(?: [-*•]\s+ | (?<!\w)\d{1,3}[.)、．](?!\d)\s* | [(（]\d{1,3}[)）]\s* )"
_UNIT = regex.compile(
    rf"""
    \s*\n | \s+ |
    {_LIST_MARKER}? [(（【《「『“‘]*
    (?: <a\s[^>]*> (?:(?!<a\s).)*? </a>                          # a link with its label
      | (?: [a-z][a-z\d+.\-]{{1,15}}:// | www\. ) [!-~--[<>"]]+  # a bare URL
      | \b\X{{1,64}}?\b                                          # a word, or a character between words
      | \X )                                                     # a piece of a longer word
    {_CLOSING}*
    """,
    regex.VERSION1 | regex.VERBOSE | regex.DOTALL | regex.IGNORECASE | regex.WORD,
)
"""What a cut must not divide, by the words and grapheme clusters of Unicode (UAX 29)."""
_CUTS = (
    regex.compile(
        rf"""
        (?<=[。！？；…\n]{_CLOSING}*) | (?<=[.!?;]{_CLOSING}*)(?![A-Za-z\d]) | (?<=\s)(?={_LIST_MARKER})
        """,
        regex.VERBOSE,
    ),
    regex.compile(r"(?<=\s)"),
    regex.compile(""),
)
"""Places between units, best first: after a sentence or line or before a list item, between words, any."""


def normalize_line_ends(text: str) -> str:
    r"""Return `text` with ``\n`` for ``\r\n``, which browsers send, and for ``\r``."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def split(text: str, limit: int) -> tuple[str, str]:
    """Split `text` so that the first part has at most `limit` bytes of UTF-8.

    The cut is in the second half of the first part, if possible after a sentence, a line or a list item, or
    else between words or characters. Links with their labels, URLs and grapheme clusters stay whole, unless
    a single one is longer than `limit`.
    """
    size = len(text[:limit].encode()[:limit].decode(errors="ignore"))
    if size == len(text):
        return text, ""
    ends = list(_unit_ends(text[: size + limit], size))
    late = [end for end in ends if end > size // 2]
    chosen = (max((end for end in late if cut.match(text, end)), default=0) for cut in _CUTS)
    end = next(filter(None, chosen), max(ends, default=size))
    return text[:end], text[end:]


def parts(text: str, limit: int) -> Iterator[str]:
    """Yield `text` in parts of at most `limit` bytes, without white space around them."""
    while text := text.strip():
        part, text = split(text, limit)
        yield part.strip()


def _unit_ends(text: str, size: int) -> Iterator[int]:
    """Yield the ends of the units of `text` up to the index `size`."""
    for unit in _UNIT.finditer(text):
        if unit.end() > size:
            return
        yield unit.end()
