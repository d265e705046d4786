"""Decides the state of outgoing messages, after a call of the API and when operators withdraw or resend."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from ...models import Channel, MessageState
from ...wechat.errors import (
    APIError,
    Busy,
    CredentialsRefused,
    Forbidden,
    InvalidToken,
    NotConfirmed,
    NotWhitelisted,
    QuotaUsedUp,
    Restricted,
    TooFrequent,
    Unreachable,
    WindowClosed,
)
from ..decisions import AuditNote, Decision

WITHDRAWABLE = frozenset({MessageState.QUEUED})
RESENDABLE = frozenset({MessageState.FAILED, MessageState.UNKNOWN})
"""The states of answers that operators may withdraw, or send again."""

ACCOUNT_ERRORS = (CredentialsRefused, Forbidden, InvalidToken, NotConfirmed, NotWhitelisted, Restricted)
"""Errors that concern the account: no message can be sent until its owner has done something."""
_PASSING_ERRORS = (WindowClosed, QuotaUsedUp, TooFrequent, Busy, Unreachable)
"""Errors that concern the moment, or this follower's window."""


UNREADABLE_FILE = "unreadable_file"
"""The error of a message whose file could not be read."""


class UnreadableFile(Exception):
    """The file of a message is not in the store, or the store cannot be reached."""

    def __init__(self) -> None:
        super().__init__(UNREADABLE_FILE)


def is_worth_repeating(error: Exception) -> bool:
    """Whether the same call may succeed seconds later: the platform was busy, or was not reached."""
    return isinstance(error, Busy) or (isinstance(error, Unreachable) and not error.delivered)


def after_sending(error: Exception | None, *, by_operator: bool, now: datetime) -> Decision:
    """Decide the state of a message whose sending has ended with `error`, or without one.

    The replies of handlers are held for the follower's next push where the API refuses them for a reason that
    does not concern the message; an operator's answer has failed then. A message of which nobody knows
    whether it arrived is `UNKNOWN`, and never sent again by a program.
    """
    state = _state_after(error, MessageState.FAILED if by_operator else MessageState.READY)
    return Decision(
        {
            "state": state,
            "channel": Channel.REPLY if state is MessageState.READY else Channel.CUSTOMER,
            "error": str(error or "")[:255],
            "errcode": error.errcode if isinstance(error, APIError) and error.errcode else None,
            "received_at": now,
        }
    )


def _state_after(error: Exception | None, otherwise: MessageState) -> MessageState:
    if error is None:
        return MessageState.SENT
    if isinstance(error, Unreachable) and error.delivered:
        return MessageState.UNKNOWN
    return otherwise if isinstance(error, ACCOUNT_ERRORS + _PASSING_ERRORS) else MessageState.FAILED


class AnswerAction(StrEnum):
    """What an operator does with an answer, as the audit log calls it."""

    WITHDRAW = "withdrawn"
    RESEND = "sent_again"


def change_answer(
    action: AnswerAction, state: MessageState, message_id: int, subject: str, now: datetime
) -> Decision | None:
    """Decide whether an answer in `state` can be withdrawn or sent again; None if not."""
    allowed, after = {
        AnswerAction.WITHDRAW: (WITHDRAWABLE, MessageState.WITHDRAWN),
        AnswerAction.RESEND: (RESENDABLE, MessageState.QUEUED),
    }[action]
    if state not in allowed:
        return None
    changes = {"state": after, "error": "", "errcode": None, "received_at": now}
    return Decision(changes, AuditNote(action, subject, after=f"message:{message_id}"))
