"""Canned replies: prepared texts with variables that operators send as answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, insert, or_, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import CannedReply
from ...wechat.texts import normalize_line_ends
from .. import audit
from ..audit import Actor

MAX_TEXT = 2000
"""Upper limit of a text in characters."""
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
VARIABLES = ("follower", "operator", "date")
"""Names allowed in double braces: the follower's alias, the operator's name, and the date."""


class InvalidCannedReply(Exception):
    """The shortcut or text is missing, the shortcut is taken, or a variable does not exist."""


@dataclass(frozen=True)
class CannedText:
    """The content of a canned reply."""

    shortcut: str
    title: str
    text: str
    own: bool = False
    """Whether only its author can use it."""

    def checked(self) -> CannedText:
        """Return the content with normalized white space and line ends.

        :raises InvalidCannedReply: when a value is missing, too long, or has an unknown variable.
        """
        shortcut = "".join(self.shortcut.split()).lstrip("/")[:32]
        text = normalize_line_ends(self.text).strip()
        if not shortcut or not text or len(text) > MAX_TEXT or not variables(text) <= set(VARIABLES):
            raise InvalidCannedReply
        return CannedText(shortcut, (self.title.strip() or text.splitlines()[0])[:64], text, self.own)


def at_hand(connection: Connection, account_id: int, operator_id: int) -> list[Row[tuple[CannedReply]]]:
    """Return the shared canned replies and the operator's own, most used first."""
    table = CannedReply.__table__
    usable = or_(CannedReply.operator_id.is_(None), CannedReply.operator_id == operator_id)
    found = select(table).where(CannedReply.account_id == account_id, usable)
    return list(connection.execute(found.order_by(CannedReply.used.desc(), CannedReply.shortcut)).all())


def variables(text: str) -> set[str]:
    """Return the names of the variables in a text."""
    return set(_VARIABLE.findall(text))


def values_for(follower: str, operator: str, today: date) -> dict[str, str]:
    """Return the value of each of `VARIABLES`; empty if there is none."""
    return {"follower": follower, "operator": operator, "date": today.isoformat()}


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with its variables replaced by `values`."""
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)


@retry_conflicts
def save(
    engine: Engine, actor: Actor, account_id: int, content: CannedText, reply_id: int | None = None
) -> None:
    """Add a canned reply, or change the one with `reply_id`.

    :raises InvalidCannedReply: when it is invalid, or its shortcut is taken.
    """
    content = content.checked()
    values = {
        "operator_id": actor.operator_id if content.own else None,
        "shortcut": content.shortcut,
        "title": content.title,
        "text": content.text,
    }
    with transaction(engine) as connection:
        same = select(CannedReply.id).where(
            CannedReply.account_id == account_id,
            CannedReply.shortcut == content.shortcut,
            CannedReply.operator_id.is_(None)
            if values["operator_id"] is None
            else CannedReply.operator_id == actor.operator_id,
        )
        if any(found != reply_id for found in connection.scalars(same)):
            raise InvalidCannedReply
        if reply_id is None:
            connection.execute(insert(CannedReply).values(account_id=account_id, **values))
        else:
            editable = _editable(actor, account_id, reply_id)
            connection.execute(update(CannedReply).where(*editable).values(**values))
        audit.record(connection, actor, "canned_saved", f"canned:{content.shortcut}", after=content.text)


@retry_conflicts
def remove(engine: Engine, actor: Actor, account_id: int, reply_id: int) -> None:
    """Remove a canned reply, shared or the operator's own."""
    editable = _editable(actor, account_id, reply_id)
    with transaction(engine) as connection:
        row = connection.execute(
            select(CannedReply.shortcut, CannedReply.text).where(*editable)
        ).one_or_none()
        if row:
            connection.execute(delete(CannedReply).where(*editable))
            audit.record(connection, actor, "canned_removed", f"canned:{row.shortcut}", before=row.text)


@retry_conflicts
def count_use(engine: Engine, account_id: int, reply_id: int) -> None:
    """Count that a canned reply was sent."""
    with transaction(engine) as connection:
        connection.execute(
            update(CannedReply)
            .where(CannedReply.id == reply_id, CannedReply.account_id == account_id)
            .values(used=CannedReply.used + 1)
        )


def _editable(actor: Actor, account_id: int, reply_id: int) -> tuple[ColumnElement[bool], ...]:
    usable = or_(CannedReply.operator_id.is_(None), CannedReply.operator_id == actor.operator_id)
    return (CannedReply.id == reply_id, CannedReply.account_id == account_id, usable)
