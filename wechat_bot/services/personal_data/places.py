"""Where the database keeps data of followers, and what an erasure does there.

This is the one list that export and erasure go by. A test compares it with the columns of all tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select

from ...extensions import Model
from ...models import (
    Alert,
    AuditEntry,
    BotSession,
    Conversation,
    Draft,
    Follower,
    FollowerTag,
    Handover,
    HandoverEvent,
    Media,
    Mention,
    MessageLog,
    ModelAnswer,
    Note,
    PendingUpdate,
    Presence,
    QuestionExample,
    QuestionGroup,
)
from ..followers.profiles import subject


@dataclass(frozen=True)
class Place:
    """The rows of a table that belong to a follower."""

    model: type[Model]
    of: Callable[[int], ColumnElement[bool]]
    """Returns the condition for the rows of the follower with an id."""
    blanks: Mapping[str, Any] | None = None
    """What an erasure writes into rows that stay; None: it deletes the rows."""
    exported: bool = True
    """Whether an export has these rows. What operators do among themselves is left out."""


def _by_column(model: Any, *, exported: bool = True) -> Place:
    return Place(model, lambda follower_id: model.follower_id == follower_id, exported=exported)


FOLLOWER = Place(Follower, lambda follower_id: Follower.id == follower_id)
"""Is blanked first and deleted last."""

MESSAGES = _by_column(MessageLog)

OF_MESSAGES = (Media, QuestionExample, QuestionGroup)
"""Tables that name messages. `deletion.delete_messages` takes care of them, and of the search index."""

PLACES = (
    _by_column(FollowerTag),
    _by_column(PendingUpdate, exported=False),
    _by_column(BotSession),
    _by_column(Conversation),
    _by_column(Handover),
    _by_column(HandoverEvent),
    _by_column(Alert, exported=False),
    _by_column(Presence, exported=False),
    _by_column(Draft, exported=False),
    Place(
        Mention,
        lambda follower_id: Mention.note_id.in_(select(Note.id).where(Note.follower_id == follower_id)),
        exported=False,
    ),
    _by_column(Note),
    # The record of what the assistant did stays for the time that the law names, without the person.
    Place(
        ModelAnswer,
        lambda follower_id: ModelAnswer.follower_id == follower_id,
        {
            "follower_id": None,
            "dedup_key": None,
            "last_message_id": None,
            "question": "",
            "answer": "",
            "error": "",
        },
    ),
    # That operators did something stays, not with what words.
    Place(
        AuditEntry,
        lambda follower_id: AuditEntry.subject == subject(follower_id),
        {"before": None, "after": None, "detail": ""},
        exported=False,
    ),
)
"""All other places, each after those that refer to it."""
