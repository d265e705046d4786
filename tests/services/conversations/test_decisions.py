"""The state of a conversation, decided without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from wechat_bot.models import ConversationStatus, Direction, MessageState
from wechat_bot.services.conversations import decisions
from wechat_bot.services.decisions import AuditNote

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)
OPEN, WAITING, DONE = ConversationStatus.OPEN, ConversationStatus.WAITING, ConversationStatus.DONE


def message(**more: Any) -> Any:
    fields = {"direction": Direction.IN, "event": "", "state": MessageState.ANSWERED, "origin": "shop.hours"}
    return SimpleNamespace(**{**fields, "id": 3, "operator_id": None, "created_at": NOW, **more})


OPENED = {"status": OPEN, "waiting_since": NOW, "waiting_id": 3}
NOBODY_WAITS = {"waiting_since": None, "waiting_id": None}


@pytest.mark.parametrize(
    ("status", "arrived", "changes"),
    [
        (DONE, message(), {}),
        (DONE, message(origin="fallback.apologize"), OPENED),
        (DONE, message(origin=""), OPENED),
        (DONE, message(state=MessageState.FAILED), OPENED),
        (DONE, message(state=MessageState.LATE), OPENED),
        (WAITING, message(), OPENED),
        (WAITING, message(event="view", origin=""), {}),
        (OPEN, message(direction=Direction.OUT, operator_id=5, state=MessageState.SENT), NOBODY_WAITS),
        *(
            (OPEN, message(direction=Direction.OUT, operator_id=5, state=state), {})
            for state in (MessageState.QUEUED, MessageState.FAILED, MessageState.UNKNOWN)
        ),
        (OPEN, message(direction=Direction.OUT, operator_id=5, state=MessageState.WITHDRAWN), {}),
        (OPEN, message(direction=Direction.OUT), {}),
    ],
)
def test_a_message_opens_a_conversation_that_needs_an_operator(
    status: ConversationStatus, arrived: Any, changes: dict[str, Any]
) -> None:
    decision = decisions.after_message(status, None, arrived, {"", "fallback.apologize"})
    assert (decision.changes, decision.note) == (changes, None)


def test_a_follower_waits_since_the_first_message() -> None:
    decision = decisions.after_message(OPEN, EARLIER, message(origin=""), {""})
    assert decision.changes == {"status": OPEN}


def test_a_status_is_changed_once_and_noted() -> None:
    assert decisions.change_status(OPEN, OPEN, "follower:7", NOW) is None
    closed = decisions.change_status(OPEN, DONE, "follower:7", NOW)
    assert closed
    assert closed.changes == {"status": DONE, **NOBODY_WAITS}
    assert closed.note == AuditNote("status_changed", "follower:7", OPEN, DONE)
    opened = decisions.change_status(DONE, OPEN, "follower:7", NOW)
    assert opened
    assert opened.changes == {"status": OPEN, "waiting_since": NOW, "waiting_id": None}


def test_an_assignment_is_noted_by_name() -> None:
    assert decisions.assign(5, 5, "li", "follower:7") is None
    given = decisions.assign(None, 5, "li", "follower:7")
    assert given
    assert (given.changes, given.note) == (
        {"assignee_id": 5},
        AuditNote("assigned", "follower:7", None, "li"),
    )
    taken = decisions.assign(5, None, None, "follower:7")
    assert taken
    assert taken.note == AuditNote("assigned", "follower:7", 5, None)


def test_a_star_is_set_once() -> None:
    assert decisions.star(True, True, "follower:7") is None
    starred = decisions.star(False, True, "follower:7")
    assert starred
    assert starred.note == AuditNote("starred", "follower:7", False, True)
