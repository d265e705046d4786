"""Filters and positions of lists in the query string."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from flask import abort, request, url_for
from flask_babel import gettext as _

from ...application import row_id
from ...services.search.tokens import MAX_QUERY

_PASSING = {"before", "after", "list_before", "lang", "whose"}
"""Parameters that do not belong to the filter: positions, and what is asked for once."""
_OF_URL_FOR = {"endpoint", "_anchor", "_external", "_method", "_scheme"}
"""Names that `url_for` takes for itself. A request that has them must not choose the scheme of links."""


def cursor(*names: str) -> dict[str, Any]:
    """Return the ids in the query string between which a page lies; abort with 400 if one is no id."""
    try:
        return {name: row_id(request.args[name]) for name in names if request.args.get(name)}
    except ValueError:
        _refuse_position()


def searched(name: str) -> str:
    """Return what is searched for in the query string; abort with 400 if it is too long."""
    text = request.args.get(name, "")
    if len(text) > MAX_QUERY:
        abort(400, _("搜索词太长，最多 %(count)s 个字。", count=MAX_QUERY))
    return text


def position_of(id_: int, value: Any) -> str:
    """Return the position of a row in a list in the order of a value, then of the id; None is empty."""
    if isinstance(value, datetime):
        return f"{id_}:{value:%Y-%m-%dT%H:%M:%S.%fZ}"
    return f"{id_}:{'' if value is None else value}"


def parse_position(text: str, parse: Callable[[str], Any]) -> tuple[int, Any]:
    """Return id and value of a position; abort with 400 if it is none. `parse` raises `ValueError`."""
    id_, _colon, value = text.partition(":")
    try:
        return row_id(id_), parse(value)
    except ValueError:
        _refuse_position()


def parse_time(text: str) -> datetime:
    """Return the time in a position.

    :raises ValueError: if it is none that every database can store.
    """
    time = datetime.fromisoformat(text)
    if not time.tzinfo or not 1970 <= time.year <= 9000:
        raise ValueError(text)
    return time


def _refuse_position() -> NoReturn:
    abort(400, _("翻页的位置无效，请从第一页开始。"))


def kept() -> dict[str, str]:
    """Return the parameters of the filter, which links to other pages of the list keep."""
    others = _PASSING | _OF_URL_FOR | set(request.view_args or {})
    return {name: value for name, value in request.args.items() if name not in others}


def link(**changes: Any) -> str:
    """Return the URL of the list's first page with a changed filter; None or "" removes a parameter."""
    wanted = {name: value for name, value in {**kept(), **changes}.items() if value not in {None, ""}}
    return url_for(request.endpoint or "", **(request.view_args or {}), **wanted)
