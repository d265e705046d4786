"""Pushes the messages of many followers at once, as the platform does.

Each push is a connection of its own in one event loop, so that thousands of them wait at little cost.
"""

from __future__ import annotations

import asyncio
import html
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

from .. import open_files
from ..wechat.replies import TextReply
from ..wechat.xml import Fields
from .platform import Attempt, Delivery, Request, SimulatedPlatform

Message = tuple[str, Fields]
"""An openid, and the fields that distinguish the message or event: MsgType and Content, or Event and others.

MsgType defaults to text. MsgId and CreateTime are added unless they are given.
"""


_SECONDS_BETWEEN_TAPS = 1.0


class Outcome(StrEnum):
    """What a follower gets for a message."""

    ANSWERED = "answered"
    """A reply."""
    SILENT = "silent"
    """Nothing: the platform was answered with ``success`` or an empty body."""
    FETCH = "fetch"
    """A text with a link by which the reply can be fetched later."""
    NOTICE = "notice"
    """The failure notice: no push was answered, or the answer was not valid."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one message."""

    openid: str
    text: str
    """The content of the message. Empty if it is not a text."""
    outcome: Outcome
    reply: str | None
    """The content of the reply. None if there is none, or if it is not a text."""
    problem: str
    """The reason why the last push was not accepted. Empty if it was."""
    seconds: float
    """The time from the first push to the outcome."""
    pushes: int
    started: float
    """Seconds from the beginning of the flood to the first push."""

    @property
    def tap(self) -> Message:
        """The message that a tap on the link in the reply sends, if the outcome is `Outcome.FETCH`."""
        return self.openid, _tap(self.reply or "")


async def flood(
    platform: SimulatedPlatform,
    messages: Iterable[Message],
    *,
    per_second: float | None = None,
    paced: bool = False,
    on_result: Callable[[Result], object] | None = None,
) -> list[Result]:
    """Push messages, and return their results in the same order when all have one.

    :param platform: pushes to its `url`.
    :param per_second: the rate at which messages are pushed, whether or not earlier ones have been answered.
        All are pushed at once unless it is given.
    :param paced: whether the next push of a message comes only when the time-out of the one before is over,
        also after a lost connection or a wrong status.
    :param on_result: is called with each result as soon as it is known.
    """
    open_files.raise_limit()
    signed: Iterable[tuple[Message, Request]] = ((each, _sign(platform, each)) for each in messages)
    if per_second is None:
        signed = list(signed)  # before the first is pushed, since signing takes longer than pushing
    began = time.monotonic()
    interval = 1 / per_second if per_second else 0.0

    async def push(message: Message, request: Request) -> Result:
        result = await _push(platform, message, request, began, paced=paced)
        if on_result:
            on_result(result)
        return result

    tasks = []
    async with asyncio.TaskGroup() as group:
        for number, each in enumerate(signed):
            await asyncio.sleep(began + number * interval - time.monotonic())
            tasks.append(group.create_task(push(*each)))
    return [task.result() for task in tasks]


async def fetch(platform: SimulatedPlatform, told: Iterable[Result], *, taps: int) -> list[Result]:
    """Tap the links of followers who were told to fetch their replies, and return the last results.

    A follower taps again, up to `taps` times, while the reply is not ready.
    """

    async def fetch_one(result: Result) -> Result:
        for _ in range(taps):
            result = await push_message(platform, result.tap)
            if result.outcome is not Outcome.FETCH:
                break
            await asyncio.sleep(_SECONDS_BETWEEN_TAPS)
        return result

    return await asyncio.gather(*map(fetch_one, told))


async def push_message(platform: SimulatedPlatform, message: Message) -> Result:
    """Push a message until it is answered, like `SimulatedPlatform.push`."""
    return await _push(platform, message, _sign(platform, message), time.monotonic())


async def _push(
    platform: SimulatedPlatform, message: Message, request: Request, since: float, *, paced: bool = False
) -> Result:
    """Push the request of a message. `Result.started` counts from the monotonic time `since`."""
    openid, fields = message
    began = time.monotonic()
    attempts: list[Attempt] = []
    for number in range(platform.pushes):
        if paced:
            await asyncio.sleep(began + number * platform.timeout - time.monotonic())
        attempts.append(await _attempt(platform, request))
        if attempts[-1].status == 200:
            break
    delivery = Delivery(attempts)
    return Result(
        openid=openid,
        text=str(fields.get("Content", "")),
        outcome=_outcome(delivery),
        reply=delivery.reply.content if isinstance(delivery.reply, TextReply) else None,
        problem=attempts[-1].problem,
        seconds=time.monotonic() - began,
        pushes=len(attempts),
        started=began - since,
    )


def _sign(platform: SimulatedPlatform, message: Message) -> Request:
    openid, fields = message
    follower = platform.follower(openid)
    if name := fields.get("Event"):
        return follower.request(follower.event(str(name), **fields))
    return follower.request(follower.message("text", **fields))


def _outcome(delivery: Delivery) -> Outcome:
    if delivery.failed:
        return Outcome.NOTICE
    if delivery.reply is None:
        return Outcome.SILENT
    if isinstance(delivery.reply, TextReply) and _FETCH.fullmatch(
        _tap(delivery.reply.content).get("bizmsgmenuid", "")
    ):
        return Outcome.FETCH
    return Outcome.ANSWERED


_LINK = re.compile(r'href="(weixin://bizmsgmenu\?[^"]*)"')
_FETCH = re.compile(r"late-[^-]+")
"""The id in the link to an answer. Links to the further pages of a long answer have another hyphen."""


def _tap(text: str) -> Fields:
    """Return what a tap on the first link in a text sends (section 10.9). Empty if the text has no link."""
    if not (link := _LINK.search(text)):
        return {}
    values = parse_qs(urlsplit(html.unescape(link[1])).query)
    return {"Content": values["msgmenucontent"][0], "bizmsgmenuid": values["msgmenuid"][0]}


async def _attempt(platform: SimulatedPlatform, request: Request) -> Attempt:
    """Make one attempt to deliver a push. The connection is closed when the time is over."""
    began, started = time.time(), time.monotonic()
    status, answer, problem = None, b"", ""
    try:
        async with asyncio.timeout(platform.timeout):
            status, answer = await _post(platform.url, request)
    except TimeoutError:
        problem = f"no answer within {platform.timeout:g} s"
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        problem = f"no complete answer: {error}"
    seconds = time.monotonic() - started
    return platform.judge(Attempt(*request, status, answer, seconds, problem=problem, began=began))


async def _post(url: str, request: Request) -> tuple[int, bytes]:
    """Send a request on a connection of its own, and return status and body of the complete answer.

    :raises OSError: if there is no connection.
    :raises EOFError: if it ends before the answer does.
    :raises ValueError: if the answer is not HTTP.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write(_http(parts.netloc, parts.path or "/", request))
        head = await reader.readuntil(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[01] (\d{3})\b", head)
        if status is None:
            raise ValueError("the answer is not HTTP")
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        return int(status[1]), await (reader.readexactly(int(length[1])) if length else reader.read())
    finally:
        writer.transport.abort()


def _http(host: str, path: str, request: Request) -> bytes:
    head = (
        f"POST {path}?{request.query} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\n"
        f"Content-Type: text/xml\r\nContent-Length: {len(request.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + request.body
