"""Conversion of JSON responses to frozen dataclasses whose fields have the platform's names, and paging."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, get_type_hints

from ..errors import Unreachable

log = logging.getLogger(__name__)

T = TypeVar("T")

Answer = dict[str, Any]
"""The JSON object in a response."""


class Records(tuple[T, ...]):
    """The readable records of a list, which a record that makes no sense does not spoil (section 0.3)."""

    unreadable: tuple[str, ...] = ()
    """The other records: the value of the first field, such as the openid, or the place in the list."""

    @classmethod
    def of(cls, kind: type[T], data: object, where: str) -> Records[T]:
        """Convert the elements of the list `data` to `kind`. Those that make no sense are logged.

        :raises Unreachable: if `data` is no list.
        """
        readable, unreadable = [], []
        for number, item in enumerate(_elements(data, where), 1):
            try:
                readable.append(convert(kind, item, where))
            except Unreachable as error:
                unreadable.append(_name(kind, item) or f"{where} {number}")
                log.warning("%r is left out: %s", unreadable[-1], error)
        records = cls(readable)
        records.unreadable = tuple(unreadable)
        return records


def _name(kind: type[Any], item: object) -> str:
    """Return the value of the first field of an unreadable record, or "" if it has none."""
    if not isinstance(item, dict) or not is_dataclass(kind):
        return ""
    value = item.get(fields(kind)[0].name)
    return str(value)[:64] if isinstance(value, str | int) else ""


def convert(kind: type[T], data: object, where: str = "") -> T:
    """Convert `data` to the type `kind`: a dataclass, str, int, bool, dict, or a list of one of these.

    The platform is inconsistent (section 0.3): a number may be text, text may be a number, and a list may be
    missing, null, "", or wrapped in an object (``{"list": […]}``). Unknown fields are ignored. `kind` is
    ``tuple[X, ...]`` for a list of which every element must be readable, and ``Records[X]`` otherwise.

    :param where: names the value in error messages.
    :raises Unreachable: if `data` cannot be converted, or lacks a field without a default.
    """
    where = where or kind.__name__
    origin = get_origin(kind)
    if origin is Records:
        return cast(T, Records.of(get_args(kind)[0], data, where))
    if origin is tuple:
        return cast(T, tuple(convert(get_args(kind)[0], item, where) for item in _elements(data, where)))
    match data:
        case dict() if is_dataclass(kind):
            return cast(T, kind(**dict(_fields(kind, data, where))))
        case str() | int() | float() if kind is str and data is not True and data is not False:
            return cast(T, str(data))
        case int() if kind is bool or kind is int:
            return kind(data)  # type: ignore[call-arg]
        case float() if kind is int and data.is_integer():
            return cast(T, int(data))
        case str() if (kind is int or kind is bool) and re.fullmatch(r"\s*(-?[0-9]{1,19})?\s*", data):
            return kind(int(data.strip() or 0))  # type: ignore[call-arg]
        case dict() if origin is dict:
            return cast(T, data)
        case _:
            raise _nonsense(where)


def _elements(data: object, where: str) -> list[object]:
    """Return the elements of a list in one of the platform's forms."""
    match data:
        case {"list": elements}:
            return _elements(elements, where)
        case None | "":
            return []
        case list():
            return data
        case _:
            raise _nonsense(where)


def _nonsense(where: str) -> Unreachable:
    return Unreachable(f"an answer whose {where} makes no sense", delivered=True)


def convert_field(kind: type[T], answer: Answer, name: str) -> T:
    """Convert the field `name` of `answer`; see `convert`."""
    return convert(kind, answer.get(name), name)


def _fields(kind: type[Any], data: Answer, where: str) -> Iterator[tuple[str, Any]]:
    types = get_type_hints(kind)
    for field in fields(kind):
        field_type, value = types[field.name], data.get(field.name)
        if isinstance(field_type, UnionType):  # X | None
            field_type = get_args(field_type)[0]
        is_empty = value is None or (value == "" and field_type is not str)
        if is_empty and field.default is not MISSING:
            continue
        if value is None:
            raise Unreachable(f"an answer without {where}.{field.name}", delivered=True)
        yield field.name, convert(field_type, value, f"{where}.{field.name}")


def given(**fields: Any) -> dict[str, Any]:
    """Return the `fields` that are not empty; the others are not sent."""
    return {name: value for name, value in fields.items() if value not in ("", None, (), [], {})}


@dataclass(frozen=True)
class OpenIDPage:
    """Up to 10 000 of `total` openids. The next page begins after `next_openid`, empty on the last page."""

    total: int
    openids: Records[str]
    next_openid: str

    @classmethod
    def of(cls, answer: Answer) -> OpenIDPage:
        data = convert(Answer, answer.get("data") or {}, "data")
        openids = convert_field(Records[str], data, "openid")
        total = convert(int, answer.get("total", answer.get("count")) or 0, "total")
        return cls(total, openids, convert(str, answer.get("next_openid") or "", "next_openid"))


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list of `total` items."""

    total: int
    items: Records[T]

    @classmethod
    def of(cls, kind: type[T], answer: Answer, total: str = "total_count", items: str = "item") -> Page[T]:
        found = Records.of(kind, answer.get(items), items)
        return cls(convert(int, answer.get(total) or 0, total), found)


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
    while True:
        page = page_from(offset)
        yield from page.items
        received = len(page.items) + len(page.items.unreadable)
        offset += received
        if not received or offset >= page.total:
            return
