"""Details of an exchange for developers: its signatures, its timeline, and a curl command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from ...simulator.journal import JournalEntry
from ...wechat import xml
from ...wechat.crypto import sign
from ...wechat.errors import MalformedMessage

MAX_CHARACTERS = 20_000
"""Number of characters of a body that are shown."""
TIMEOUT_SECONDS = 5.0
"""The platform's time-out."""


@dataclass(frozen=True)
class Signature:
    """A signature, and how it is computed (sections 1.2 and 2.3)."""

    name: str
    parts: Sequence[tuple[str, str]]
    """Names and values in the order in which they are joined."""
    computed: str
    sent: str

    @property
    def right(self) -> bool:
        return self.computed == self.sent


def query(exchange: JournalEntry) -> list[tuple[str, str]]:
    return parse_qsl(exchange.request.query, keep_blank_values=True)


def signatures(exchange: JournalEntry, token: str) -> list[Signature]:
    """Return the signatures of the push, computed with the bot's `token`."""
    values = dict(query(exchange))
    parts = {"Token": token, "timestamp": values["timestamp"], "nonce": values["nonce"]}
    found = [_signature("signature", parts, values["signature"])]
    if "msg_signature" in values:
        encrypted = _element(exchange.request.body, "Encrypt")
        found.append(_signature("msg_signature", parts | {"Encrypt": encrypted}, values["msg_signature"]))
    return found


def answer_signature(answer: bytes, token: str) -> Signature | None:
    """Return the signature of an encrypted answer (section 2.5), or None for another answer."""
    if not _element(answer, "Encrypt"):
        return None
    parts = {name: _element(answer, name) for name in ("TimeStamp", "Nonce", "Encrypt")}
    return _signature("MsgSignature", {"Token": token} | parts, _element(answer, "MsgSignature"))


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
    """Return a command that makes the same push. The bot accepts it for five minutes after the first."""
    url, body = f"{exchange.url}?{exchange.request.query}", exchange.request.body.decode(errors="replace")
    return shlex.join(
        ["curl", "-i", "-X", "POST", url, "-H", "Content-Type: text/xml", "--data-binary", body]
    )


@dataclass(frozen=True)
class Bar:
    """An attempt on the timeline. Times are seconds since the first attempt began."""

    number: int
    start: float
    seconds: float
    status: str
    problem: str
    going_on: bool = False
    answers: bool = False
    """Whether the platform accepted the answer of this attempt."""

    @property
    def end(self) -> float:
        return self.start + self.seconds

    @property
    def deadline(self) -> float:
        return self.start + TIMEOUT_SECONDS


@dataclass(frozen=True)
class Timeline:
    """The attempts of an exchange, drawn from 0 to `span` seconds."""

    bars: Sequence[Bar]
    span: float
    arrival: float | None
    """When the answer arrived as a customer-service message, if it did."""

    def x(self, seconds: float, width: float) -> float:
        return round(min(seconds, self.span) / self.span * width, 1)

    @property
    def ticks(self) -> range:
        return range(0, int(self.span) + 1, 1 if self.span <= 6 else 5)


def timeline(exchange: JournalEntry, now: float, arrived_at: float | None) -> Timeline:
    """Return the timeline of an exchange.

    :param arrived_at: when the answer arrived as a customer-service message, in Unix time, or None.
    """
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
    if not exchange.is_over and not exchange.is_held:
        start = max((bar.end for bar in bars), default=0.0)
        bars.append(Bar(len(bars) + 1, start, max(0.0, now - origin - start), "", "", going_on=True))
    arrival = arrived_at and arrived_at - origin
    ends = [max(bar.end, bar.deadline) for bar in bars]
    return Timeline(bars, max([*ends, arrival or TIMEOUT_SECONDS]) + 0.5, arrival)


def format_body(content: bytes | str) -> str:
    """Return a body with a line for each element, truncated to `MAX_CHARACTERS`."""
    text = content.decode(errors="backslashreplace") if isinstance(content, bytes) else content
    shown = text[:MAX_CHARACTERS].replace("><", ">\n<")
    return shown + f"\n… ({len(text):,})" if len(text) > MAX_CHARACTERS else shown
