"""Answers that operators have at hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, insert, or_, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import CannedReply
from .. import audit
from ..audit import Actor

MAX_TEXT = 2000
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
VARIABLES = ("follower", "operator", "date")
"""What stands in double braces: the follower's name, the operator's, and today."""


class InvalidCannedReply(Exception):
    """It lacks a shortcut or a text, its shortcut is taken, or it has a variable that does not exist."""


@dataclass(frozen=True)
class CannedText:
    """How a canned reply is found, and what it says."""

    shortcut: str
    title: str
    text: str
    own: bool = False
    """Only its author has it at hand."""

    def checked(self) -> CannedText:
        """It, without blanks around; InvalidCannedReply."""
        shortcut = "".join(self.shortcut.split()).lstrip("/")[:32]
        text = self.text.strip()
        if not shortcut or not text or len(text) > MAX_TEXT or not variables(text) <= set(VARIABLES):
            raise InvalidCannedReply
        return CannedText(shortcut, (self.title.strip() or text.splitlines()[0])[:64], text, self.own)


def at_hand(connection: Connection, account_id: int, operator_id: int) -> list[Row[tuple[CannedReply]]]:
    """Everybody's and the operator's own, most used first."""
    table = CannedReply.__table__
    theirs = or_(CannedReply.operator_id.is_(None), CannedReply.operator_id == operator_id)
    found = select(table).where(CannedReply.account_id == account_id, theirs)
    return list(connection.execute(found.order_by(CannedReply.used.desc(), CannedReply.shortcut)).all())


def variables(text: str) -> set[str]:
    """The names of the variables in a text."""
    return set(_VARIABLE.findall(text))


def values_for(follower: str, operator: str, today: date) -> dict[str, str]:
    """The value of each of `VARIABLES`; empty: there is none."""
    return {"follower": follower, "operator": operator, "date": today.isoformat()}


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with the `values` of its variables."""
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)


@retry_conflicts
def save(
    engine: Engine, actor: Actor, account_id: int, wording: CannedText, reply_id: int | None = None
) -> None:
    """Add a canned reply, or change the one with `reply_id`; InvalidCannedReply."""
    wording = wording.checked()
    values = {
        "operator_id": actor.operator_id if wording.own else None,
        "shortcut": wording.shortcut,
        "title": wording.title,
        "text": wording.text,
    }
    with transaction(engine) as connection:
        same = select(CannedReply.id).where(
            CannedReply.account_id == account_id,
            CannedReply.shortcut == wording.shortcut,
            CannedReply.operator_id.is_(None)
            if values["operator_id"] is None
            else CannedReply.operator_id == actor.operator_id,
        )
        if any(found != reply_id for found in connection.scalars(same)):
            raise InvalidCannedReply
        if reply_id is None:
            connection.execute(insert(CannedReply).values(account_id=account_id, **values))
        else:
            mine = _changeable(actor, account_id, reply_id)
            connection.execute(update(CannedReply).where(*mine).values(**values))
        audit.record(connection, actor, "canned_saved", f"canned:{wording.shortcut}", after=wording.text)


@retry_conflicts
def remove(engine: Engine, actor: Actor, account_id: int, reply_id: int) -> None:
    """Remove a canned reply: everybody's or the operator's own."""
    mine = _changeable(actor, account_id, reply_id)
    with transaction(engine) as connection:
        row = connection.execute(select(CannedReply.shortcut, CannedReply.text).where(*mine)).one_or_none()
        if row:
            connection.execute(delete(CannedReply).where(*mine))
            audit.record(connection, actor, "canned_removed", f"canned:{row.shortcut}", before=row.text)


@retry_conflicts
def count_use(engine: Engine, account_id: int, reply_id: int) -> None:
    """It was sent once more."""
    with transaction(engine) as connection:
        connection.execute(
            update(CannedReply)
            .where(CannedReply.id == reply_id, CannedReply.account_id == account_id)
            .values(used=CannedReply.used + 1)
        )


def _changeable(actor: Actor, account_id: int, reply_id: int) -> tuple[ColumnElement[bool], ...]:
    theirs = or_(CannedReply.operator_id.is_(None), CannedReply.operator_id == actor.operator_id)
    return (CannedReply.id == reply_id, CannedReply.account_id == account_id, theirs)
