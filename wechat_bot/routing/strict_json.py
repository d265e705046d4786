"""Frozen dataclasses from and to JSON. Reading is strict: every problem is reported, with its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import date
from enum import StrEnum
from functools import cache, partial
from types import UnionType
from typing import Any, ClassVar, TypeVar, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


class ProblemCode(StrEnum):
    """What is wrong with a field. `Problem.detail` stands in the braces of the sentence."""

    MISSING = "is missing"
    UNKNOWN = "is not known"
    TYPE = "is not {}"
    VALUE = "is none of: {}"
    BLANK = "is blank"
    BYTES = "has more than {} bytes"
    CHARACTERS = "has more than {} characters"
    TOO_MANY = "has more than {}"
    NOT_POSITIVE = "is less than 1"
    NO_FILE = "is the id of no {} in the library"
    RANGE = "is out of range: {}"
    FORMAT = "is not written as {}"
    PATTERN = "is not a pattern: {}"
    VARIABLE = "has the variable {}, which has no value here"
    ALONE = "cannot be one of several answers"
    TAKEN = "is taken"
    USELESS = "has no meaning for the trigger {}"


@dataclass(frozen=True)
class Problem:
    """A field that is not valid."""

    field: str
    """Where it is, such as ``answers[0].text``."""
    code: ProblemCode
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.field} {self.code.format(self.detail)}".strip()

    def within(self, path: str) -> Problem:
        """Return the problem as one of a field of the value at `path`."""
        return Problem(_join(path, self.field), self.code, self.detail)


class InvalidDefinition(Exception):
    """A definition has problems; `problems` has them all."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


class Definition:
    """Base of frozen dataclasses that owners define.

    Their fields are texts, numbers, truth values, dates, enums, other definitions, and tuples of these.
    """

    kind: ClassVar[str]
    """Where a definition has several kinds, its kind; a field of the JSON."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is not valid although it has its type.

        Fields that could not be read have their defaults meanwhile, or are empty.
        """
        yield from ()

    @classmethod
    def variants(cls) -> Mapping[str, type[Definition]]:
        """Return the classes of all kinds, where there are several."""
        return {}


def read(kind: type[T], data: object) -> T:
    """Return the definition of the class `kind` in the JSON value `data`.

    :raises InvalidDefinition: if fields are missing, unknown or not valid.
    """
    problems: list[Problem] = []
    value = _reader(kind)(data, problems)  # type: ignore[arg-type]
    if problems:
        raise InvalidDefinition(tuple(problems))
    return cast(T, value)


def to_json(value: Any) -> Any:
    """Return the JSON value that `read` turns into `value`. Fields that have their default are left out."""
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, Definition):
        return value
    kind = {"kind": value.kind} if value.variants() else {}
    changed = ((field.name, getattr(value, field.name), field.default) for field, _ in _fields(type(value)))  # type: ignore[arg-type]
    return kind | {name: to_json(content) for name, content, default in changed if content != default}


# Reading

Reader = Callable[[object, list[Problem]], Any]
"""Returns what a JSON value stands for, and adds its problems to a list, with paths that begin there."""

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_HUGE = 1e300
"""Numbers of JSON may exceed what a `float` holds, or be none."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_FIELD = re.compile(r"[.\[]")
_INVALID = object()
"""Stands for a value that cannot be read, so that the others are checked, too."""


@cache
def _reader(kind: Any) -> Reader:
    if isinstance(kind, UnionType):
        inner = _reader(get_args(kind)[0])
        return lambda data, problems: None if data is None else inner(data, problems)
    if get_origin(kind) is tuple:
        return partial(_read_list, _reader(get_args(kind)[0]))
    if issubclass(kind, Definition):
        variants = {name: _ClassReader(variant) for name, variant in kind.variants().items()}
        return partial(_read_variant, variants) if variants else _ClassReader(kind)
    if issubclass(kind, StrEnum):
        return partial(_read_enum, {str(member): member for member in kind})
    if kind is date:
        return _read_date
    if kind is float:
        return _read_number
    return _read_text if kind is str else partial(_read_plain, kind)


class _ClassReader:
    """Reads definitions of one class."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._fields = [
            (field.name, _reader(expected), field.default is MISSING, _substitute(field, expected))
            for field, expected in _fields(kind)
        ]
        self._names = {name for name, *_ in self._fields} | ({"kind"} if kind.variants() else set())

    def __call__(self, data: object, problems: list[Problem]) -> Any:
        if not isinstance(data, dict):
            return _report(problems, ProblemCode.TYPE, "an object")
        values: dict[str, Any] = {}
        before = len(problems)
        for name, read_field, is_required, _ in self._fields:
            count = len(problems)
            if name in data:
                values[name] = read_field(data[name], problems)
            elif is_required:
                values[name] = _report(problems, ProblemCode.MISSING)
            _locate(problems, count, name)
        if not data.keys() <= self._names:
            problems += [Problem(str(name), ProblemCode.UNKNOWN) for name in data if name not in self._names]
        if len(problems) > before:
            return self._check_readable(values, problems)
        made = self._kind(**values)
        problems += made.problems()
        return made

    def _check_readable(self, values: dict[str, Any], problems: list[Problem]) -> Any:
        """Check what can be read although something cannot; its fields stand empty meanwhile."""
        unreadable = {name for name, value in values.items() if value is _INVALID}
        values |= {name: empty for name, _, _, empty in self._fields if name in unreadable}
        if _INVALID in values.values():
            return _INVALID
        made = self._kind(**values)
        problems += [each for each in made.problems() if _FIELD.split(each.field)[0] not in unreadable]
        return made


def _substitute(field: Field[Any], expected: Any) -> Any:
    """Return what stands for a field that cannot be read."""
    if field.default is not MISSING:
        return field.default
    if get_origin(expected) is tuple:
        return ()
    return expected() if expected in _NAMES else _INVALID


def _read_variant(readers: Mapping[str, Reader], data: object, problems: list[Problem]) -> Any:
    if not isinstance(data, dict):
        return _report(problems, ProblemCode.TYPE, "an object")
    reader = readers.get(str(data.get("kind")))
    if reader is None:
        problems.append(Problem("kind", ProblemCode.VALUE, ", ".join(readers)))
        return _INVALID
    return reader(data, problems)


def _read_list(read_item: Reader, data: object, problems: list[Problem]) -> Any:
    if not isinstance(data, list | tuple):
        return _report(problems, ProblemCode.TYPE, "a list")
    found = []
    for number, item in enumerate(data):
        count = len(problems)
        found.append(read_item(item, problems))
        _locate(problems, count, f"[{number}]")
    return _INVALID if _INVALID in found else tuple(found)


def _read_enum(members: Mapping[str, StrEnum], data: object, problems: list[Problem]) -> Any:
    if isinstance(data, str) and data in members:
        return members[data]
    return _report(problems, ProblemCode.VALUE, ", ".join(members))


def _read_date(data: object, problems: list[Problem]) -> Any:
    try:
        return date.fromisoformat(data if isinstance(data, str) else "")
    except ValueError:
        return _report(problems, ProblemCode.FORMAT, "2026-12-31")


def _read_text(data: object, problems: list[Problem]) -> Any:
    text = _read_plain(str, data, problems)
    if text is not _INVALID and _UNSTORABLE.search(text):
        return _report(problems, ProblemCode.FORMAT, "characters of Unicode without NUL")
    return text


def _read_number(data: object, problems: list[Problem]) -> Any:
    if isinstance(data, int | float) and not isinstance(data, bool) and -_HUGE < data < _HUGE:
        return float(data)
    return _report(problems, ProblemCode.TYPE, _NAMES[float])


def _read_plain(kind: type, data: object, problems: list[Problem]) -> Any:
    return data if type(data) is kind else _report(problems, ProblemCode.TYPE, _NAMES[kind])


def _report(problems: list[Problem], code: ProblemCode, detail: str = "") -> Any:
    problems.append(Problem("", code, detail))
    return _INVALID


def _locate(problems: list[Problem], count: int, path: str) -> None:
    """Make the problems after the first `count` those of the value at `path`."""
    if len(problems) > count:
        problems[count:] = [problem.within(path) for problem in problems[count:]]


@cache
def _fields(kind: Any) -> tuple[tuple[Field[Any], Any], ...]:
    types = get_type_hints(kind)
    return tuple((field, types[field.name]) for field in fields(kind))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name and name[0] != "[" else path + name
