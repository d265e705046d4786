"""Which messages the language model answered badly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from ...models import ModelAnswer, Outcome

_BAD = (Outcome.UNKNOWN, Outcome.BLOCKED, Outcome.FAILED)
"""What leaves a question unanswered."""


def without_good_answer(connection: Connection, messages: Sequence[Row[Any]]) -> set[str]:
    """Return the keys (`MessageLog.dedup_key`) of those messages whose answer was none, or was disliked."""
    keys = {row.dedup_key for row in messages if row.dedup_key}
    bad = or_(ModelAnswer.outcome.in_(_BAD), ModelAnswer.rating < 0)
    found = select(ModelAnswer.dedup_key).where(ModelAnswer.dedup_key.in_(keys), bad)
    return {key for key in connection.scalars(found) if key} if keys else set()
