"""The simulator's journal, an SQLite file that all processes of the server share.

It has the simulated followers, their exchanges with the bot, and the options of the delivery.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from ..wechat import parsing, replies, xml
from ..wechat.errors import InvalidReply, MalformedMessage
from ..wechat.messages import Message
from ..wechat.replies import Reply
from .openids import new_openid
from .platform import OPENID, Attempt, Delivery, Request

MAX_ENTRIES = 500
"""Number of exchanges that are kept."""
MAX_FOLLOWERS = 200
"""Number of followers that are kept."""
DELIVERY_TIMEOUT = 60
"""Seconds after which an unfinished exchange counts as interrupted by the end of its process."""

FOLLOWER_NAMES = (
    "小明",
    "阿珍",
    "老王",
    "小李",
    "Anna",
    "大刘",
    "婷婷",
    "Bert",
    "小陈",
    "阿强",
    "Cleo",
    "周周",
)

_TABLES = """
CREATE TABLE IF NOT EXISTS followers (openid TEXT PRIMARY KEY, name TEXT, subscribed INTEGER);
CREATE TABLE IF NOT EXISTS exchanges (id INTEGER PRIMARY KEY AUTOINCREMENT, openid TEXT, document TEXT);
CREATE TABLE IF NOT EXISTS choices (id INTEGER PRIMARY KEY, document TEXT);
"""


@dataclass(frozen=True)
class PhoneUser:
    """A simulated follower."""

    openid: str
    name: str
    subscribed: bool = True


class PushFault(StrEnum):
    """A fault of a push, which the bot should refuse."""

    NONE = ""
    SIGNATURE = "signature"
    TIMESTAMP = "timestamp"
    KEY = "key"
    SIZE = "size"


class DeliveryScenario(StrEnum):
    """How a push is delivered."""

    NORMAL = ""
    LOST = "lost"
    """The first two answers are lost, so that there are three attempts."""
    DUPLICATE = "duplicate"
    """The push is repeated after it was answered."""
    PARALLEL = "parallel"
    """Three attempts are made at the same time."""
    HELD = "held"
    """The push is held back until another one of the follower was answered."""


@dataclass(frozen=True)
class DeliveryOptions:
    """How pushes are delivered. An empty `mode` is the mode of the bot."""

    mode: str = ""
    fault: PushFault = PushFault.NONE
    scenario: DeliveryScenario = DeliveryScenario.NORMAL

    @classmethod
    def from_json(cls, document: dict[str, str]) -> DeliveryOptions:
        return cls(document["mode"], PushFault(document["fault"]), DeliveryScenario(document["course"]))

    def to_json(self) -> dict[str, str]:
        return {"mode": self.mode, "fault": self.fault, "course": self.scenario}


class DeliveryOutcome(StrEnum):
    """What the follower sees as the outcome of an exchange."""

    WAITING = "waiting"
    REPLY = "reply"
    NOTHING = "nothing"
    NOTICE = "notice"


@dataclass(frozen=True)
class JournalEntry:
    """An exchange with the bot: a push, and all attempts to deliver it."""

    openid: str
    url: str
    mode: str
    request: Request
    options: DeliveryOptions
    began: float = field(default_factory=time.time)
    """In Unix time."""
    id: int = 0
    attempts: Sequence[Attempt] = ()
    ended: bool = False

    @cached_property
    def fields(self) -> xml.Fields:
        return xml.parse(self.request.plain.encode())

    @cached_property
    def message(self) -> Message | None:
        """The message that was pushed, or None if the fields are not a valid message."""
        try:
            return parsing.parse(self.fields)
        except MalformedMessage:
            return None

    @property
    def is_held(self) -> bool:
        return self.options.scenario is DeliveryScenario.HELD and not self.ended

    @property
    def is_over(self) -> bool:
        """Whether the exchange ended, or was interrupted."""
        return self.ended or (not self.is_held and time.time() - self.began > DELIVERY_TIMEOUT)

    @property
    def reply(self) -> Reply | None:
        return Delivery(self.attempts).reply

    @property
    def answered(self) -> Attempt | None:
        """The attempt whose answer the platform accepted, or None."""
        return next((attempt for attempt in self.attempts if not attempt.problem), None)

    @property
    def is_answerable(self) -> bool:
        """Whether the follower sees an answer to the push."""
        return self.message is None or self.message.answerable

    @property
    def outcome(self) -> DeliveryOutcome:
        if self.answered:
            return DeliveryOutcome.REPLY if self.reply and self.is_answerable else DeliveryOutcome.NOTHING
        if not self.is_over:
            return DeliveryOutcome.WAITING
        return DeliveryOutcome.NOTICE if self.is_answerable else DeliveryOutcome.NOTHING


class Journal:
    """The journal in `file`, which is created when it is first used. Thread-safe.

    `first_openid` is that of its first follower; a random one if it is empty.
    """

    def __init__(self, file: Path, first_openid: str = OPENID) -> None:
        self._file = file
        self._first_openid = first_openid

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
        """Return all followers. The first one is created if there is none."""
        with self._opened() as connection:
            rows = connection.execute("SELECT openid, name, subscribed FROM followers ORDER BY rowid")
            found = [PhoneUser(openid, name, bool(subscribed)) for openid, name, subscribed in rows]
        return found or [self.add_follower(self._first_openid)]

    def add_follower(self, openid: str = "", *, subscribed: bool = True) -> PhoneUser:
        """Add a follower with an unused name, unless the openid exists. It is random if `openid` is empty."""
        with self._opened() as connection:
            taken = {name for (name,) in connection.execute("SELECT name FROM followers")}
            name = next((name for name in FOLLOWER_NAMES if name not in taken), f"#{len(taken) + 1}")
            follower = PhoneUser(openid or new_openid(), name, subscribed)
            connection.execute(
                "INSERT INTO followers VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (follower.openid, follower.name, follower.subscribed),
            )
            connection.execute(
                "DELETE FROM followers WHERE rowid <= (SELECT max(rowid) FROM followers) - ?",
                (MAX_FOLLOWERS,),
            )
        return follower

    def set_subscribed(self, openid: str, subscribed: bool) -> None:
        with self._opened() as connection:
            connection.execute("UPDATE followers SET subscribed = ? WHERE openid = ?", (subscribed, openid))

    def clear(self) -> None:
        """Delete all followers, exchanges and options."""
        with self._opened() as connection:
            for table in ("followers", "exchanges", "choices"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608

    # Options

    def options(self) -> DeliveryOptions:
        with self._opened() as connection:
            row = connection.execute("SELECT document FROM choices").fetchone()
        return DeliveryOptions.from_json(json.loads(row[0])) if row else DeliveryOptions()

    def save_options(self, options: DeliveryOptions) -> None:
        with self._opened() as connection:
            connection.execute("REPLACE INTO choices VALUES (1, ?)", (json.dumps(options.to_json()),))

    # Exchanges

    def add(self, exchange: JournalEntry) -> JournalEntry:
        """Add a new exchange, and return it with its id."""
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
        """Return the latest exchanges of a follower, oldest first."""
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

    def release_held(self, openid: str) -> list[JournalEntry]:
        """Release and return the exchanges of a follower that are held back."""
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            rows = connection.execute(
                "SELECT id, document FROM exchanges WHERE openid = ? ORDER BY id", (openid,)
            )
            held = [each for each in (_load(*row) for row in rows) if each.is_held]
            now = time.time()
            released = [
                replace(each, began=now, options=replace(each.options, scenario=DeliveryScenario.NORMAL))
                for each in held
            ]
            for each in released:
                connection.execute("UPDATE exchanges SET document = ? WHERE id = ?", (_dump(each), each.id))
        return released


def _dump(exchange: JournalEntry) -> str:
    """Return an exchange as JSON. Bytes that are not UTF-8 become lone surrogates."""
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
        "choices": exchange.options.to_json(),
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
        options=DeliveryOptions.from_json(document.pop("choices")),
        **document,
    )


def _reply(attempt: dict[str, Any]) -> Reply | None:
    """Return the reply of an attempt, or None if its answer was not accepted."""
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
