"""Finds what a migration takes from the release before, which still runs while the tables change.

See ``docs/upgrades.md``. The source is read and not run, so that the branches for every database are seen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

MARKER = "contracts_after"
"""A migration that takes something names here the last release that needs it."""

_REMOVALS = {
    "drop_table": "drops a table",
    "drop_column": "drops a column",
    "rename_table": "renames a table",
}
# A table whose name begins with "temporary_" belongs to the migration itself.
_SQL = {
    r"DROP\s+TABLE(?!\s+temporary_)": "drops a table",
    r"DROP\s+COLUMN": "drops a column",
    r"RENAME\s+(TO|COLUMN|TABLE)|CHANGE\s+COLUMN": "renames a table or column",
    r"SET\s+NOT\s+NULL": "forbids NULL in a column",
    r"ALTER\s+COLUMN\s+\S+\s+(SET\s+DATA\s+)?TYPE|MODIFY\s+COLUMN": "changes the type of a column",
}
_WIDER = {"Integer": {"BigInteger"}, "SmallInteger": {"Integer", "BigInteger"}, "String": {"String", "Text"}}
"""The types that hold every value of a type."""


def problems(source: str, released: Collection[str]) -> list[str]:
    """Return what the release before cannot bear in the ``upgrade`` of a migration.

    None if the migration names one of the `released` versions as the last that needs what it takes.
    """
    definitions = _definitions(ast.parse(source))
    found = [problem for node in _used(definitions) for problem in _of_node(node)]
    marker = definitions.get(MARKER)
    if marker and found:
        release = ast.literal_eval(marker.value)  # type: ignore[attr-defined]
        return [] if release in released else [f"waits for the release {release}"]
    return found


def _definitions(module: ast.Module) -> dict[str, ast.stmt]:
    """Return the functions and constants of a module by their names."""
    found: dict[str, ast.stmt] = {}
    for statement in module.body:
        if isinstance(statement, ast.FunctionDef):
            found[statement.name] = statement
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = statement
    return found


def _used(definitions: dict[str, ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes of ``upgrade`` and of all that it uses."""
    names = ["upgrade"]
    for name in names:  # grows during the iteration
        for node in ast.walk(definitions[name]):
            yield node
            if isinstance(node, ast.Name) and node.id in definitions and node.id not in names:
                names.append(node.id)


def _of_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        for pattern, what in _SQL.items():
            if re.search(rf"\b({pattern})\b", node.value):
                yield what
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        options = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        if problem := _REMOVALS.get(node.func.attr):
            yield problem
        elif node.func.attr == "alter_column":
            yield from _of_change(options)
        elif node.func.attr == "add_column" and _is_required(node.args[-1]):
            yield "adds a column that must not be NULL and has no server_default"


def _of_change(options: dict[str, ast.expr]) -> Iterator[str]:
    """Yield what is wrong with an ``alter_column`` that has these arguments."""
    if "new_column_name" in options:
        yield "renames a column"
    if _is_false(options.get("nullable")) and "server_default" not in options:
        yield "forbids NULL in a column"
    if "type_" in options and not _is_wider(options["type_"], options.get("existing_type")):
        yield "changes the type of a column"


def _is_required(column: ast.expr) -> bool:
    """Whether rows must have a value for a new column, unless it is plain to see that they need none."""
    if not isinstance(column, ast.Call):
        return True
    options = {keyword.arg: keyword.value for keyword in column.keywords}
    return _is_false(options.get("nullable")) and "server_default" not in options


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _is_wider(new: ast.expr, old: ast.expr | None) -> bool:
    """Whether a type, such as ``sa.String(64)``, holds every value of another."""
    (name, length), (old_name, old_length) = _type(new), _type(old)
    if name == old_name == "String":
        return length >= old_length > 0
    return name in _WIDER.get(old_name, ())


def _type(node: ast.expr | None) -> tuple[str, int]:
    """Return the name and the length of a type; "" if it is no call such as ``sa.String(64)``."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return "", 0
    length = node.args[0] if node.args else None
    return node.func.attr, length.value if isinstance(length, ast.Constant) else 0  # type: ignore[return-value]
