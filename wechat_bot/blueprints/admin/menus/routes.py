"""The addresses of the pages of a menu."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Blueprint
from flask.typing import ResponseReturnValue

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


def route(bp: Blueprint, path: str = "", method: str = "GET") -> Callable[[View], View]:
    """Give a view two addresses: for the default menu, with None for `menu_id`, and for conditional ones."""

    def add(view: View) -> View:
        bp.add_url_rule(f"/menu{path}", view_func=view, methods=[method], defaults={"menu_id": None})
        bp.add_url_rule(f"/menu/conditional/<int:menu_id>{path}", view_func=view, methods=[method])
        return view

    return add
