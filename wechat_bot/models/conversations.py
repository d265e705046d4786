"""Conversations: the bot's session, the state that operators work with, notes, drafts and canned replies."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from ..routing.ownership import HandoverReason, Owner
from .columns import LONG_TEXT, ROW_ID, UTCDateTime, exact
from .history import VersionColumns


class BotSession(Model):
    """The dialogue with a follower: its session, and where it stands."""

    __tablename__ = "bot_sessions"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"), unique=True)
    state: Mapped[str | None] = mapped_column(String(64))
    session: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When `state` and `session` are forgotten."""
    version: Mapped[int] = mapped_column(default=0)
    """Counts the changes of `state`, `session` and `rule_memory`, so that none is lost."""
    ready_id: Mapped[int | None] = mapped_column(ROW_ID)
    """The oldest outgoing message that is `READY`."""
    rule_memory: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What rules keep of the follower, by their ids: until when they rest, and which answer is next."""


class ConversationStatus(StrEnum):
    """What a conversation needs."""

    OPEN = "open"
    """Somebody has to look: no handler but a catch-all one took a message."""
    WAITING = "waiting"
    """The follower has to say something."""
    DONE = "done"
    """Nothing."""


class Conversation(Model):
    """A follower's conversation as operators list it: a projection of the messages, plus what they decide."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index(None, "account_id", "last_id"),
        Index(None, "account_id", "status", "last_id"),
        Index(None, "account_id", "status", "waiting_since", "follower_id"),
        Index(None, "account_id", "status", "last_in_id"),
        Index(None, "assignee_id", "account_id", "last_id"),
        Index(
            "ix_conversations_assigned", "account_id", "assignee_id", "status", "waiting_since", "follower_id"
        ),
        Index(None, "account_id", "starred", "last_id"),
        Index(None, "account_id", "messages_in", "follower_id"),
        MYSQL,
    )

    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    """The account of the follower."""
    last_id: Mapped[int] = mapped_column(ROW_ID)
    """The newest message."""
    last_in_id: Mapped[int] = mapped_column(ROW_ID, default=0)
    """The newest message of the follower, without events and taps on menu messages."""
    read_id: Mapped[int] = mapped_column(ROW_ID, default=0)
    """The newest message that an operator has seen."""
    messages_in: Mapped[int] = mapped_column(default=0)
    """Messages of the follower, events not counted."""
    messages_out: Mapped[int] = mapped_column(default=0)
    status: Mapped[ConversationStatus] = mapped_column(String(8), default=ConversationStatus.DONE)
    waiting_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the first message came that nobody has looked after since; None unless `OPEN`, and while nobody
    waits."""
    waiting_id: Mapped[int | None] = mapped_column(ROW_ID)
    """That message; None also when an operator opened the conversation by hand."""
    assignee_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    starred: Mapped[bool] = mapped_column(default=False)


class Handover(Model):
    """Who answers a follower. Without a row it is the bot, and always was."""

    __tablename__ = "handovers"
    __table_args__ = (Index(None, "account_id", "owner", "since"), Index(None, "account_id", "since"), MYSQL)

    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    owner: Mapped[Owner] = mapped_column(String(8))
    operator_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    reason: Mapped[HandoverReason] = mapped_column(String(16))
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When an operator who has not answered meanwhile loses the conversation to the bot."""
    alerted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When operators were alerted that the follower waits."""
    version: Mapped[int] = mapped_column(default=1)
    """Counts the changes of the owner."""


class HandoverEvent(Model):
    """A change of the owner of a conversation. Rows are added, never changed."""

    __tablename__ = "handover_events"
    __table_args__ = (Index(None, "follower_id", "id"), Index(None, "account_id", "at"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    owner: Mapped[Owner] = mapped_column(String(8))
    operator_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    """The operator who took the conversation, or gave it back."""
    reason: Mapped[HandoverReason] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(LONG_TEXT, default="")
    """What the operator says about it, for colleagues and for the assistant."""


class StoredHandoverPolicy(Model):
    """The policy of an account (`routing.handover_policy.HandoverPolicy`)."""

    __tablename__ = "handover_policies"

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    version: Mapped[int] = mapped_column(default=1)
    """Counts its changes, so that none is lost."""


class Note(Model):
    """What operators tell each other about a follower; the follower never sees it."""

    __tablename__ = "notes"
    __table_args__ = (Index(None, "follower_id", "created_at"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"))
    operator_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    text: Mapped[str] = mapped_column(LONG_TEXT)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Mention(Model):
    """A note names an operator, who has perhaps not read it yet."""

    __tablename__ = "mentions"
    __table_args__ = (Index(None, "operator_id", "seen_at"), MYSQL)

    note_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("notes.id"), primary_key=True)
    operator_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("operators.id"), primary_key=True)
    seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Presence(Model):
    """An operator has a conversation open, as of `seen_at`."""

    __tablename__ = "presences"

    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"), primary_key=True)
    operator_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("operators.id"), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Draft(Model):
    """What an operator has begun to write to a follower."""

    __tablename__ = "drafts"

    follower_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("followers.id"), primary_key=True)
    operator_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("operators.id"), primary_key=True)
    text: Mapped[str] = mapped_column(LONG_TEXT)
    written_at: Mapped[datetime] = mapped_column(UTCDateTime)


class CannedReply(Model):
    """An answer that operators have at hand."""

    __tablename__ = "canned_replies"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    operator_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    """Whose it is; None: everybody's."""
    shortcut: Mapped[str] = mapped_column(exact(32))
    """What is typed after "/" to find it."""
    title: Mapped[str] = mapped_column(String(64))
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    """A `routing.answers.PreparedAnswer`."""
    used: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    """Counts its changes, so that none is lost."""
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When it was deleted. It stays, so that it can be restored."""


class CannedReplyVersion(VersionColumns, Model):
    """A version of a canned reply."""

    __tablename__ = "canned_reply_versions"

    reply_id: Mapped[int] = mapped_column(
        ROW_ID, ForeignKey("canned_replies.id"), primary_key=True, sort_order=-1
    )


class SavedView(Model):
    """A filter of the list of conversations, under a name."""

    __tablename__ = "saved_views"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    operator_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    """Whose it is; None: everybody's."""
    name: Mapped[str] = mapped_column(exact(64))
    query: Mapped[str] = mapped_column(LONG_TEXT)
    """The filter as a query string."""
