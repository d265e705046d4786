"""Who did what in the console. Entries are added, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert

from ..database.transactions import retry_conflicts, transaction
from ..models import AuditEntry


@dataclass(frozen=True)
class Actor:
    """An operator who does something, and from where; someone unknown has no id."""

    operator_id: int | None
    name: str
    address: str


@retry_conflicts
def note(engine: Engine, actor: Actor, action: str, subject: str = "", *, detail: str = "") -> None:
    """Add an entry for something that changes nothing else, such as looking or exporting."""
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
    """Add an entry, in the transaction of what it tells about."""
    connection.execute(
        insert(AuditEntry).values(
            at=datetime.now(UTC),
            operator_id=actor.operator_id,
            operator=actor.name[:64],
            action=action,
            subject=subject,
            before=before,
            after=after,
            address=actor.address[:64],
            detail=detail,
        )
    )
