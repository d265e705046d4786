"""The audit log: who did what, in the console and on the command line. Operators change none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert

from ..database.clock import database_now
from ..database.transactions import retry_conflicts, transaction
from ..models import AuditEntry


@dataclass(frozen=True)
class Actor:
    """The person who acts: an operator, or, without an id, an unknown person or the command line."""

    operator_id: int | None
    name: str
    address: str


@retry_conflicts
def record_now(engine: Engine, actor: Actor, action: str, subject: str = "", *, detail: str = "") -> None:
    """Add an entry for an action that changes nothing in the database, such as an export."""
    with transaction(engine) as connection:
        record(connection, actor, action, subject, detail=detail)


def record(
    connection: Connection,
    actor: Actor,
    action: str,
    subject: str = "",
    *,
    before: Any = None,
    after: Any = None,
    detail: str = "",
) -> None:
    """Add an entry in the transaction of the recorded change."""
    row = new_entry(actor, action, subject, before=before, after=after, detail=detail)
    connection.execute(insert(AuditEntry), row)


def new_entry(
    actor: Actor, action: str, subject: str = "", *, before: Any = None, after: Any = None, detail: str = ""
) -> dict[str, Any]:
    """Return the row of an entry, for a change of many things, whose entries are inserted together."""
    return {
        "at": database_now(),
        "operator_id": actor.operator_id,
        "operator": actor.name[:64],
        "action": action,
        "subject": subject,
        "before": before,
        "after": after,
        "address": actor.address[:64],
        "detail": detail,
    }
