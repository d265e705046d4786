"""An exchange taken apart for developers: how it was signed, when what happened, how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from ...simulator.journal import JournalEntry
from ...wechat import xml
from ...wechat.crypto import sign
from ...wechat.errors import MalformedMessage

SHOWN = 20_000
"""Characters of a body that are shown."""
LIMIT_SECONDS = 5.0


@dataclass(frozen=True)
class Signature:
    """How one signature comes about (sections 1.2 and 2.3)."""

    name: str
    parts: Sequence[tuple[str, str]]
    """Name and value, in the order in which they are joined."""
    computed: str
    sent: str

    @property
    def right(self) -> bool:
        return self.computed == self.sent


def query(exchange: JournalEntry) -> list[tuple[str, str]]:
    return parse_qsl(exchange.request.query, keep_blank_values=True)


def signatures(exchange: JournalEntry, token: str) -> list[Signature]:
    """Those of the push, worked out with the bot's `token`."""
    values = dict(query(exchange))
    parts = {"Token": token, "timestamp": values["timestamp"], "nonce": values["nonce"]}
    found = [_signature("signature", parts, values["signature"])]
    if "msg_signature" in values:
        encrypted = _element(exchange.request.body, "Encrypt")
        found.append(_signature("msg_signature", parts | {"Encrypt": encrypted}, values["msg_signature"]))
    return found


def answer_signature(answer: bytes, token: str) -> Signature | None:
    """That of an encrypted answer (section 2.5)."""
    encrypted = _element(answer, "Encrypt")
    if not encrypted:
        return None
    parts = {
        "Token": token,
        "TimeStamp": _element(answer, "TimeStamp"),
        "Nonce": _element(answer, "Nonce"),
        "Encrypt": encrypted,
    }
    return _signature("MsgSignature", parts, _element(answer, "MsgSignature"))


def _signature(name: str, parts: dict[str, str], sent: str) -> Signature:
    in_order = sorted(parts.items(), key=lambda part: part[1])
    return Signature(name, in_order, sign(*parts.values()), sent)


def _element(body: bytes, name: str) -> str:
    try:
        value = xml.parse(body).get(name)
    except MalformedMessage:
        return ""
    return value if isinstance(value, str) else ""


def curl(exchange: JournalEntry) -> str:
    """A command that makes the same push; the bot takes it for five minutes after the first."""
    command = [
        "curl",
        "-i",
        "-X",
        "POST",
        f"{exchange.url}?{exchange.request.query}",
        "-H",
        "Content-Type: text/xml",
        "--data-binary",
        exchange.request.body.decode(errors="replace"),
    ]
    return shlex.join(command)


@dataclass(frozen=True)
class Bar:
    """An attempt on the time line; times are seconds since the first began."""

    number: int
    start: float
    seconds: float
    status: str
    problem: str
    going_on: bool = False
    answers: bool = False
    """Whether the follower sees this one's answer."""

    @property
    def end(self) -> float:
        return self.start + self.seconds

    @property
    def deadline(self) -> float:
        return self.start + LIMIT_SECONDS


@dataclass(frozen=True)
class Timeline:
    """The attempts of an exchange, drawn from 0 to `span` seconds."""

    bars: Sequence[Bar]
    span: float
    arrival: float | None
    """When the answer came as a customer-service message."""

    def x(self, seconds: float, width: float) -> float:
        return round(min(seconds, self.span) / self.span * width, 1)

    @property
    def ticks(self) -> range:
        return range(0, int(self.span) + 1, 1 if self.span <= 6 else 5)


def timeline(exchange: JournalEntry, now: float, arrived_at: float | None) -> Timeline:
    """`arrived_at` is the time at which the answer came through the API, if it did."""
    origin = min((each.began for each in exchange.attempts), default=exchange.began)
    bars = [
        Bar(
            number,
            each.began - origin,
            each.seconds,
            "" if each.status is None else str(each.status),
            each.problem,
            answers=each is exchange.answered,
        )
        for number, each in enumerate(exchange.attempts, 1)
    ]
    if not exchange.over and not exchange.held:
        start = max((bar.end for bar in bars), default=0.0)
        bars.append(Bar(len(bars) + 1, start, max(0.0, now - origin - start), "", "", going_on=True))
    arrival = arrived_at and arrived_at - origin
    ends = [max(bar.end, bar.deadline) for bar in bars]
    return Timeline(bars, max([*ends, arrival or LIMIT_SECONDS]) + 0.5, arrival)


def readable(content: bytes | str) -> str:
    """A body with a line for each element, cut where it gets long."""
    text = content.decode(errors="backslashreplace") if isinstance(content, bytes) else content
    shown = text[:SHOWN].replace("><", ">\n<")
    return shown + f"\n… ({len(text):,})" if len(text) > SHOWN else shown
