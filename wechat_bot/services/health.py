"""Whether messages can be recorded just now."""

from __future__ import annotations

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, update
from sqlalchemy.exc import SQLAlchemyError

from ..extensions import transaction
from ..models import Account


def check_database(engine: Engine, migrations: str) -> str:
    """ "ok", or in a few words what keeps messages from being recorded. Writes, as recording does."""
    try:
        with engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
        if revision != ScriptDirectory(migrations).get_current_head():
            return "not migrated"
        with transaction(engine) as connection:
            connection.execute(update(Account).values(app_id=Account.app_id))
    except SQLAlchemyError as error:
        return describe(error)
    return "ok"


def describe(error: Exception) -> str:
    """What is wrong with the database, in words that tell no details."""
    text = str(error).lower()
    for words, reason in (
        ("readonly", "read-only"),
        ("read-only", "read-only"),
        ("is full", "disk full"),
        ("no space", "disk full"),
        ("locked", "locked"),
        ("lock wait", "locked"),
        ("lock timeout", "locked"),
    ):
        if words in text:
            return reason
    return "unreachable"
