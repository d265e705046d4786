"""Read queries for conversations: a follower with their conversation, tags, operators and mentions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    String,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ...database.clock import database_now
from ...models import (
    Conversation,
    ConversationStatus,
    Draft,
    Follower,
    FollowerTag,
    Handover,
    Mention,
    MessageLog,
    MessageState,
    Note,
    Operator,
    Presence,
    Tag,
)
from ...routing.ownership import Owner

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


_Answer = aliased(MessageLog)


def shown_message() -> ColumnElement[int | None]:
    """Return a column with the id of the message that stands for a conversation in a list.

    While a conversation is open, it is the message since which the follower waits. Otherwise it is the
    follower's last words, or those of an operator who spoke later. Where the follower has said nothing, it is
    the last message of a conversation that is not open.
    """
    unsent = (MessageState.WITHDRAWN, MessageState.FAILED)
    answered: ScalarSelect[int] = (
        select(func.max(_Answer.id))
        .where(
            _Answer.follower_id == Conversation.follower_id,
            _Answer.id > Conversation.last_in_id,
            _Answer.operator_id.is_not(None),
            _Answer.state.not_in(unsent),
        )
        .scalar_subquery()
    )
    last = case((Conversation.status != ConversationStatus.OPEN, Conversation.last_id))
    said = func.nullif(Conversation.last_in_id, 0)
    return func.coalesce(Conversation.waiting_id, answered, said, last)


def owner_columns() -> tuple[ColumnElement[Any], ...]:
    """Return columns of who answers a follower: of `Handover`, which is joined, with the operator's name."""
    name = select(Operator.name).where(Operator.id == Handover.operator_id).correlate(Handover)
    return (
        func.coalesce(Handover.owner, Owner.BOT.value).label("owner"),
        func.coalesce(Handover.version, 0).label("owner_version"),
        Handover.operator_id.label("owner_id"),
        Handover.since.label("owned_since"),
        Handover.until.label("owned_until"),
        name.scalar_subquery().label("owner_name"),
    )


def find_follower(
    connection: Connection, account_id: int, follower_id: int, operator_id: int
) -> Row[Any] | None:
    """Return an account's follower with conversation, owner, tags, and the operator's draft and mentions."""
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
            *owner_columns(),
            tags_of(Follower.id),
            draft.scalar_subquery().label("draft"),
            mentions.label("mentions_me"),
        )
        .outerjoin(Conversation, Conversation.follower_id == Follower.id)
        .outerjoin(Handover, Handover.follower_id == Follower.id)
        .where(Follower.id == follower_id, Follower.account_id == account_id)
    )
    return connection.execute(found).one_or_none()


def assignable_operators(connection: Connection, follower_id: int | None = None) -> Sequence[Any]:
    """Return the operators to whom conversations can be assigned.

    With a follower, `present` and `writing` tell who has that conversation open and who writes an answer.
    """
    recent = database_now() - PRESENCE_TIMEOUT
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
