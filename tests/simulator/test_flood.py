"""Messages of many followers are pushed at once, each as often as the platform pushes it."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests import asynchronous
from tests.conftest import AES_KEY, APP_ID, TOKEN
from wechat_bot.simulator.flood import Message, Outcome, Result, fetch, flood
from wechat_bot.simulator.platform import SimulatedPlatform
from wechat_bot.wechat.credentials import Credentials, Mode
from wechat_bot.wechat.messages import TemplateSentEvent
from wechat_bot.wechat.replies import ImageReply, Reply, TextReply
from wechat_bot.wechat.webhook import Incoming, Webhook

CREDENTIALS = Credentials(tokens=(TOKEN,), mode=Mode.SAFE, app_id=APP_ID, aes_keys=(AES_KEY,))
OK = b"HTTP/1.1 200 OK\r\n"
LINK = '稍等，<a href="weixin://bizmsgmenu?msgmenucontent=link%20link%20text&amp;msgmenuid=late-3f9c">点这里看回复</a>'
PAGE = '第一页\n<a href="weixin://bizmsgmenu?msgmenucontent=text&msgmenuid=late-3f9c-2">下一页 (2/2)</a>'


def of_length(body: bytes) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


ANSWERS: dict[str, bytes | Reply | None] = {
    "late": None,
    "reset": b"",
    "half": OK + b"Content-Length: 10\r\n\r\nsucc",
    "busy": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "created": b"HTTP/1.1 201 Created\r\nContent-Length: 7\r\n\r\nsuccess",
    "no-http": b"220 ready\r\n\r\n",
    "endless": b"x" * 100_000,
    "quoted": of_length(b'"success"'),
    "unencrypted": of_length(b"<xml><MsgType>text</MsgType></xml>"),
    "success": of_length(b"success"),
    "empty": of_length(b""),
    "until-closed": OK + b"\r\nsuccess",
    "text": TextReply("你好"),
    "link": TextReply(LINK),
    "page": TextReply(PAGE),
    "image": ImageReply("mEdIaId"),
}
"""What the server does for each word of a message, in turn for its pushes. None: it never answers."""


@dataclass
class Server:
    """A server that answers the pushes of a message as the words of its content say."""

    pushed: dict[str, list[tuple[str, bytes]]] = field(default_factory=lambda: defaultdict(list))
    """The pushes of each follower, as query string and body."""
    together: int = 0
    """The number of followers who must have written before anybody is answered."""
    webhook: Webhook = field(default_factory=lambda: Webhook(CREDENTIALS))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        finally:
            writer.close()

    def read(self, query: str, body: bytes) -> Incoming:
        return self.webhook.open(self.webhook.authenticate(query), body)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        query = head.split(" ")[1].partition("?")[2]
        length = re.search(r"Content-Length: (\d+)", head)
        assert length
        body = await reader.readexactly(int(length[1]))
        incoming = self.read(query, body)
        pushes = self.pushed[incoming.message.openid]
        words = getattr(incoming.message, "content", "success").split()
        answer = ANSWERS[words[min(len(pushes), len(words) - 1)]]
        pushes.append((query, body))
        while len(self.pushed) < self.together:
            await asyncio.sleep(0.01)
        if answer is None:
            assert await reader.read() == b"", "the platform closes the connection"
        elif isinstance(answer, bytes):
            writer.write(answer)
        else:
            writer.write(of_length(self.webhook.seal(incoming, answer).encode()))


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[SimulatedPlatform]:
    """Run the server, and yield a platform that pushes to it."""
    async with await asyncio.start_server(server.answer, "127.0.0.1", backlog=1000) as listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/wechat"
        yield SimulatedPlatform.at(url, CREDENTIALS)


def run(messages: Sequence[Message], server: Server | None = None, **options: Any) -> list[Result]:
    async def flooded() -> list[Result]:
        async with listening(server or Server()) as platform:
            return await flood(platform, messages, **options)

    return asynchronous.run(flooded())


@pytest.mark.parametrize(
    ("content", "outcome", "pushes", "reply"),
    [
        ("text", Outcome.ANSWERED, 1, "你好"),
        ("image", Outcome.ANSWERED, 1, None),
        ("success", Outcome.SILENT, 1, None),
        ("empty", Outcome.SILENT, 1, None),
        ("until-closed", Outcome.SILENT, 1, None),
        ("link", Outcome.FETCH, 1, LINK),
        ("page", Outcome.ANSWERED, 1, PAGE),
        ("late text", Outcome.ANSWERED, 2, "你好"),
        ("late late success", Outcome.SILENT, 3, None),
        ("reset half text", Outcome.ANSWERED, 3, "你好"),
        ("busy created link", Outcome.FETCH, 3, LINK),
        ("late busy reset text", Outcome.NOTICE, 3, None),
        ("no-http", Outcome.NOTICE, 3, None),
        ("endless", Outcome.NOTICE, 3, None),
        ("quoted text", Outcome.NOTICE, 1, None),
        ("unencrypted text", Outcome.NOTICE, 1, None),
    ],
)
def test_a_follower_gets_the_first_valid_answer_of_three_pushes(
    content: str, outcome: Outcome, pushes: int, reply: str | None
) -> None:
    server = Server()
    [result] = run([("oA", {"Content": content})], server)
    assert (result.openid, result.text) == ("oA", content)
    assert (result.outcome, result.pushes, result.reply) == (outcome, pushes, reply)
    assert (result.problem == "") is (outcome is not Outcome.NOTICE)
    assert len(server.pushed["oA"]) == pushes
    assert len(set(server.pushed["oA"])) == 1, "all pushes of a message are equal"


def test_a_follower_sees_the_notice_while_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/wechat"
    [result] = asynchronous.run(flood(SimulatedPlatform.at(url, CREDENTIALS), [("oA", {"Content": "text"})]))
    assert (result.outcome, result.pushes) == (Outcome.NOTICE, 3)


def test_many_followers_are_played_at_once() -> None:
    content = ["late text", "text", "busy text", "quoted"]
    seen: list[Result] = []
    results = run([(f"o{n}", {"Content": content[n % 4]}) for n in range(200)], on_result=seen.append)
    assert [result.openid for result in results] == [f"o{n}" for n in range(200)]
    assert Counter(result.outcome for result in results) == {Outcome.ANSWERED: 150, Outcome.NOTICE: 50}
    assert sorted(seen, key=results.index) == results
    assert seen[0].text != "late text", "results are told as they come"


def test_events_are_pushed_too() -> None:
    server = Server()
    event = {"Event": "TEMPLATESENDJOBFINISH", "MsgID": "1", "Status": "success"}
    [result] = run([("oA", event)], server)
    assert (result.outcome, result.text) == (Outcome.SILENT, "")
    incoming = server.read(*server.pushed["oA"][0])
    assert isinstance(incoming.message, TemplateSentEvent)


def test_a_steady_rate_does_not_wait_for_answers() -> None:
    server = Server(together=5)
    results = run([(f"o{n}", {"Content": "text"}) for n in range(5)], server, per_second=20)
    assert [result.outcome for result in results] == [Outcome.ANSWERED] * 5
    assert [result.started for result in results] == sorted(result.started for result in results)


@pytest.mark.parametrize(("taps", "outcome"), [(1, Outcome.FETCH), (2, Outcome.ANSWERED)])
def test_followers_tap_the_link_until_their_reply_is_ready(taps: int, outcome: Outcome) -> None:
    server = Server()

    async def fetched() -> list[Result]:
        async with listening(server) as platform:
            told = await flood(platform, [("oA", {"Content": "link"})])
            return await fetch(platform, told, taps=taps)

    [result] = asynchronous.run(fetched())
    assert result.outcome is outcome
    messages = [server.read(*push).message for push in server.pushed["oA"]]
    assert [getattr(message, "menu_id", None) for message in messages] == ["", *["late-3f9c"] * taps]
