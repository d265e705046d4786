"""Exports the message log as CSV for spreadsheets or JSON Lines for programs, in constant memory."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, Row

from . import history
from .filters import MessageFilter

BATCH_SIZE = 1000
BOM = "\ufeff"
"""The byte order mark, by which spreadsheets recognise UTF-8."""
COLUMNS = (
    "id",
    "time",
    "direction",
    "openid",
    "alias",
    "kind",
    "event",
    "text",
    "state",
    "origin",
    "latency_ms",
    "platform_id",
    "error",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""Beginnings of texts that spreadsheets would evaluate as formulas."""
_CONVERTED = re.compile(r"(?!(?:0|[1-9]\d{0,14})$)\d([\d\s.,:/eE年月日-]*[\d年月日])?")
"""Texts that spreadsheets would turn into other numbers, dates or times: all numbers but short integers."""


class ExportFormat(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    """One JSON object a line, with the `payload`."""


def stream(
    engine: Engine,
    account_id: int,
    chosen: MessageFilter,
    form: str,
    *,
    bom: bool = False,
    zone: tzinfo = UTC,
    progress: Callable[[int], object] = lambda last_id: None,
) -> Iterator[str]:
    """Yield the file of an account's messages in pieces.

    Each is read by itself, so that no transaction stays open while it is sent.
    Times are in `zone`. After each piece `progress` is called with the last id, which counts down.
    """
    is_csv = ExportFormat(form) is ExportFormat.CSV
    yield (BOM if bom else "") + (csv_lines([COLUMNS]) if is_csv else "")
    for rows in _batches(engine, account_id, chosen):
        text = csv_lines(_values(row, zone) for row in rows) if is_csv else _jsonl(rows, zone)
        yield text.replace("\x00", "").encode(errors="replace").decode()
        progress(rows[-1].id)


def _batches(engine: Engine, account_id: int, chosen: MessageFilter) -> Iterator[Sequence[Row[Any]]]:
    beyond: int | None = None
    while True:
        with engine.connect() as connection:
            rows, beyond = history.read_batch(connection, account_id, chosen, beyond, False, BATCH_SIZE)
        if rows:
            yield rows
        if beyond is None:
            return


def csv_lines(lines: Iterable[Iterable[Any]]) -> str:
    """Return lines of CSV in which spreadsheets find no formula, and no number or date in a text."""
    text = io.StringIO()
    csv.writer(text).writerows(map(_harmless, line) for line in lines)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and (value.startswith(_FORMULA) or _CONVERTED.fullmatch(value)):
        return "'" + value
    return value


def _jsonl(rows: Iterable[Row[Any]], zone: tzinfo) -> str:
    names = (*COLUMNS, "payload")
    documents = (dict(zip(names, [*_values(row, zone), row.payload], strict=True)) for row in rows)
    return "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)


def _values(row: Row[Any], zone: tzinfo) -> list[Any]:
    time = row.created_at.astimezone(zone).isoformat()
    return [row.id, time, *(getattr(row, name) for name in COLUMNS[2:])]
