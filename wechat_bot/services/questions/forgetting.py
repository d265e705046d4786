"""Takes messages that are deleted out of the groups of unanswered questions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from ...models import MessageLog, QuestionExample, QuestionGroup, QuestionToken
from .likeness import MAX_TEXT, tokens_of_question
from .storing import delete_groups, token_rows


def forget_messages(connection: Connection, message_ids: Collection[int]) -> None:
    """Take messages out of their groups, before they are deleted.

    A group whose text is that of such a message gets the text of its next question; without one it is
    deleted. How often a group was asked stays.
    """
    asked = select(QuestionExample.group_id).where(QuestionExample.message_id.in_(message_ids))
    affected = select(QuestionGroup.id, QuestionGroup.account_id).where(
        QuestionGroup.id.in_(asked), QuestionGroup.message_id.in_(message_ids)
    )
    groups = connection.execute(affected.order_by(QuestionGroup.id).with_for_update()).all()
    connection.execute(delete(QuestionExample).where(QuestionExample.message_id.in_(message_ids)))
    for group in groups:
        first = select(func.min(QuestionExample.message_id)).where(QuestionExample.group_id == group.id)
        found = select(MessageLog.id, MessageLog.text).where(MessageLog.id == first.scalar_subquery())
        example = connection.execute(found).one_or_none()
        if example:
            _rename(connection, group, example.id, example.text[:MAX_TEXT])
        else:
            delete_groups(connection, [group.id])


def _rename(connection: Connection, group: Any, message_id: int, text: str) -> None:
    """Give a group the text of a question, by which others are found to be like it."""
    named = update(QuestionGroup).where(QuestionGroup.id == group.id)
    connection.execute(named.values(text=text, message_id=message_id))
    connection.execute(delete(QuestionToken).where(QuestionToken.group_id == group.id))
    connection.execute(
        insert(QuestionToken), token_rows(group.account_id, group.id, tokens_of_question(text))
    )
