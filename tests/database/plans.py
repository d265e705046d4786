"""How many rows a database reads and sorts to execute a statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

TABLES = ("message_logs", "followers", "conversations", "message_search", "follower_search")
"""The tables that grow with every follower and every message."""
MAX_ROWS = 4_000
"""Rows that a statement may read of these tables, or sort, however many they have."""
STEPS_PER_ROW = 20
"""Instructions of SQLite's virtual machine that count as a row."""

Sent = tuple[str, Any]
"""A statement and its parameters, as the driver gets them."""
Cost = tuple[int, int]
"""Rows that were read, and rows that were sorted."""


@contextmanager
def recorded() -> Iterator[list[Sent]]:
    """Collect what is sent to the database in the block and reads or changes one of `TABLES`."""
    sent: list[Sent] = []

    def collect(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        many = rest[-1]
        if _TABLE.search(statement) and not statement.startswith("INSERT"):
            sent.append((statement, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", collect)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", collect)


_TABLE = re.compile(rf"\b({'|'.join(TABLES)})\b")


def complaints(connection: Connection, sent: Sent) -> list[str]:
    """Return what takes longer with every row. The statement runs in a transaction that is rolled back."""
    with connection.begin() as transaction:
        cursor = connection.connection.cursor()
        try:
            read, ordered = _COSTS[connection.dialect.name](cursor, *sent)
        finally:
            cursor.close()
            transaction.rollback()
    found = {"reads": read, "sorts": ordered}
    return [f"{does} {rows} rows: {sent[0]}" for does, rows in found.items() if rows > MAX_ROWS]


def _in_sqlite(cursor: Any, statement: str, parameters: Any) -> Cost:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 100

    driver = cursor.connection
    driver.set_progress_handler(count, 100)
    try:
        cursor.execute(statement, parameters).fetchall()
    finally:
        driver.set_progress_handler(None, 0)
    return steps // STEPS_PER_ROW, 0


def _in_postgresql(cursor: Any, statement: str, parameters: Any) -> Cost:
    cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL random_page_cost = 1")
    cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", parameters)
    [[[explained]]] = cursor.fetchall()
    read = ordered = 0
    for node in _nodes(explained["Plan"]):
        if node.get("Relation Name", "").startswith(TABLES):
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            read += rows * node["Actual Loops"]
        if node["Node Type"] == "Sort":
            [below] = node["Plans"]
            ordered += below["Actual Rows"] * below["Actual Loops"]
    return read, ordered


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)


def _in_mariadb(cursor: Any, statement: str, parameters: Any) -> Cost:
    before = _counters(cursor)
    cursor.execute(statement, parameters)
    cursor.fetchall()
    after = _counters(cursor)
    ordered = after.pop("Sort_rows") - before.pop("Sort_rows")
    return sum(after.values()) - sum(before.values()), ordered


def _counters(cursor: Any) -> dict[str, int]:
    cursor.execute("SHOW STATUS WHERE Variable_name LIKE 'Handler_read%' OR Variable_name = 'Sort_rows'")
    return {name: int(value) for name, value in cursor.fetchall()}


_COSTS: Mapping[str, Callable[[Any, str, Any], Cost]] = {
    "sqlite": _in_sqlite,
    "postgresql": _in_postgresql,
    "mysql": _in_mariadb,
    "mariadb": _in_mariadb,
}
