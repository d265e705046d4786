"""The assistant: its profile with its history, and its answers."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Double, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import LONG_TEXT, ROW_ID, UTCDateTime, exact
from .history import VersionColumns


class StoredAssistantProfile(Model):
    """The profile of an account's assistant."""

    __tablename__ = "assistant_profiles"

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`services.assistant.profile.AssistantProfile`."""
    sealed_key: Mapped[str] = mapped_column(Text)
    """The key of the endpoint, sealed; empty if there is none. It has no history."""
    version: Mapped[int] = mapped_column(default=1)
    """Counts the changes, so that none is lost. Answers name the version by which they were made."""


class AssistantProfileVersion(VersionColumns, Model):
    """A version of a profile."""

    __tablename__ = "assistant_profile_versions"

    account_id: Mapped[int] = mapped_column(
        ROW_ID, ForeignKey("accounts.id"), primary_key=True, sort_order=-1
    )


class Outcome(StrEnum):
    """What became of a question to the assistant."""

    ANSWERED = "answered"
    UNKNOWN = "unknown"
    """There is no passage that answers it."""
    BLOCKED = "blocked"
    """A forbidden word occurs in the question or in the answer."""
    OVER_BUDGET = "over_budget"
    """The follower, or the account, has used up what is permitted."""
    FAILED = "failed"
    """The model did not answer."""
    HANDED_OVER = "handed_over"
    """The follower asks for a person."""


class ModelAnswer(Model):
    """A question to the assistant and what became of it. Rows are kept for half a year at least.

    Numbers that identify people are masked in the texts.
    """

    __tablename__ = "model_answers"
    __table_args__ = (
        Index(None, "account_id", "created_at"),
        Index(None, "follower_id", "created_at"),
        Index(None, "dedup_key"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    follower_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("followers.id"))
    """None for questions that operators ask to try the assistant."""
    dedup_key: Mapped[str | None] = mapped_column(exact(40))
    """That of the message that was answered; those of its answers begin with it."""
    last_message_id: Mapped[int | None] = mapped_column(ROW_ID)
    """The newest message of the question, which may consist of several."""
    outcome: Mapped[Outcome] = mapped_column(String(16))
    error: Mapped[str] = mapped_column(String(255), default="")
    """Why the model failed, which limit was reached, or which word is forbidden."""
    model: Mapped[str] = mapped_column(String(200), default="")
    """Empty if no model was asked."""
    profile_version: Mapped[int]
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    cost: Mapped[float] = mapped_column(Double, default=0.0)
    """In yuan."""
    milliseconds: Mapped[int] = mapped_column(default=0)
    passages: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """What the model was given: id, source, title, link and score of each passage."""
    question: Mapped[str] = mapped_column(LONG_TEXT, default="")
    answer: Mapped[str] = mapped_column(LONG_TEXT, default="")
    """What the model wrote, also where the follower did not get it."""
    rating: Mapped[int] = mapped_column(default=0)
    """1: an operator found it good; -1: bad."""
    rated_by: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("operators.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
