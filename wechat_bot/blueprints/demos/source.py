"""Highlighted source code of views and templates."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

ROOT = Path(__file__).parents[3]
"""The folder of the project, to which paths are relative."""


@dataclass(frozen=True)
class Source:
    path: str
    html: Markup


@functools.cache
def of_function(function: Callable[..., Any]) -> Source:
    file = inspect.getsourcefile(inspect.unwrap(function)) or ""
    return _highlighted(textwrap.dedent(inspect.getsource(function)), file, "python")


@functools.cache
def of_template(environment: Environment, name: str) -> Source:
    assert environment.loader
    text, file, _ = environment.loader.get_source(environment, name)
    return _highlighted(text, file or "", "html+jinja")


def by_file(sources: Iterable[Source]) -> list[Source]:
    """Join the sources of each file."""
    files: dict[str, list[Markup]] = {}
    for source in sources:
        files.setdefault(source.path, []).append(source.html)
    return [Source(path, Markup("\n\n").join(parts)) for path, parts in files.items()]


def _highlighted(text: str, file: str, language: str) -> Source:
    # With classes, because the Content-Security-Policy allows no inline styles.
    html = highlight(text, get_lexer_by_name(language), HtmlFormatter(nowrap=True))
    return Source(Path(file).relative_to(ROOT).as_posix(), Markup(html))  # noqa: S704
