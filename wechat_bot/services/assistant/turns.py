"""Reads from the message log what a follower asks, and the conversation before it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from ...llm import ChatMessage
from ...models import (
    IS_UNFINISHED,
    UNSETTLED,
    Direction,
    HandoverEvent,
    MessageLog,
    MessageState,
    ModelAnswer,
)
from ...models.messages import TAP_FIELD
from ...routing.conditions import normalize
from ..messages.records import is_hint
from .memory import Speaker, Utterance, remember
from .profile import AssistantProfile

RESET = "chat.reset"
"""The origin of messages with which followers let the conversation be forgotten."""
MAX_READ = 200
"""Messages before a question that are read at most."""
MAX_NOTES = 5
"""The same of what operators said when they gave the conversation back."""
_UNSAID = (MessageState.FAILED, MessageState.WITHDRAWN, MessageState.WITHHELD)
"""The states of outgoing messages that no follower got."""
_KINDS = {
    "image": "图片",
    "voice": "语音",
    "video": "视频",
    "shortvideo": "视频",
    "location": "位置",
    "link": "链接",
    "file": "文件",
    "miniprogrampage": "小程序",
}


@dataclass(frozen=True)
class Turn:
    """What a follower has written since the last answer, and what the model is told of the time before."""

    follower_id: int
    texts: tuple[str, ...]
    last_message_id: int
    memory: tuple[ChatMessage, ...]
    pictures: tuple[str, ...]
    """The addresses of the pictures among it."""


def load_turn(
    connection: Connection,
    key: str,
    profile: AssistantProfile,
    zone: tzinfo,
    now: datetime,
    resets: Collection[str] = (),
) -> Turn | None:
    """Return the turn that begins with the message with the dedup key `key`.

    None if the message was part of an earlier turn, which has been answered. What was said before a message
    with an origin of `resets`, or with a word of the profile, is forgotten.
    """
    message = connection.execute(_THIS.where(MessageLog.dedup_key == key)).one()
    if connection.scalar(_answered_with_others(message, key)):
        return None
    asked = connection.execute(_pending(message)).all() or [message]
    since = now - timedelta(minutes=profile.memory_minutes)
    before = connection.execute(_before(message, since)).all()[::-1]
    notes = connection.execute(_notes(message, since)).all()
    said = [*_utterances(before, profile.reset_words, {RESET, *resets}), *map(_from_note, notes)]
    return Turn(
        message.follower_id,
        tuple(map(text_of, asked)),
        asked[-1].id,
        remember(sorted(said, key=attrgetter("at")), profile, zone),
        tuple(str(row.payload.get("PicUrl", "")) for row in asked if row.kind == "image"),
    )


def text_of(message: Row[Any]) -> str:
    """Return a message of the log in words."""
    if message.kind == "text":
        return str(message.text)
    return f"[{_KINDS.get(message.kind, message.kind)}] {message.text}".strip()


_COLUMNS = (
    MessageLog.id,
    MessageLog.follower_id,
    MessageLog.direction,
    MessageLog.kind,
    MessageLog.text,
    MessageLog.payload,
    MessageLog.dedup_key,
    MessageLog.received_at,
    MessageLog.origin,
    MessageLog.operator_id,
)
_THIS = select(*_COLUMNS)


def _answered_with_others(message: Row[Any], key: str) -> Select[int]:
    """Select the answer to an earlier message that answers `message`, too."""
    return (
        select(ModelAnswer.id)
        .join(MessageLog, MessageLog.dedup_key == ModelAnswer.dedup_key)
        .where(
            ModelAnswer.follower_id == message.follower_id,
            ModelAnswer.created_at >= message.received_at,
            ModelAnswer.last_message_id >= message.id,
            ModelAnswer.dedup_key != key,
            MessageLog.state == MessageState.ANSWERED,
        )
        .limit(1)
    )


def _pending(message: Row[Any]) -> Select[Any]:
    """Select the messages of the follower that wait for the same handler, from `message` on."""
    return (
        select(*_COLUMNS)
        .where(UNSETTLED, IS_UNFINISHED, MessageLog.follower_id == message.follower_id)
        .where(MessageLog.id >= message.id, MessageLog.origin == message.origin)
        .order_by(MessageLog.id)
    )


def _before(message: Row[Any], since: datetime) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .where(MessageLog.follower_id == message.follower_id, MessageLog.id < message.id)
        .where(MessageLog.received_at >= since, MessageLog.state.not_in(_UNSAID))
        .order_by(MessageLog.id.desc())
        .limit(MAX_READ)
    )


def _notes(message: Row[Any], since: datetime) -> Select[datetime, str]:
    """Select what operators have said when they gave the conversation back."""
    return (
        select(HandoverEvent.at, HandoverEvent.note)
        .where(HandoverEvent.follower_id == message.follower_id, HandoverEvent.note != "")
        .where(HandoverEvent.at >= since, HandoverEvent.at <= message.received_at)
        .order_by(HandoverEvent.id.desc())
        .limit(MAX_NOTES)
    )


def _from_note(note: Row[datetime, str]) -> Utterance:
    return Utterance(Speaker.OPERATOR, note.at, f"（留言）{note.note}")


def _utterances(
    rows: Sequence[Row[Any]], reset_words: Iterable[str], reset_origins: Collection[str]
) -> list[Utterance]:
    words = set(map(normalize, reset_words))
    said = []
    for row in rows:
        is_reset = row.direction == Direction.IN and (
            row.origin in reset_origins or normalize(row.text) in words
        )
        if is_reset or not (row.kind == "event" or is_hint(row.dedup_key) or _is_tap(row)):
            said.append(Utterance(_speaker(row), row.received_at, text_of(row), is_reset))
    return said


def _speaker(row: Row[Any]) -> Speaker:
    if row.direction == Direction.IN:
        return Speaker.FOLLOWER
    return Speaker.BOT if row.operator_id is None else Speaker.OPERATOR


def _is_tap(row: Row[Any]) -> bool:
    """Whether a message only fetches an answer."""
    return row.direction == Direction.IN and str(row.payload.get(TAP_FIELD, "")).startswith("late-")
