"""Calls of the simulated API over plain HTTP, without the client of this project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.conftest import APP_ID, APP_SECRET, TOKEN
from wechat_bot.simulator.state import PlatformState
from wechat_bot.simulator.store import StateStore
from wechat_bot.testing import FakeAPI, SimulatedAccount
from wechat_bot.wechat.credentials import Credentials

CREDENTIALS = Credentials(tokens=(TOKEN,), app_id=APP_ID, app_secret=APP_SECRET)
NOON = 1767240000.0
"""2026-01-01 12:00 in Beijing."""
OK = {"errcode": 0, "errmsg": "ok"}

TOKEN_QUERY = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


@dataclass
class Caller:
    """Calls a simulated API with an access token."""

    api: FakeAPI
    clock: Clock

    def __post_init__(self) -> None:
        self.http = httpx2.Client(transport=self.api.transport, base_url="https://api.weixin.qq.com")
        self.token = self.new_token()

    def new_token(self) -> str:
        answer = self.http.post("/cgi-bin/stable_token", json=TOKEN_QUERY).json()
        return str(answer["access_token"])

    def raw(
        self, method: str, path: str, query: dict[str, Any] | None = None, **more: Any
    ) -> httpx2.Response:
        return self.http.request(method, path, params={"access_token": self.token, **(query or {})}, **more)

    def get(self, path: str, **query: Any) -> Any:
        return self.raw("GET", path, query).json()

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return self.raw("POST", path, query, json={} if body is None else body).json()

    def upload(self, path: str, content: bytes, filename: str = "file", **query: Any) -> Any:
        files = {"media": (filename, content, "application/octet-stream")}
        return self.raw("POST", path, query, files=files).json()

    def errcode(self, path: str, body: Any = None, **query: Any) -> int:
        """Make a POST call and return its errcode, 0 for success."""
        return int(self.post(path, body, **query).get("errcode", 0))

    def state(self, change: Callable[[PlatformState], object]) -> None:
        with self.api.store.opened() as state:
            change(state)

    def follow(self, *openids: str) -> None:
        for openid in openids:
            self.api.follower_acted(openid, "follow")


def make_caller(account: SimulatedAccount | None = None, store: StateStore | None = None) -> Caller:
    clock = Clock()
    return Caller(FakeAPI(CREDENTIALS, clock, account=account, store=store), clock)


@pytest.fixture
def caller() -> Caller:
    """A caller with a verified service account that is strict."""
    return make_caller(SimulatedAccount(strict=True))
