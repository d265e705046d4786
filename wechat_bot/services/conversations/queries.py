"""Read queries for conversations: a follower with their conversation, tags, operators and mentions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, String, and_, cast, exists, false, func, select
from sqlalchemy.orm import InstrumentedAttribute

from ...models import Conversation, Draft, Follower, FollowerTag, Mention, Note, Operator, Presence, Tag

PRESENCE_TIMEOUT = timedelta(seconds=20)
"""Time after the last request for a conversation during which an operator counts as present."""
SEPARATOR = "\x1f"
"""Separator of the tags in the column of `tags_of`."""


def tags_of(follower_id: InstrumentedAttribute[int]) -> ColumnElement[str]:
    """Return a column with all tags of a follower, so that a list needs no second query."""
    each = Tag.colour + ":" + cast(Tag.id, String) + ":" + Tag.name
    return (
        select(func.aggregate_strings(each, SEPARATOR))
        .join(FollowerTag, FollowerTag.tag_id == Tag.id)
        .where(FollowerTag.follower_id == follower_id)
        .scalar_subquery()
        .label("tags")
    )


def split_tags(text: str | None) -> list[dict[str, str]]:
    """Return the tags in a value of the column `tags_of`, sorted by name."""
    parts = (each.split(":", 2) for each in (text or "").split(SEPARATOR) if each)
    return sorted(({"colour": c, "id": i, "name": n} for c, i, n in parts), key=lambda tag: tag["name"])


def unseen_mentions(operator_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions for mentions that an operator has not read."""
    return Mention.operator_id == operator_id, Mention.seen_at.is_(None)


def find_follower(connection: Connection, follower_id: int, operator_id: int) -> Row[Any] | None:
    """Return a follower with their conversation, tags, and the operator's draft and unread mentions."""
    draft = select(Draft.text).where(Draft.follower_id == Follower.id, Draft.operator_id == operator_id)
    mentions = exists().where(
        Note.follower_id == Follower.id, Mention.note_id == Note.id, *unseen_mentions(operator_id)
    )
    found = (
        select(
            Follower.__table__,
            Conversation.status,
            Conversation.waiting_since,
            Conversation.starred,
            Conversation.assignee_id,
            Conversation.messages_in,
            Conversation.messages_out,
            Conversation.read_id,
            tags_of(Follower.id),
            draft.scalar_subquery().label("draft"),
            mentions.label("mentions_me"),
        )
        .outerjoin(Conversation, Conversation.follower_id == Follower.id)
        .where(Follower.id == follower_id)
    )
    return connection.execute(found).one_or_none()


def assignable_operators(connection: Connection, follower_id: int | None = None) -> Sequence[Any]:
    """Return the operators to whom conversations can be assigned.

    With a follower, `present` and `writing` tell who has that conversation open and who writes an answer.
    """
    recent = datetime.now(UTC) - PRESENCE_TIMEOUT
    here = (Presence.operator_id == Operator.id, Presence.follower_id == follower_id)
    writing = (Draft.operator_id == Operator.id, Draft.follower_id == follower_id)
    found = select(
        Operator.id,
        Operator.name,
        Presence.seen_at.is_not(None).label("present"),
        Draft.written_at.is_not(None).label("writing"),
    ).select_from(Operator)
    found = found.outerjoin(Presence, and_(*here, Presence.seen_at > recent))
    found = found.outerjoin(Draft, and_(*writing, Draft.written_at > recent))
    return connection.execute(found.where(Operator.disabled == false()).order_by(Operator.name)).all()
