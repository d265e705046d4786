"""Filters and positions of lists in the query string."""

from __future__ import annotations

from typing import Any

from flask import abort, request, url_for
from flask_babel import gettext as _

_PASSING = {"before", "after", "list_before", "lang", "whose"}
"""Parameters that do not belong to the filter: positions, and what is asked for once."""


def cursor(*names: str) -> dict[str, Any]:
    """Return the ids in the query string between which a page lies; abort with 400 if one is no id."""
    given = {name: request.args[name] for name in names if request.args.get(name)}
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in given.values()):
        abort(400, _("翻页的位置无效，请从第一页开始。"))
    return {name: int(text) for name, text in given.items()}


def kept() -> dict[str, str]:
    """Return the parameters of the filter, which links to other pages of the list keep."""
    return {name: value for name, value in request.args.items() if name not in _PASSING}


def link(**changes: Any) -> str:
    """Return the URL of the list's first page with a changed filter; None or "" removes a parameter."""
    wanted = {name: value for name, value in {**kept(), **changes}.items() if value not in {None, ""}}
    return url_for(request.endpoint or "", **(request.view_args or {}), **wanted)
