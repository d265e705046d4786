"""Exports rules to YAML and CSV, and reads them from there, with the line of every error.

YAML has rules as they are stored. A line of CSV is a rule with texts in cells that are easily edited: several
keywords or lines of the same match kind, and one text answer; what does not fit is JSON in the last cell.
"""

from __future__ import annotations

import csv
import io
import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from ...routing.definitions import Rule
from ...routing.strict_json import InvalidDefinition, Problem

COLUMNS = ("name", "enabled", "match", "keywords", "answer", "more")
MAX_BYTES = 5 << 20
"""Maximum size of a file that is imported."""


class TransferFormat(StrEnum):
    YAML = "yaml"
    CSV = "csv"


class FileProblem(StrEnum):
    """What is wrong with a file, as far as it is no field of a rule. The values say it in English."""

    TOO_LARGE = "the file has too many bytes"
    EMPTY = "the file is empty"
    SPREADSHEET = "it is a spreadsheet"
    NO_TEXT = "it is no text"
    ENCODING = "it has bytes that are no UTF-8"
    YAML = "it is no YAML"
    TAB = "a tab indents it"
    ALIAS = "an alias (*) cannot be used here"
    NO_RULES = "there is no list with the name rules"
    HEADER = "the first line has other columns"
    QUOTE = "a quotation mark is missing"
    CSV = "it is no CSV"
    MORE = "more is not a JSON object"


@dataclass(frozen=True)
class LineError:
    """What is wrong, and in which line of the file."""

    line: int
    problem: Problem | FileProblem

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}"


class InvalidFile(Exception):
    """A file cannot be imported; `errors` has all that is wrong."""

    def __init__(self, errors: Sequence[LineError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


def dump(rules: Sequence[Rule], form: TransferFormat) -> str:
    """Return `rules` as a file, from which `parse` makes them again."""
    definitions = [rule.to_json() for rule in rules]
    if form is TransferFormat.YAML:
        return yaml.dump(
            {"rules": definitions}, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, width=110
        )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(map(_cells, definitions))
    return text.getvalue()


def parse(content: bytes, form: TransferFormat) -> list[Rule]:
    """Return the rules in a file.

    :raises InvalidFile: naming everything that is wrong in it.
    """
    read = _read_yaml if form is TransferFormat.YAML else _read_csv
    rules, errors = [], []
    for definition, lines in read(text_in(content)):
        try:
            rules.append(Rule.from_json(definition))
        except InvalidDefinition as error:
            errors += [LineError(_line(lines, problem.field), problem) for problem in error.problems]
    if errors:
        raise InvalidFile(errors)
    return rules


def text_in(content: bytes) -> str:
    """Return the text of a file, which is UTF-8, UTF-16 with its mark, or GB 18030, as spreadsheets save it.

    :raises InvalidFile: if it is something else.
    """
    if len(content) > MAX_BYTES:
        raise _invalid(1, FileProblem.TOO_LARGE)
    if content.startswith(_SPREADSHEETS):
        raise _invalid(1, FileProblem.SPREADSHEET)
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        text = content.decode("utf-16", errors="replace")
    else:
        text = _decoded(content)
    if not text.strip():
        raise _invalid(1, FileProblem.EMPTY)
    if "\0" in text:
        raise _invalid(1, FileProblem.NO_TEXT)
    return text


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        try:
            return content.decode("gb18030")
        except UnicodeDecodeError:
            is_binary = b"\0" in content
            line = 1 if is_binary else content.count(b"\n", 0, error.start) + 1
            raise _invalid(line, FileProblem.NO_TEXT if is_binary else FileProblem.ENCODING) from error


_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""The first bytes of files of Excel and WPS, new and old."""


def _invalid(line: int, problem: FileProblem) -> InvalidFile:
    return InvalidFile([LineError(line, problem)])


Lines = Mapping[str, int]
"""The lines of the fields of a rule, by their paths; the rule itself has an empty path."""


def _line(lines: Lines, path: str) -> int:
    """Return the line of a field, or of what it belongs to if the field itself is missing."""
    while path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines[path]


# YAML


def _read_yaml(text: str) -> Iterator[tuple[Any, Lines]]:
    """Yield the definitions in a file with their lines.

    :raises InvalidFile: if it is not YAML, or has no list of rules.
    """
    loader = yaml.CSafeLoader(text)
    try:
        document = loader.get_single_node()
        rules = _rules_in(document)
        # What refers to another place is refused: a short file could become an endless one.
        if duplicate := _reference(document, set()):
            raise _invalid(duplicate.start_mark.line + 1, FileProblem.ALIAS)
        for node in rules.value:
            yield loader.construct_document(_plain(node)), dict(_lines_of(node, ""))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        is_tab = re.match(r" *\t", [*text.split("\n"), ""][line])
        raise _invalid(line + 1, FileProblem.TAB if is_tab else FileProblem.YAML) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _invalid(1, FileProblem.YAML) from error
    finally:
        loader.dispose()


def _rules_in(document: yaml.Node | None) -> yaml.SequenceNode:
    """Return the list of rules.

    :raises InvalidFile: if there is none.
    """
    if isinstance(document, yaml.MappingNode):
        for key, value in document.value:
            if key.value == "rules" and isinstance(value, yaml.SequenceNode):
                return value
    raise _invalid(1, FileProblem.NO_RULES)


def _reference(node: yaml.Node | None, seen: set[int]) -> yaml.Node | None:
    """Return a node that is in two places, if there is one."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return None
    if id(node) in seen:
        return node
    seen.add(id(node))
    inner = (
        [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    )
    return next((found for part in inner if (found := _reference(part, seen))), None)


def _plain(node: yaml.Node) -> yaml.Node:
    """Turn dates and the like, which YAML knows and JSON does not, into texts."""
    if isinstance(node, yaml.ScalarNode) and node.tag not in _JSON_TAGS:
        node.tag = "tag:yaml.org,2002:str"
    elif isinstance(node, yaml.SequenceNode):
        for part in node.value:
            _plain(part)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            key.tag = "tag:yaml.org,2002:str"
            _plain(value)
    return node


_JSON_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "bool", "null")}


def _lines_of(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for number, part in enumerate(node.value):
            yield from _lines_of(part, f"{path}[{number}]")
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            yield from _lines_of(value, inner)
            yield inner, key.start_mark.line + 1


# CSV


def _cells(definition: dict[str, Any]) -> list[str]:
    """Return the line of a rule."""
    rest = dict(definition)
    cells = {"name": rest.pop("name"), "enabled": "yes" if rest.pop("enabled", True) else "no"}
    if rest["trigger"] == {"type": "text"}:
        patterns = rest["patterns"]
        kinds = {pattern["match"] for pattern in patterns}
        if len(kinds) == 1 and not any(_LINE_END.search(pattern["text"]) for pattern in patterns):
            cells |= {"match": kinds.pop(), "keywords": "\n".join(pattern["text"] for pattern in patterns)}
            del rest["trigger"], rest["patterns"]
    if len(rest["answers"]) == 1 and rest["answers"][0].keys() == {"kind", "text"}:
        answer = rest["answers"][0]
        if answer["kind"] == "text":
            cells["answer"] = answer["text"]
            del rest["answers"]
    cells["more"] = json.dumps(rest, ensure_ascii=False) if rest else ""
    return [harmless(cells.get(name, "")) for name in COLUMNS]


def _read_csv(text: str) -> Iterator[tuple[Any, Lines]]:
    """Yield the definitions in a file with their lines.

    :raises InvalidFile: if it is not CSV with `COLUMNS`.
    """
    reader = csv.reader(io.StringIO(text), strict=True)
    line = 1
    try:
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            raise _invalid(1, FileProblem.HEADER)
        line = reader.line_num + 1
        for cells in reader:
            if any(cells):
                yield _definition(dict(zip(COLUMNS, map(original, cells), strict=False)), line), {"": line}
            line = reader.line_num + 1
    except csv.Error as error:
        is_open = "unexpected end" in str(error)
        raise _invalid(line, FileProblem.QUOTE if is_open else FileProblem.CSV) from error


def _definition(cells: dict[str, str], line: int) -> dict[str, Any]:
    """Return the definition in the cells of a line.

    :raises InvalidFile: if the last cell is no JSON object.
    """
    try:
        more = json.loads(cells.get("more") or "{}")
    except ValueError:
        more = None
    if not isinstance(more, dict):
        raise _invalid(line, FileProblem.MORE)
    definition: dict[str, Any] = {"name": cells.get("name", "")}
    switch = cells.get("enabled", "").strip().lower()
    definition["enabled"] = {"yes": True, "": True, "no": False}.get(switch, switch)
    if cells.get("keywords") or cells.get("match"):
        keywords = _LINE_END.split(cells.get("keywords", ""))
        match = cells.get("match") or "contains"
        definition["trigger"] = {"type": "text"}
        definition["patterns"] = [{"match": match, "text": keyword} for keyword in keywords if keyword]
    if cells.get("answer"):
        definition["answers"] = [{"kind": "text", "text": cells["answer"]}]
    return definition | more


_LINE_END = re.compile("\r\n?|\n")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def harmless(cell: str) -> str:
    """Return a cell that spreadsheets do not evaluate; `original` undoes it."""
    return "'" + cell if cell.startswith(_FORMULA) else cell


def original(cell: str) -> str:
    return cell[1:] if cell.startswith(tuple("'" + sign for sign in _FORMULA)) else cell
