"""What becomes of an outgoing message, decided without a database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wechat_bot.models import Channel, MessageState
from wechat_bot.services.decisions import AuditNote
from wechat_bot.services.outbox.decisions import (
    UNSENDABLE_REPLY,
    AnswerAction,
    after_sending,
    change_answer,
    concerns_account,
    is_worth_repeating,
    may_wait,
)
from wechat_bot.wechat.errors import (
    APIError,
    Busy,
    Forbidden,
    InvalidReply,
    QuotaUsedUp,
    TooFrequent,
    Unreachable,
    WindowClosed,
    api_error,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
REFUSALS = [
    Forbidden(48001, "no permission"),
    WindowClosed(45015, "out of time"),
    QuotaUsedUp(45009, "quota"),
    TooFrequent(45011, "too frequent"),
    Busy(-1, "system busy"),
    Unreachable("refused", delivered=False),
    *(
        api_error(errcode, "the token or the account is refused")
        for errcode in (40164, 40125, 40013, 40243, 89503, 50002, 48004, 40001, 40200, 41001, 99999)
    ),
]


@pytest.mark.parametrize("error", REFUSALS, ids=str)
def test_a_reply_is_held_where_the_api_refuses_it_and_an_answer_fails(error: APIError) -> None:
    reply = after_sending(error, waits=True, now=NOW).changes
    assert (reply["state"], reply["channel"]) == (MessageState.READY, Channel.REPLY)
    answer = after_sending(error, waits=False, now=NOW).changes
    assert (answer["state"], answer["channel"]) == (MessageState.FAILED, Channel.CUSTOMER)
    assert (answer["errcode"], answer["error"]) == (error.errcode or None, str(error))


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, MessageState.SENT),
        (Unreachable("timed out", delivered=True), MessageState.UNKNOWN),
        (APIError(40003, "invalid openid"), MessageState.FAILED),
        (InvalidReply("a music reply cannot be sent"), MessageState.FAILED),
    ],
    ids=["sent", "perhaps", "refused", "invalid"],
)
@pytest.mark.parametrize("waits", [True, False])
def test_other_outcomes_are_the_same_for_everybody(
    error: Exception | None, state: MessageState, waits: bool
) -> None:
    changes = after_sending(error, waits=waits, now=NOW).changes
    assert (changes["state"], changes["received_at"]) == (state, NOW)


def test_a_reply_that_can_only_answer_a_push_is_called_so() -> None:
    changes = after_sending(InvalidReply("a transfer cannot be sent"), waits=True, now=NOW).changes
    assert (changes["error"], changes["errcode"]) == (UNSENDABLE_REPLY, None)


def test_what_is_refused_until_somebody_acts_is_the_account_s_trouble() -> None:
    ids = (48001, 40164, 89503, 45009, 99999)
    assert all(concerns_account(api_error(errcode, "refused")) for errcode in ids)
    passing = (-1, 45011, 45015, 45047, 45002, 40003, 40007)
    assert not any(concerns_account(api_error(errcode, "refused")) for errcode in passing)
    assert not concerns_account(Unreachable("refused", delivered=False))


def test_only_a_call_that_cannot_have_arrived_is_repeated() -> None:
    assert is_worth_repeating(Busy(-1, "system busy"))
    assert is_worth_repeating(Unreachable("refused", delivered=False))
    assert not is_worth_repeating(Unreachable("timed out", delivered=True))
    assert not is_worth_repeating(WindowClosed(45015, "out of time"))


@pytest.mark.parametrize("state", list(MessageState))
def test_answers_are_withdrawn_before_and_sent_again_after_sending(state: MessageState) -> None:
    withdrawn = change_answer(AnswerAction.WITHDRAW, state, 5, "follower:7", NOW, by_operator=True)
    assert (withdrawn is not None) == (state in {MessageState.QUEUED, MessageState.READY})
    resent = change_answer(AnswerAction.RESEND, state, 5, "follower:7", NOW, by_operator=True)
    assert (resent is not None) == (state in {MessageState.FAILED, MessageState.UNKNOWN, MessageState.READY})
    assert change_answer(AnswerAction.WITHDRAW, state, 5, "follower:7", NOW, by_operator=False) is None
    if withdrawn:
        assert withdrawn.changes["state"] is MessageState.WITHDRAWN
        assert withdrawn.note == AuditNote("withdrawn", "follower:7", after="message:5")
    if resent:
        assert (resent.changes["state"], resent.changes["errcode"]) == (MessageState.QUEUED, None)
        assert resent.note == AuditNote("sent_again", "follower:7", after="message:5")


@pytest.mark.parametrize("errcode", [45015, 48001])
def test_an_operators_answer_waits_for_a_push_only_where_there_is_no_customer_service(errcode: int) -> None:
    error = api_error(errcode, "refused")
    assert may_wait(error, by_operator=False, needs_upload=False)
    assert may_wait(error, by_operator=True, needs_upload=False) is (errcode == 48001)
    assert not may_wait(error, by_operator=True, needs_upload=True)
