"""Conversion of JSON responses to frozen dataclasses whose fields have the platform's names, and paging."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, get_type_hints

from ..errors import Unreachable

T = TypeVar("T")

Answer = dict[str, Any]
"""The JSON object in a response."""


def convert(kind: type[T], data: object, where: str = "") -> T:
    """Convert `data` to the type `kind`: a dataclass, str, int, bool, dict, or a tuple of one of these.

    The platform is inconsistent, so a number may be text, text may be a number, and a list may be missing or
    wrapped in an object (``{"list": […]}``). Unknown fields are ignored.

    :param where: names the value in error messages.
    :raises Unreachable: if `data` cannot be converted, or lacks a field without a default.
    """
    where = where or kind.__name__
    match data:
        case dict() if is_dataclass(kind):
            return cast(T, kind(**dict(_fields(kind, data, where))))
        case {"list": list(items)} | list(items) if get_origin(kind) is tuple:
            return cast(T, tuple(convert(get_args(kind)[0], item, where) for item in items))
        case None if get_origin(kind) is tuple:
            return cast(T, ())
        case str() | int() if kind is str and data is not True and data is not False:
            return cast(T, str(data))
        case int() if kind is bool or kind is int:
            return kind(data)  # type: ignore[call-arg]
        case str() if kind is int and re.fullmatch("[0-9]{0,19}", data):
            return cast(T, int(data or 0))
        case dict() if get_origin(kind) is dict:
            return cast(T, data)
        case _:
            raise Unreachable(f"an answer whose {where} makes no sense", delivered=True)


def convert_field(kind: type[T], answer: Answer, name: str) -> T:
    """Convert the field `name` of `answer`; see `convert`."""
    return convert(kind, answer.get(name), name)


def _fields(kind: type[Any], data: Answer, where: str) -> Iterator[tuple[str, Any]]:
    types = get_type_hints(kind)
    for field in fields(kind):
        if data.get(field.name) is not None:
            field_type = types[field.name]
            if isinstance(field_type, UnionType):  # X | None
                field_type = get_args(field_type)[0]
            yield field.name, convert(field_type, data[field.name], f"{where}.{field.name}")
        elif field.default is MISSING:
            raise Unreachable(f"an answer without {where}.{field.name}", delivered=True)


def given(**fields: Any) -> dict[str, Any]:
    """Return the `fields` that are not empty; the others are not sent."""
    return {name: value for name, value in fields.items() if value not in ("", None, (), [], {})}


@dataclass(frozen=True)
class OpenIDPage:
    """Up to 10 000 of `total` openids. The next page begins after `next_openid`, empty on the last page."""

    total: int
    openids: tuple[str, ...]
    next_openid: str

    @classmethod
    def of(cls, answer: Answer) -> OpenIDPage:
        data = convert(Answer, answer.get("data", {}), "data")
        openids = convert_field(tuple[str, ...], data, "openid")
        total = convert(int, answer.get("total", answer.get("count", 0)), "total")
        return cls(total, openids, convert(str, answer.get("next_openid", ""), "next_openid"))


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list of `total` items."""

    total: int
    items: tuple[T, ...]

    @classmethod
    def of(cls, kind: type[T], answer: Answer, total: str = "total_count", items: str = "item") -> Page[T]:
        found = tuple(convert(kind, item, items) for item in convert(tuple[Answer, ...], answer.get(items)))
        return cls(convert(int, answer.get(total, 0), total), found)


def all_openids(page_after: Callable[[str], OpenIDPage], start: str) -> Iterator[str]:
    """Iterate over the openids of all pages after `start`."""
    while (page := page_after(start)).openids:
        yield from page.openids
        if page.next_openid in {"", start}:
            return
        start = page.next_openid


def all_items(page_from: Callable[[int], Page[T]]) -> Iterator[T]:
    """Iterate over the items of all pages, which are requested by offset."""
    offset = 0
    while (page := page_from(offset)).items:
        yield from page.items
        offset += len(page.items)
        if offset >= page.total:
            return
