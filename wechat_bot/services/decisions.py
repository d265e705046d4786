"""A change of state as a value.

Where a state changes, a pure function in the ``decisions`` module of the subject returns a `Decision`, which
the service applies in one transaction. So the rules can be read and tested without a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AuditNote:
    """What the audit log says about a decision of an operator."""

    action: str
    subject: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Decision:
    """The columns that change, and what the audit log says; programs decide without a note."""

    changes: Mapping[str, Any]
    note: AuditNote | None = None
