"""Extracts the texts of PDF and HTML.

`reading` runs it as a program of its own, with limits of time and memory, since a small file can ask for any
amount of both. It imports nothing of this package, so that it starts quickly.

    $ python extraction.py pdf MAX_PAGES MAX_CHARACTERS < file.pdf     # a list with the text of each page
    $ python extraction.py html < page.html                            # the title, and headings with texts

It writes JSON. Its status is `ENCRYPTED` if a password is needed, and another one but 0 if it cannot read.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from html.parser import HTMLParser
from typing import Any

ENCRYPTED = 3


class Encrypted(Exception):
    """The file needs a password."""


def pdf(content: bytes, max_pages: int, max_characters: int) -> list[str]:
    """Return the texts of the pages, and a page more than `max_pages` if there are more.

    :raises Encrypted: if it needs a password.
    """
    from pypdf import PdfReader  # what imports this module reads no PDF itself

    logging.disable()  # pypdf comments on what is odd in a file
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Encrypted
    texts, left = [], max_characters
    for page in reader.pages[: max_pages + 1]:
        texts.append(page.extract_text())
        left -= len(texts[-1])
        if left < 0:
            break
    return texts


def html(source: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the title of a page, and its texts with the headings above them."""
    page = _Page()
    page.feed(source)
    page.close()
    page.end_section()
    return " ".join("".join(page.title).split()), page.sections


class Outline:
    """The headings above a place in a document."""

    def __init__(self) -> None:
        self._headings: list[tuple[int, str]] = []

    def enter(self, level: int, heading: str) -> None:
        self._headings = [each for each in self._headings if each[0] < level] + [(level, heading.strip())]

    @property
    def title(self) -> str:
        return " › ".join(heading for _, heading in self._headings if heading)


class _Page(HTMLParser):
    """Collects the text of a page by its headings. What browsers do not show is left out."""

    _HIDDEN = frozenset(
        {"script", "style", "template", "noscript", "svg", "iframe", "object", "nav", "select"}
    )
    _LINE_ENDS = frozenset(
        {
            "address",
            "article",
            "blockquote",
            "dd",
            "div",
            "dl",
            "dt",
            "figure",
            "footer",
            "header",
            "hr",
            "li",
        }
        | {"main", "ol", "p", "pre", "section", "table", "tr", "ul"}
    )

    def __init__(self) -> None:
        super().__init__()
        self.title: list[str] = []
        self.sections: list[tuple[str, str]] = []
        """Headings and texts."""
        self._outline = Outline()
        self._text: list[str] = []
        self._heading: list[str] = []
        self._hidden = 0
        self._inside = ""
        """The heading or title whose text is read."""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in self._HIDDEN:
            self._hidden += 1
        elif tag == "title" or _is_heading(tag):
            self._inside, self._heading = tag, []
        elif tag == "br":
            self._text.append("\n")
        elif tag in self._LINE_ENDS:
            self._text.append("\n\n")
        elif tag == "td":
            self._text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._HIDDEN:
            self._hidden = max(self._hidden - 1, 0)
        elif tag == self._inside:
            if _is_heading(tag):
                self.end_section()
                self._outline.enter(int(tag[1]), " ".join("".join(self._heading).split()))
            self._inside = ""
        elif tag in self._LINE_ENDS:
            self._text.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._inside == "title":
            self.title.append(data)
        elif self._inside:
            self._heading.append(data)
        else:
            self._text.append(re.sub(r"\s+", " ", data))

    def end_section(self) -> None:
        self.sections.append((self._outline.title, "".join(self._text)))
        self._text = []


def _is_heading(tag: str) -> bool:
    return len(tag) == 2 and tag[0] == "h" and tag[1] in "123456"


def main(kind: str, *limits: str) -> int:
    content = sys.stdin.buffer.read()
    try:
        found: Any = pdf(content, *map(int, limits)) if kind == "pdf" else html(content.decode())
    except Encrypted:
        return ENCRYPTED
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
