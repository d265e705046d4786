"""Runs the migrations on the application's database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app
from sqlalchemy import Connection, Engine

from wechat_bot.database.startup import migration_lock
from wechat_bot.extensions import db
from wechat_bot.models.columns import UTCDateTime
from wechat_bot.services.messages.partitions import is_partitioned


def render_item(kind: str, item: Any, autogen_context: AutogenContext) -> str | Literal[False]:
    """Write our own column types as the plain types that they are stored as."""
    if isinstance(item, UTCDateTime):
        autogen_context.imports.add("from sqlalchemy.dialects import mysql")
        return 'sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")'
    return False


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Leave alone what no model describes: the tables of the search index, and partitions."""
    return kind != "table" or not re.fullmatch(r"\w+_search(_\w+)?|message_logs_\w+", name or "")


def run_offline() -> None:
    """Print the SQL instead of running it."""
    url = current_app.config["SQLALCHEMY_DATABASE_URI"]
    context.configure(url=url, target_metadata=db.metadata, literal_binds=True, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


@contextmanager
def unchecked(connection: Connection) -> Iterator[None]:
    """Let SQLite check no foreign keys: a table that is created anew is dropped while rows refer to its rows.

    The check cannot be switched in a transaction.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver_connection: Any = connection.connection.driver_connection
    driver_connection.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver_connection.execute("PRAGMA foreign_keys=ON")


def check_foreign_keys(connection: Connection) -> None:
    """Check that all rows have what they refer to.

    :raises RuntimeError: naming the tables that refer to rows which are not there.
    """
    if connection.dialect.name == "sqlite":
        tables = {row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check")}
        if tables:
            raise RuntimeError(f"rows of {', '.join(sorted(tables))} refer to rows that are not there")


def run_online() -> None:
    arguments = current_app.extensions["migrate"].configure_args
    engine: Engine = context.config.attributes.get("engine", db.engine)
    applied: list[Any] = []
    with (
        engine.connect().execution_options(writes=True) as connection,
        migration_lock(connection),
        unchecked(connection),
    ):

        def include_object(item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
            """Leave alone what partitions have instead of their table: the unique key, and references."""
            if kind == "foreign_key_constraint" and reflected:
                return not item.elements[0].target_fullname.startswith("message_logs_")
            return name != "uq_message_logs_dedup_key" or not is_partitioned(connection)

        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_item=render_item,
            include_name=include_name,
            include_object=include_object,
            transactional_ddl=connection.dialect.name in {"sqlite", "postgresql"},
            on_version_apply=lambda **step: applied.append(step),
            **arguments,
        )
        with context.begin_transaction():
            context.run_migrations()
            if applied:
                check_foreign_keys(connection)


if context.is_offline_mode():
    run_offline()
else:
    run_online()
