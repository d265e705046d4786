"""The contents of a page of the tutorial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class Example:
    """A request that a page makes and shows, and that readers can repeat with other values.

    `values` fill the placeholders in `path`. The others become the query of a GET or the form of a POST.
    If `file`, the name of a file field, is given, the request is made only when a reader uploads a file.
    Lines of the exchange that contain one of `marks` are highlighted.
    """

    label: str
    path: str
    method: str = "GET"
    values: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: str = ""
    marks: tuple[str, ...] = ()

    def target(self, values: Mapping[str, str]) -> str:
        """Return path and query with these values."""
        path = self.path.format_map({name: quote(value) for name, value in values.items()})
        query = self._remaining(values) if self.method == "GET" else {}
        return f"{path}?{urlencode(query)}" if query else path

    def form(self, values: Mapping[str, str]) -> bytes:
        return urlencode(self._remaining(values)).encode() if self.method != "GET" else b""

    def _remaining(self, values: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in values.items() if f"{{{name}}}" not in self.path}


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A page of the tutorial.

    `section` is the heading in the article. The source code of `sources` and `templates` is shown.
    """

    slug: str
    section: str
    title: str
    text: str
    sources: tuple[Callable[..., Any], ...]
    templates: tuple[str, ...] = ()
    examples: tuple[Example, ...]
    differences: tuple[str, ...] = ()
