"""Exports pairs to CSV, and reads them from there, with the line of every error."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from ...models import KnowledgeState
from ...routing import strict_json
from ...routing.strict_json import InvalidDefinition
from ..rules.transfer import FileProblem, InvalidFile, LineError, harmless, original, text_in
from .pairs import Pair

COLUMNS = ("question", "wordings", "answer", "state")
"""`wordings` has a line for each; an empty `state` means approved."""
MAX_PAIRS = 5000
"""Pairs of a file."""


def dump(pairs: Iterable[Pair]) -> str:
    """Return `pairs` as a file, from which `parse` makes them again."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for pair in pairs:
        cells = (pair.question, "\n".join(pair.wordings), pair.answer, pair.state)
        writer.writerow(map(harmless, cells))
    return text.getvalue()


def parse(content: bytes) -> list[Pair]:
    """Return the pairs in a file.

    :raises InvalidFile: naming everything that is wrong in it.
    """
    pairs, errors = list[Pair](), list[LineError]()
    for line, cells in _lines(text_in(content)):
        if len(pairs) == MAX_PAIRS:
            raise InvalidFile([LineError(line, FileProblem.TOO_LARGE)])
        try:
            pairs.append(_pair(dict(zip(COLUMNS, map(original, cells), strict=False))))
        except InvalidDefinition as error:
            errors += [LineError(line, problem) for problem in error.problems]
    if errors:
        raise InvalidFile(errors)
    return pairs


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a file with their numbers, without those that are blank.

    :raises InvalidFile: if it is not CSV with `COLUMNS`.
    """
    reader = csv.reader(io.StringIO(text), strict=True)
    line = 1
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise InvalidFile([LineError(1, FileProblem.HEADER)])
        line = reader.line_num + 1
        for cells in reader:
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        is_open = "unexpected end" in str(error)
        problem = FileProblem.QUOTE if is_open else FileProblem.CSV
        raise InvalidFile([LineError(line, problem)]) from error


def _pair(cells: dict[str, str]) -> Pair:
    """Return the pair in the cells of a line.

    :raises InvalidDefinition: if it is not valid.
    """
    wordings = [each.strip() for each in cells.get("wordings", "").splitlines() if each.strip()]
    definition = {
        "question": cells.get("question", "").strip(),
        "wordings": wordings,
        "answer": cells.get("answer", "").strip(),
        "state": cells.get("state", "").strip() or KnowledgeState.APPROVED.value,
    }
    return strict_json.read(Pair, definition)
