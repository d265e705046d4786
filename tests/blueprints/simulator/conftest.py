"""A running application with its simulator, used through a browser without JavaScript."""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from flask import Flask

from tests.conftest import APP_ID, APP_SECRET, MakeApp
from wechat_bot.routing import Router
from wechat_bot.settings import Settings
from wechat_bot.simulator.journal import Journal, JournalEntry
from wechat_bot.testing import OPENID, FakeAPI, FileStore, listening


@dataclass(frozen=True)
class Simulator:
    """The simulator of a running application."""

    app: Flask
    client: httpx2.Client
    api: FakeAPI

    def page(self, **query: Any) -> str:
        answer = self.client.get("/simulator/", params=query)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, /, files: Any = None, **form: str) -> str:
        """Submit a form, and return the page to which it redirects."""
        answer = self.client.post(
            f"/simulator/{path}", data={"follower": OPENID, **form}, files=files, follow_redirects=True
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    def says(self, text: str, **form: str) -> JournalEntry:
        self.post("push", **{"f/Content": text, **form})
        return self.finished()

    def call(self, path: str, body: dict[str, Any]) -> int:
        """Call the simulated API finished HTTP, and return the errcode."""
        content = json.dumps(body, ensure_ascii=False)
        answer = self.client.post(f"/simulator/api{path}", params=self.token(), content=content)
        return int(answer.json()["errcode"])

    def token(self) -> dict[str, str]:
        secret = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}
        answer = self.client.post("/simulator/api/cgi-bin/stable_token", json=secret).json()
        return {"access_token": answer["access_token"]}

    def send(self, text: str) -> int:
        """Send a customer-service message, and return the errcode."""
        body = {"touser": OPENID, "msgtype": "text", "text": {"content": text}}
        return self.call("/cgi-bin/message/custom/send", body)

    def answers(self, openid: str, text: str) -> int:
        """Return how often an answer is shown in the phone."""
        chat = self.page(follower=openid).partition('id="log"')[2].partition('id="foot"')[0]
        return text_of(chat).count(text)

    @property
    def journal(self) -> Journal:
        return Journal(Path(self.app.instance_path) / "simulator" / "journal.db")

    def last(self, openid: str = OPENID) -> JournalEntry:
        return self.journal.exchanges(openid, 1)[-1]

    def finished(self, openid: str = OPENID) -> JournalEntry:
        """Wait until the last exchange has ended, and return it."""
        pause = threading.Event()
        while not (last := self.last(openid)).ended:
            pause.wait(0.02)
        return last


MakeSimulator = Callable[..., Simulator]


@pytest.fixture
def make_simulator(make_app: MakeApp, settings: Settings, tmp_path: Path) -> Iterator[MakeSimulator]:
    """Creates applications that use the simulated API. Keyword arguments change the settings."""
    with ExitStack() as stack:

        def make(router: Router | None = None, **changes: object) -> Simulator:
            credentials = replace(settings, wechat_app_secret=APP_SECRET).credentials
            api = FakeAPI(credentials, store=FileStore(tmp_path / "instance" / "simulator"))
            app = make_app(router, api, **{"wechat_app_secret": APP_SECRET, **changes})
            url = stack.enter_context(listening(app))
            client = stack.enter_context(
                httpx2.Client(
                    base_url=url, headers={"Accept": "text/html", "Accept-Language": "zh"}, timeout=None
                )
            )
            return Simulator(app, client, api)

        yield make


@pytest.fixture
def simulator(make_simulator: MakeSimulator) -> Simulator:
    return make_simulator()


def text_of(page: str) -> str:
    """Return the text of a page without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", " ", page))
