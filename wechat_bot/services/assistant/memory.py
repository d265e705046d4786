"""What a language model is told of the conversation before a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from itertools import groupby

from ...llm import ChatMessage, estimate_tokens
from .profile import AssistantProfile


class Speaker(StrEnum):
    FOLLOWER = "follower"
    BOT = "bot"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Utterance:
    """A message of the conversation."""

    speaker: Speaker
    at: datetime
    text: str
    is_reset: bool = False
    """Whether the follower wants all before it to be forgotten."""


def remember(
    utterances: Sequence[Utterance], profile: AssistantProfile, zone: tzinfo
) -> tuple[ChatMessage, ...]:
    """Return the newest turns of a conversation, oldest first, as far as the profile permits.

    `utterances` are in the order of time. A turn is what the follower wrote, and what was answered to it.
    Where a person answered, a line says so with the times in `zone`.
    """
    since = max((place for place, each in enumerate(utterances, 1) if each.is_reset), default=0)
    remembered: list[ChatMessage] = []
    tokens = 0
    for turn in reversed(_turns(utterances[since:])[-profile.memory_turns or len(utterances) :]):
        messages = _messages(turn, zone)
        tokens += sum(estimate_tokens(message.content) for message in messages)
        if tokens > profile.memory_tokens:
            break
        remembered[:0] = messages
    return tuple(remembered)


def _turns(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    turns: list[list[Utterance]] = []
    before = None
    for utterance in utterances:
        asks = utterance.speaker is Speaker.FOLLOWER
        if not turns or (asks and before is not Speaker.FOLLOWER):
            turns.append([])
        turns[-1].append(utterance)
        before = utterance.speaker
    return turns


def _messages(turn: Sequence[Utterance], zone: tzinfo) -> list[ChatMessage]:
    asked = [each.text for each in turn if each.speaker is Speaker.FOLLOWER]
    answered = "\n".join(
        _said(speaker, list(said), zone)
        for speaker, said in groupby(turn, lambda each: each.speaker)
        if speaker is not Speaker.FOLLOWER
    )
    found = [ChatMessage("user", "\n".join(asked)), ChatMessage("assistant", answered)]
    return [message for message in found if message.content]


def _said(speaker: Speaker, said: Sequence[Utterance], zone: tzinfo) -> str:
    texts = [each.text for each in said]
    if speaker is Speaker.OPERATOR:
        first, last = (f"{each.at.astimezone(zone):%H:%M}" for each in (said[0], said[-1]))
        texts.insert(0, f"[人工客服 {first if first == last else f'{first}–{last}'}]")
    return "\n".join(texts)
