"""A platform that keeps what it is sent, and answers what it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.conftest import APP_SECRET
from tests.wechat.pushes import credentials
from wechat_bot.wechat.api import WeChatClient

CREDENTIALS = credentials(app_secret=APP_SECRET)
TOKEN = "/cgi-bin/stable_token"
URL = "https://api.example.com"
NOW = 1767225600.0
OPENID = "oAbCd1EfGh2IjKl3MnOp4QrSt5Uv"
OTHER = "oZyXw9VuTs8RqPo7NmLk6JiHg5Fe"


def no_sleep(seconds: float) -> None:
    """For clients whose pauses do not matter."""


@dataclass
class Recorded:
    """Answers one call after the other; the last answer again and again."""

    answers: list[Any]
    requests: list[httpx2.Request] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == TOKEN:
            return httpx2.Response(200, json={"access_token": "ToKeN", "expires_in": 7200})
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, httpx2.Response):
            return answer
        content = json.dumps(answer, ensure_ascii=False).encode()
        return httpx2.Response(200, content=content, headers={"Content-Type": "text/plain"})

    @property
    def client(self) -> WeChatClient:
        return WeChatClient(CREDENTIALS, URL, httpx2.MockTransport(self), clock=lambda: NOW, sleep=no_sleep)


Row = tuple[Callable[[WeChatClient], Any], str, dict[str, str], Any, Any, Any]
"""A call; method and path, query and body of what is sent; the answer and the result."""

OK: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}


def check(row: Row, token: str = "ToKeN") -> None:
    """The call sends exactly that, and makes that of the answer."""
    call, line, query, body, answer, result = row
    platform = Recorded([answer])
    assert call(platform.client) == result
    [request] = platform.requests
    sent_query = dict(request.url.params)
    if token:
        assert sent_query.pop("access_token") == token
    assert f"{request.method} {request.url.path}" == line
    assert sent_query == query
    assert (json.loads(request.content) if request.content else None) == body
    assert b"\\u" not in request.content


def named(row: object) -> str | None:
    """The path, for the name of the test."""
    return row[1].partition(" ")[2] if isinstance(row, tuple) else None
