"""Who answers a follower, the bot or a person, and why that changed."""

from __future__ import annotations

from enum import StrEnum

_TO_PERSON = ".person"


class Owner(StrEnum):
    """Who answers the messages of a follower."""

    BOT = "bot"
    WAITING = "waiting"
    """Nobody yet: the follower waits for a person."""
    OPERATOR = "operator"


class HandoverReason(StrEnum):
    """Why the owner of a conversation changed."""

    ASKED = "asked"
    """The follower asked for a person."""
    RULE = "rule"
    """The answer of a rule leaves the message to a person."""
    NOT_UNDERSTOOD = "not_understood"
    """Several messages in a row were not understood."""
    ASSISTANT = "assistant"
    """The assistant called a person."""
    TAKEN = "taken"
    """An operator took the conversation."""
    ANSWERED = "answered"
    """An operator answered."""
    GIVEN_BACK = "given_back"
    """An operator gave the conversation back to the bot."""
    DONE = "done"
    """The conversation was done."""
    IDLE = "idle"
    """The operator has not answered for some time."""
    SILENT = "silent"
    """The follower has not written for some time."""


def left_to_person(origin: str) -> str:
    """Return the origin of messages that `origin` leaves to a person."""
    return origin if is_left_to_person(origin) else f"{origin}{_TO_PERSON}"


def is_left_to_person(origin: str) -> bool:
    """Whether the handler or rule with this origin has left its message to a person."""
    return origin.endswith(_TO_PERSON)


def answered_by(origin: str) -> str:
    """Return the name of the handler or rule in an origin."""
    return origin.removesuffix(_TO_PERSON)
