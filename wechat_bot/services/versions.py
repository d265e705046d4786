"""The history of what operators edit: every version is kept, with who made it."""

from __future__ import annotations

from typing import Any

from ..database.clock import database_now
from ..models import Change
from .audit import Actor


def version_values(actor: Actor, change: Change, version: int, definition: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of `models.history.VersionColumns` for what `actor` has just done."""
    return {
        "version": version,
        "at": database_now(),
        "operator_id": actor.operator_id,
        "operator": actor.name[:64],
        "change": change,
        "definition": definition,
    }
