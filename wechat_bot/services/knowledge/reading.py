"""Reads Markdown, texts, PDF and HTML as sections, and divides these into passages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ...models.columns import storable
from ..rules.transfer import FileProblem, InvalidFile, text_in
from . import extraction
from .extraction import Outline

MAX_BYTES = 10 << 20
"""Upper limit of a file."""
MAX_CHARACTERS = 1_000_000
MAX_PAGES = 1000
MAX_PASSAGE = 500
"""Upper limit of a passage in characters."""
MAX_PASSAGES = 5000
"""Upper limit of the passages of a document, of which very short sections have many."""
MAX_TITLE = 255
TIMEOUT = 60
"""Seconds after which reading a PDF or a page is given up."""

_LIMITED = 'ulimit -t 30; ulimit -v 2000000; exec "$0" "$@"'
"""Runs a program with limits of CPU time (seconds) and memory (KB). A shell sets them, as for ffmpeg."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class DocumentProblem(StrEnum):
    """Why a document is not imported, beside the problems of texts. The values say it in English."""

    TOO_LARGE = "the file has too many bytes"
    TOO_LONG = "the text has too many characters or pages"
    NO_WORDS = "there is no text in it"
    KIND = "it is neither Markdown nor text nor PDF"
    UNREADABLE = "it cannot be read"
    ENCRYPTED = "the PDF is encrypted"


class RefusedDocument(Exception):
    """A document cannot be imported."""

    def __init__(self, problem: DocumentProblem | FileProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True)
class Section:
    """A part of a document below its headings, as paragraphs."""

    title: str
    """The headings above it."""
    paragraphs: tuple[str, ...]
    page: int | None = None
    """The page of a PDF."""


@dataclass(frozen=True)
class Part:
    """The text of a passage, and where it stands."""

    title: str
    text: str
    page: int | None = None


def text(content: bytes) -> str:
    """Return the text of a file in UTF-8, UTF-16 or GB 18030.

    :raises RefusedDocument: if it is none.
    """
    try:
        return text_in(content)
    except InvalidFile as error:
        problem = error.errors[0].problem
        assert isinstance(problem, FileProblem)
        raise RefusedDocument(problem) from error


# Kinds of documents

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
_FENCE = re.compile(r"\s*(```|~~~)")


def markdown(source: str) -> Iterator[Section]:
    """Yield the sections of a Markdown text, whose marks but those of headings stay."""
    outline, lines, in_code = Outline(), list[str](), False
    for line in source.splitlines():
        in_code ^= bool(_FENCE.match(line))
        heading = None if in_code else _HEADING.fullmatch(line)
        if heading:
            yield Section(outline.title, _paragraphs("\n".join(lines)))
            lines = []
            outline.enter(len(heading[1]), heading[2].rstrip("# \t"))
        else:
            lines.append(line)
    yield Section(outline.title, _paragraphs("\n".join(lines)))


def plain(source: str) -> Iterator[Section]:
    """Yield the only section of a text."""
    yield Section("", _paragraphs(source))


def pdf(content: bytes) -> list[Section]:
    """Return the pages of a PDF as sections.

    :raises RefusedDocument: if it cannot be read, or not within the limits.
    """
    pages = _extracted(content, "pdf", str(MAX_PAGES), str(MAX_CHARACTERS))
    if len(pages) > MAX_PAGES:
        raise RefusedDocument(DocumentProblem.TOO_LONG)
    return [Section("", _paragraphs(page), number) for number, page in enumerate(pages, 1)]


def html(source: str) -> tuple[str, list[Section]]:
    """Return the title and the sections of a web page or an article.

    :raises RefusedDocument: if it cannot be read within the limits.
    """
    title, sections = _extracted(source.encode(errors="replace"), "html")
    return title, [Section(heading, _paragraphs(content)) for heading, content in sections]


def _extracted(content: bytes, *arguments: str) -> Any:
    """Return what the program `extraction` finds in a file.

    :raises RefusedDocument: if it finds nothing, or not within the limits.
    """
    program = [sys.executable, "-I", extraction.__file__, *arguments]
    command = ["/bin/sh", "-c", _LIMITED, *program]
    try:
        result = subprocess.run(  # noqa: S603
            command, input=content, capture_output=True, timeout=TIMEOUT, env={}, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RefusedDocument(DocumentProblem.UNREADABLE) from error
    if result.returncode:
        is_encrypted = result.returncode == extraction.ENCRYPTED
        raise RefusedDocument(DocumentProblem.ENCRYPTED if is_encrypted else DocumentProblem.UNREADABLE)
    return json.loads(result.stdout)


def _paragraphs(source: str) -> tuple[str, ...]:
    """Return the parts of a text between blank lines."""
    parts = (_tidy(part) for part in re.split(r"\n\s*\n", _clean(source)))
    return tuple(part for part in parts if part)


def _clean(source: str) -> str:
    """Return a text without what a database cannot store, which PDF and HTML can contain."""
    return _SURROGATE.sub("", storable(source)).replace("\xa0", " ")


def _tidy(paragraph: str) -> str:
    return "\n".join(line.strip() for line in paragraph.splitlines() if line.strip())


# Passages

_SENTENCE = re.compile(r".+?(?:[。！？；\n]|[.!?;](?=\s)|$)", re.DOTALL)


def passages(sections: Iterable[Section]) -> list[Part]:
    """Divide sections into passages of whole paragraphs, or of whole sentences where these are too long.

    :raises RefusedDocument: if there is no text, or too much.
    """
    found: list[Part] = []
    length = 0
    for section in sections:
        for passage in _packed(section.paragraphs):
            found.append(Part(_clean(section.title)[:MAX_TITLE], passage, section.page))
            length += len(passage)
        if length > MAX_CHARACTERS or len(found) > MAX_PASSAGES:
            raise RefusedDocument(DocumentProblem.TOO_LONG)
    if not found:
        raise RefusedDocument(DocumentProblem.NO_WORDS)
    return found


def _packed(paragraphs: Iterable[str]) -> Iterator[str]:
    """Yield paragraphs in groups of at most `MAX_PASSAGE` characters."""
    group = ""
    for piece in (part for paragraph in paragraphs for part in _short(paragraph)):
        if group and len(group) + 1 + len(piece) > MAX_PASSAGE:
            yield group
            group = ""
        group += "\n" + piece if group else piece
    if group:
        yield group


def _short(piece: str) -> Iterator[str]:
    """Yield a paragraph, or its sentences in groups, or parts of these if there is no other way."""
    if len(piece) <= MAX_PASSAGE:
        yield piece
        return
    group = ""
    for sentence in _SENTENCE.findall(piece):
        if len(group) + len(sentence) > MAX_PASSAGE and group:
            yield group.strip()
            group = ""
        for start in range(0, len(sentence), MAX_PASSAGE):
            part = sentence[start : start + MAX_PASSAGE]
            if start + MAX_PASSAGE < len(sentence):
                yield part
            else:
                group += part
    if group.strip():
        yield group.strip()


def name_without_suffix(filename: str) -> str:
    """Return the title of a file that has no other."""
    return Path(filename.replace("\\", "/")).stem.strip()[:MAX_TITLE]
