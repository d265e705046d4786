"""What the simulator remembers, in a file that all processes of the server share: who follows the account,
and every exchange with the bot."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from ..wechat import messages, replies, xml
from ..wechat.errors import InvalidReply, MalformedMessage
from ..wechat.messages import Message
from ..wechat.replies import Reply
from .platform import OPENID, Attempt, Delivery, Request, new_openid

MAX_ENTRIES = 500
"""So many exchanges are kept."""
DELIVERY_TIMEOUT = 60
"""An exchange that goes on for longer was cut off by the end of its process."""

NAMES = ("小明", "阿珍", "老王", "小李", "Anna", "大刘", "婷婷", "Bert", "小陈", "阿强", "Cleo", "周周")

_TABLES = """
CREATE TABLE IF NOT EXISTS followers (openid TEXT PRIMARY KEY, name TEXT, subscribed INTEGER);
CREATE TABLE IF NOT EXISTS exchanges (id INTEGER PRIMARY KEY AUTOINCREMENT, openid TEXT, document TEXT);
CREATE TABLE IF NOT EXISTS choices (id INTEGER PRIMARY KEY, document TEXT);
"""


@dataclass(frozen=True)
class PhoneUser:
    openid: str
    name: str
    subscribed: bool = True


class PushFault(StrEnum):
    """What is wrong with a push."""

    NONE = ""
    SIGNATURE = "signature"
    TIMESTAMP = "timestamp"
    KEY = "key"
    SIZE = "size"


class DeliveryScenario(StrEnum):
    """How a push travels."""

    NORMAL = ""
    LOST = "lost"
    """The first two answers are lost, so that the third push is answered."""
    DUPLICATE = "duplicate"
    """It is pushed once more when it was answered."""
    PARALLEL = "parallel"
    """Three pushes of it at once."""
    HELD = "held"
    """It waits until another one of the follower was answered."""


@dataclass(frozen=True)
class Choices:
    """How the platform behaves; `mode` empty: as the bot is configured."""

    mode: str = ""
    fault: PushFault = PushFault.NONE
    course: DeliveryScenario = DeliveryScenario.NORMAL


class DeliveryOutcome(StrEnum):
    """What a follower sees of the answer."""

    WAITING = "waiting"
    REPLY = "reply"
    NOTHING = "nothing"
    NOTICE = "notice"


@dataclass(frozen=True)
class JournalEntry:
    """A push, and all attempts to deliver it."""

    openid: str
    url: str
    mode: str
    request: Request
    choices: Choices
    began: float = field(default_factory=time.time)
    """Unix time."""
    id: int = 0
    attempts: Sequence[Attempt] = ()
    ended: bool = False

    @cached_property
    def fields(self) -> xml.Fields:
        return xml.parse(self.request.plain.encode())

    @cached_property
    def message(self) -> Message | None:
        """What was pushed; None if that is no message."""
        try:
            return messages.parse(self.fields)
        except MalformedMessage:
            return None

    @property
    def held(self) -> bool:
        return self.choices.course is DeliveryScenario.HELD and not self.ended

    @property
    def over(self) -> bool:
        return self.ended or (not self.held and time.time() - self.began > DELIVERY_TIMEOUT)

    @property
    def reply(self) -> Reply | None:
        return Delivery(self.attempts).reply

    @property
    def answered(self) -> Attempt | None:
        """The attempt whose answer the follower sees."""
        return next((attempt for attempt in self.attempts if not attempt.problem), None)

    @property
    def outcome(self) -> DeliveryOutcome:
        shows = self.message is None or self.message.answerable
        if self.answered:
            return DeliveryOutcome.REPLY if self.reply and shows else DeliveryOutcome.NOTHING
        if not self.over:
            return DeliveryOutcome.WAITING
        return DeliveryOutcome.NOTICE if shows else DeliveryOutcome.NOTHING


class Journal:
    """Thread-safe; made when it is first written to."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._file, timeout=5)
        try:
            connection.executescript(_TABLES)
            with connection:
                yield connection
        finally:
            connection.close()

    # Followers

    def followers(self) -> list[PhoneUser]:
        """Everybody, the first of whom is there from the beginning."""
        with self._opened() as connection:
            rows = connection.execute("SELECT openid, name, subscribed FROM followers ORDER BY rowid")
            found = [PhoneUser(openid, name, bool(subscribed)) for openid, name, subscribed in rows]
        return found or [self.add_follower(OPENID)]

    def add_follower(self, openid: str = "", *, subscribed: bool = True) -> PhoneUser:
        """A new follower, with the first name that is free; `openid` if it is new."""
        with self._opened() as connection:
            taken = {name for (name,) in connection.execute("SELECT name FROM followers")}
            name = next((name for name in NAMES if name not in taken), f"#{len(taken) + 1}")
            follower = PhoneUser(openid or new_openid(), name, subscribed)
            connection.execute(
                "INSERT INTO followers VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (follower.openid, follower.name, follower.subscribed),
            )
        return follower

    def set_subscribed(self, openid: str, subscribed: bool) -> None:
        with self._opened() as connection:
            connection.execute("UPDATE followers SET subscribed = ? WHERE openid = ?", (subscribed, openid))

    def clear(self) -> None:
        """Forget everybody and everything."""
        with self._opened() as connection:
            for table in ("followers", "exchanges", "choices"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608

    # How the platform behaves

    def choices(self) -> Choices:
        with self._opened() as connection:
            row = connection.execute("SELECT document FROM choices").fetchone()
        return _choices(json.loads(row[0])) if row else Choices()

    def choose(self, choices: Choices) -> None:
        with self._opened() as connection:
            connection.execute("REPLACE INTO choices VALUES (1, ?)", (json.dumps(asdict(choices)),))

    # Exchanges

    def begin(self, exchange: JournalEntry) -> JournalEntry:
        """Record a new exchange; it with its id."""
        with self._opened() as connection:
            cursor = connection.execute(
                "INSERT INTO exchanges (openid, document) VALUES (?, ?)", (exchange.openid, _dump(exchange))
            )
            exchange = replace(exchange, id=cursor.lastrowid or 0)
            connection.execute("DELETE FROM exchanges WHERE id <= ?", (exchange.id - MAX_ENTRIES,))
        return exchange

    def update(self, exchange: JournalEntry) -> None:
        with self._opened() as connection:
            connection.execute(
                "UPDATE exchanges SET document = ? WHERE id = ?", (_dump(exchange), exchange.id)
            )

    def exchanges(self, openid: str, limit: int) -> list[JournalEntry]:
        """The last exchanges of a follower, oldest first."""
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT id, document FROM exchanges WHERE openid = ? ORDER BY id DESC LIMIT ?",
                (openid, limit),
            ).fetchall()
        return [_load(*row) for row in reversed(rows)]

    def exchange(self, exchange_id: int) -> JournalEntry | None:
        with self._opened() as connection:
            row = connection.execute(
                "SELECT id, document FROM exchanges WHERE id = ?", (exchange_id,)
            ).fetchone()
        return _load(*row) if row else None

    def take_held(self, openid: str) -> list[JournalEntry]:
        """The exchanges of a follower that wait for another one; they no longer do."""
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            rows = connection.execute(
                "SELECT id, document FROM exchanges WHERE openid = ? ORDER BY id", (openid,)
            )
            held = [each for each in (_load(*row) for row in rows) if each.held]
            now = time.time()
            taken = [
                replace(each, began=now, choices=replace(each.choices, course=DeliveryScenario.NORMAL))
                for each in held
            ]
            for each in taken:
                connection.execute("UPDATE exchanges SET document = ? WHERE id = ?", (_dump(each), each.id))
        return taken


def _choices(document: dict[str, Any]) -> Choices:
    return Choices(document["mode"], PushFault(document["fault"]), DeliveryScenario(document["course"]))


def _dump(exchange: JournalEntry) -> str:
    """JSON in which bytes are text; what is no UTF-8 in them survives as lone surrogates."""
    attempts = [
        {
            "status": each.status,
            "answer": _text(each.answer),
            "seconds": each.seconds,
            "opened": each.opened,
            "problem": each.problem,
            "began": each.began,
        }
        for each in exchange.attempts
    ]
    document = {
        "openid": exchange.openid,
        "url": exchange.url,
        "mode": exchange.mode,
        "request": [exchange.request.query, _text(exchange.request.body), exchange.request.plain],
        "choices": asdict(exchange.choices),
        "began": exchange.began,
        "attempts": attempts,
        "ended": exchange.ended,
    }
    return json.dumps(document)


def _load(exchange_id: int, text: str) -> JournalEntry:
    document = json.loads(text)
    query, body, plain = document.pop("request")
    request = Request(query, _bytes(body), plain)
    attempts = [
        Attempt(*request, **{**each, "answer": _bytes(each["answer"]), "reply": _reply(each)})
        for each in document.pop("attempts")
    ]
    return JournalEntry(
        id=exchange_id,
        request=request,
        attempts=attempts,
        choices=_choices(document.pop("choices")),
        **document,
    )


def _reply(attempt: dict[str, Any]) -> Reply | None:
    """The reply that the platform has understood."""
    if attempt["problem"] or not attempt["opened"]:
        return None
    try:
        return replies.parse(xml.parse(attempt["opened"].encode()))
    except (InvalidReply, MalformedMessage):
        return None


def _text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
