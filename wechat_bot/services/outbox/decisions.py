"""Decides the state of outgoing messages, after a call of the API and when operators withdraw or resend."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from ...models import Channel, MessageState
from ...wechat.errors import (
    APIError,
    Busy,
    Forbidden,
    InvalidReply,
    NotFollowing,
    NotFound,
    TooFrequent,
    Unreachable,
    WindowClosed,
)
from ..decisions import AuditNote, Decision
from ..messages.records import operator_origin

WITHDRAWABLE = frozenset({MessageState.QUEUED, MessageState.READY})
RESENDABLE = frozenset({MessageState.FAILED, MessageState.UNKNOWN, MessageState.READY})
"""The states of messages that operators may withdraw, or send again instead of waiting for a push."""

UNREADABLE_FILE = "unreadable_file"
"""The error of a message whose file could not be read."""
UNSENDABLE_REPLY = "unsendable_reply"
"""The error of a reply that can only be in the answer to a push."""


class UnreadableFile(Exception):
    """The file of a message is not in the store, or the store cannot be reached."""

    def __init__(self) -> None:
        super().__init__(UNREADABLE_FILE)


_PASSING_ERRORS = (WindowClosed, TooFrequent, Busy, Unreachable)
"""Errors that concern the moment, or this follower's window."""
_MESSAGE_ERRORS = (NotFollowing, NotFound)
"""Errors that concern this follower, or what the message refers to."""
_MESSAGE_ERRCODES = frozenset({40, 44, 45, 46, 47})
"""Thousands of the errcodes of invalid, missing, too long or unknown contents (section 8)."""
_ACCOUNT_ERRCODES = frozenset({40200, 45035})
"""Errcodes among them for the kind of the account and for the white list."""


def concerns_message(error: Exception) -> bool:
    """Whether the message is the reason of `error`, so that it would be refused at any time."""
    if not isinstance(error, APIError):
        return True
    if type(error) is not APIError:
        return isinstance(error, _MESSAGE_ERRORS)
    return error.errcode // 1000 in _MESSAGE_ERRCODES and error.errcode not in _ACCOUNT_ERRCODES


def concerns_account(error: Exception) -> bool:
    """Whether no message can be sent until somebody has done something about the account.

    That holds for errcodes that this program does not know, too.
    """
    return not isinstance(error, _PASSING_ERRORS) and not concerns_message(error)


def is_worth_repeating(error: Exception) -> bool:
    """Whether the same call may succeed seconds later: the platform was busy, or was not reached."""
    return isinstance(error, Busy) or (isinstance(error, Unreachable) and not error.delivered)


def may_wait(error: Exception | None, *, by_operator: bool, needs_upload: bool) -> bool:
    """Whether a message that was not sent because of `error` can wait for the follower's next push.

    An operator's can if the account has no customer service at all, so that the operator need not act.
    """
    return not needs_upload and (not by_operator or isinstance(error, Forbidden))


def after_sending(error: Exception | None, *, waits: bool, now: datetime) -> Decision:
    """Decide the state of a message whose sending has ended with `error`, or without one.

    One that the API refuses for a reason that does not concern the message is held for the follower's next
    push if it `waits` (`may_wait`), and has failed otherwise. A message of which nobody knows whether it
    arrived is `UNKNOWN`, and never sent again by a program.
    """
    state = _state_after(error, MessageState.READY if waits else MessageState.FAILED)
    return Decision(
        {
            "state": state,
            "channel": Channel.REPLY if state is MessageState.READY else Channel.CUSTOMER,
            "error": UNSENDABLE_REPLY if isinstance(error, InvalidReply) else str(error or "")[:255],
            "errcode": error.errcode if isinstance(error, APIError) and error.errcode else None,
            "received_at": now,
        }
    )


def _state_after(error: Exception | None, otherwise: MessageState) -> MessageState:
    if error is None:
        return MessageState.SENT
    if isinstance(error, Unreachable) and error.delivered:
        return MessageState.UNKNOWN
    return MessageState.FAILED if concerns_message(error) else otherwise


class AnswerAction(StrEnum):
    """What an operator does with a message to a follower, as the audit log calls it."""

    WITHDRAW = "withdrawn"
    RESEND = "sent_again"


def change_answer(
    action: AnswerAction,
    state: MessageState,
    message_id: int,
    subject: str,
    now: datetime,
    *,
    by_operator: bool,
) -> Decision | None:
    """Decide whether a message in `state` can be withdrawn or sent again; None if not.

    The late replies of handlers can be sent again, but not be withdrawn.
    """
    allowed, after = {
        AnswerAction.WITHDRAW: (WITHDRAWABLE if by_operator else frozenset(), MessageState.WITHDRAWN),
        AnswerAction.RESEND: (RESENDABLE, MessageState.QUEUED),
    }[action]
    if state not in allowed:
        return None
    changes = {"state": after, "channel": Channel.CUSTOMER, "error": "", "errcode": None, "received_at": now}
    return Decision(changes, AuditNote(action, subject, after=f"message:{message_id}"))


def adopt_answer(state: MessageState, operator_id: int, now: datetime) -> dict[str, Any]:
    """Return the columns of an answer of the bot that an operator sends as their own, in its new `state`."""
    return {
        "state": state,
        "channel": Channel.CUSTOMER if state is MessageState.QUEUED else Channel.REPLY,
        "operator_id": operator_id,
        "origin": operator_origin(operator_id),
        "received_at": now,
    }
