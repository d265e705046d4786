"""The history as a file, newest first: CSV for spreadsheets, JSON Lines for programs. In constant memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, Row

from . import history
from .history import MessageFilter

BATCH_SIZE = 1000
BOM = "\ufeff"
"""By which spreadsheets know UTF-8."""
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
"""How text begins that spreadsheets compute."""


class ExportFormat(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    """A JSON object in each line, with `payload`."""


def stream(
    engine: Engine,
    chosen: MessageFilter,
    form: str,
    *,
    bom: bool = False,
    zone: tzinfo = UTC,
    progress: Callable[[int], object] = lambda last_id: None,
) -> Iterator[str]:
    """The file, in pieces. Each is read by itself, so that no transaction stays open while they are sent.

    Times are those of `zone`. After each piece `progress` gets the id that has been reached, counting down.
    """
    lines = _csv if ExportFormat(form) is ExportFormat.CSV else _jsonl
    head = BOM if bom else ""
    yield head + csv_lines([COLUMNS]) if lines is _csv else head
    for rows in _batches(engine, chosen):
        text = lines(rows, zone)
        yield text.replace("\x00", "").encode(errors="replace").decode()
        progress(rows[-1].id)


def _batches(engine: Engine, chosen: MessageFilter) -> Iterator[Sequence[Row[Any]]]:
    beyond: int | None = None
    while True:
        with engine.connect() as connection:
            rows, beyond = history.read_batch(connection, chosen, beyond, upwards=False, limit=BATCH_SIZE)
        if rows:
            yield rows
        if beyond is None:
            return


def _csv(rows: Iterable[Row[Any]], zone: tzinfo) -> str:
    return csv_lines(_values(row, zone) for row in rows)


def csv_lines(lines: Iterable[Iterable[Any]]) -> str:
    """Lines of CSV in which no spreadsheet finds a formula."""
    text = io.StringIO()
    csv.writer(text).writerows(map(_harmless, line) for line in lines)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value


def _jsonl(rows: Iterable[Row[Any]], zone: tzinfo) -> str:
    return "".join(
        json.dumps(
            dict(zip(COLUMNS, _values(row, zone), strict=True)) | {"payload": row.payload}, ensure_ascii=False
        )
        + "\n"
        for row in rows
    )


def _values(row: Row[Any], zone: tzinfo) -> list[Any]:
    time = row.created_at.astimezone(zone).isoformat()
    return [row.id, time, *(getattr(row, name) for name in COLUMNS[2:])]
