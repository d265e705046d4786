"""What a page of the tutorial is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode


@dataclass(frozen=True, kw_only=True)
class Example:
    """A request that a page makes and shows, and that its readers can make with other values.

    `values` fill the braces in `path`; those left over are the query of a GET and the form of a POST.
    With `file`, the name of a field for a file, the request is made by readers alone, because it is kept.
    Lines of the exchange that contain one of `marks` are what matters in it.
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
        """Path and query with these values."""
        path = self.path.format_map({name: quote(value) for name, value in values.items()})
        query = self._left_over(values) if self.method == "GET" else {}
        return f"{path}?{urlencode(query)}" if query else path

    def form(self, values: Mapping[str, str]) -> bytes:
        """The body with these values, as a browser encodes a form."""
        return urlencode(self._left_over(values)).encode() if self.method != "GET" else b""

    def _left_over(self, values: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in values.items() if f"{{{name}}}" not in self.path}


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One page: `section` is the heading in the article, `sources` and `templates` are shown as they run."""

    slug: str
    section: str
    title: str
    text: str
    sources: tuple[Callable[..., Any], ...]
    templates: tuple[str, ...] = ()
    examples: tuple[Example, ...]
    differences: tuple[str, ...] = ()
