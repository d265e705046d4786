"""Rows for INSERT statements, made from the defaults of the models."""

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import inspect

from ..extensions import Model

Row = dict[str, Any]
"""Columns by name."""


def new_row(model: type[Model], /, **values: Any) -> Row:
    """Return a row with `values`, and with the model's default or None in every other column.

    The id is left to the database.

    :raises TypeError: if a value has no column, or a column has neither a value nor a default.
    """
    constants, factories = _defaults(model)
    # SQLAlchemy gives factories an execution context, of which ours make no use.
    row = constants | {name: make(None) for name, make in factories.items()} | values
    if len(row) != len(names := insert_columns(model)):
        raise TypeError(f"{model.__name__}: {sorted(row.keys() ^ names)} are unknown or missing")
    return row


@cache
def insert_columns(model: type[Model]) -> tuple[str, ...]:
    """Return the names of the columns that an INSERT sets: all but an id that the database assigns."""
    generated = inspect(model).local_table.autoincrement_column  # type: ignore[attr-defined]
    return tuple(column.key for column in model.__table__.columns if column is not generated)


@cache
def _defaults(model: type[Model]) -> tuple[Row, dict[str, Callable[[Any], Any]]]:
    """Return the constant defaults, and the factories of the others."""
    constants: Row = {}
    factories: dict[str, Callable[[Any], Any]] = {}
    for name in insert_columns(model):
        column = model.__table__.columns[name]
        default: Any = column.default
        if default is not None and default.is_callable:
            factories[name] = default.arg
        elif default is not None:
            constants[name] = default.arg
        elif column.nullable:
            constants[name] = None
    return constants, factories
