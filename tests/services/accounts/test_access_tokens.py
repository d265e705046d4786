"""Tests of access tokens in the database, which several processes share."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, select, update
from werkzeug.wrappers import Request, Response

from tests.conftest import APP_ID, APP_SECRET, MakeApp, statements
from wechat_bot.database.engine import engine_options
from wechat_bot.database.transactions import transaction
from wechat_bot.models import AccessToken
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.accounts.access_tokens import DatabaseTokens
from wechat_bot.settings import LogLevel, Settings
from wechat_bot.testing import FakeAPI, listening
from wechat_bot.wechat.api import LEASE, Token, WeChatClient
from wechat_bot.wiring import services

PROCESSES = 8
CALLS = 2000
TOKEN = "/cgi-bin/stable_token"
URL = "https://api.example.com"


@contextmanager
def opened(settings: Settings) -> Iterator[DatabaseTokens]:
    """Return the tokens with an engine of its own, like another process."""
    engine = create_engine(settings.sqlalchemy_url, **engine_options(settings))
    yield DatabaseTokens(engine, partial(ensure_account, engine, APP_ID))
    engine.dispose()


Pair = tuple[DatabaseTokens, DatabaseTokens]


@pytest.fixture
def two_processes(make_app: MakeApp, any_database: str) -> Iterator[Pair]:
    settings = services(make_app(database_url=any_database)).settings
    with opened(settings) as one, opened(settings) as other:
        yield one, other


@pytest.fixture
def tokens(engine: Engine) -> DatabaseTokens:
    return DatabaseTokens(engine, partial(ensure_account, engine, APP_ID))


# The store


def test_nothing_is_stored_at_first(tokens: DatabaseTokens) -> None:
    assert tokens.get("access_token") is None


def test_a_token_is_found_by_every_process(two_processes: Pair) -> None:
    one, other = two_processes
    expires_at = 1767225600.25
    assert one.claim("access_token", "")
    one.release("access_token", Token("t" * 512, expires_at))
    assert other.get("access_token") == Token("t" * 512, expires_at)
    assert other.get("jsapi") is None


def test_one_claim_holds_at_a_time(two_processes: Pair) -> None:
    one, other = two_processes
    assert one.claim("access_token", "")
    assert not other.claim("access_token", "")
    assert other.claim("jsapi", "")
    one.release("access_token", None)
    assert other.claim("access_token", "")
    other.release("access_token", Token("A", 0))
    assert not one.claim("access_token", "")
    assert not one.claim("access_token", "a")
    assert one.claim("access_token", "A")
    assert not one.claim("access_token", "A")


def test_many_threads_claim_at_once_and_one_succeeds(two_processes: Pair) -> None:
    tokens, _ = two_processes
    barrier = threading.Barrier(4)
    claims: list[bool] = []

    def claim() -> None:
        tokens.get("access_token")
        barrier.wait()
        claims.append(tokens.claim("access_token", ""))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claims) == [False, False, False, True]


def test_the_claim_of_a_process_that_died_ends(tokens: DatabaseTokens, engine: Engine) -> None:
    assert tokens.claim("access_token", "")
    with engine.connect() as connection:
        until = connection.scalar(select(AccessToken.refreshing_until))
    assert until is not None
    assert timedelta(seconds=LEASE - 4) < until - datetime.now(UTC) <= timedelta(seconds=LEASE)
    with transaction(engine) as connection:
        connection.execute(update(AccessToken).values(refreshing_until=datetime.now(UTC)))
    assert tokens.claim("access_token", "")


def test_accounts_have_tokens_of_their_own(engine: Engine, tokens: DatabaseTokens) -> None:
    other = DatabaseTokens(engine, partial(ensure_account, engine, "wx0123456789abcdef"))
    tokens.claim("access_token", "")
    tokens.release("access_token", Token("A", 0))
    assert other.get("access_token") is None
    assert other.claim("access_token", "")


def test_whoever_waits_does_not_write(engine: Engine, tokens: DatabaseTokens) -> None:
    tokens.claim("access_token", "")
    with statements() as sent:
        assert not tokens.claim("access_token", "")
    assert [statement.split()[0] for statement in sent] == ["SELECT"]


# The client


class Expiring:
    """A platform whose tokens are valid for a second. It issues a new one after half a second."""

    def __init__(self) -> None:
        self.fetches = 0
        self.issued: dict[str, float] = {}
        self.answered = 0
        self._lock = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        with self._lock:
            answer = self._fetch() if request.path == TOKEN else self._call(request.args["access_token"])
        return Response(json.dumps(answer))(environ, start_response)

    def _fetch(self) -> dict[str, Any]:
        self.fetches += 1
        now = time.monotonic()
        token = next((token for token, at in self.issued.items() if now < at + 0.5), None)
        if token is None:
            token = f"token-{len(self.issued)}"
            self.issued[token] = now
        return {"access_token": token, "expires_in": 1}

    def _call(self, token: str) -> dict[str, Any]:
        if time.monotonic() > self.issued[token] + 1:
            return {"errcode": 42001, "errmsg": "access_token expired"}
        self.answered += 1
        return {"tagid_list": []}


def call_often(settings: Settings) -> int:
    """Make the calls of one process, and return the number of those that succeeded."""
    with opened(settings) as store:
        client = WeChatClient(settings.credentials, settings.wechat_api_base_url, store=store)
        return sum(client.tags.of("o") == () for _ in range(CALLS // PROCESSES))


def test_many_processes_share_tokens_that_expire_all_the_time(make_app: MakeApp) -> None:
    app = make_app(log_level=LogLevel.ERROR)
    spawn = multiprocessing.get_context("spawn")
    platform = Expiring()
    with listening(platform) as url, ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
        settings = replace(services(app).settings, wechat_api_base_url=url, wechat_app_secret=APP_SECRET)
        done = list(pool.map(call_often, [settings] * PROCESSES))
    assert done == [CALLS // PROCESSES] * PROCESSES
    assert platform.answered == CALLS
    expiries = len(platform.issued) - 1
    assert expiries > 0
    assert platform.fetches <= expiries + PROCESSES


def test_two_deployments_of_one_account_do_not_disturb_each_other(
    make_app: MakeApp, tmp_path: Path, api: FakeAPI
) -> None:
    with ExitStack() as stack:
        clients = []
        for name in ("one", "other"):
            app = make_app(database_url=f"sqlite:///{tmp_path}/{name}.db", wechat_app_secret=APP_SECRET)
            settings = services(app).settings
            store = stack.enter_context(opened(settings))
            clients.append(WeChatClient(settings.credentials, URL, api.transport, store=store))
        for _ in range(3):
            for client in clients:
                client.system.callback_ips()
    assert api.calls.count(TOKEN) == 2
    assert api.calls.count("/cgi-bin/getcallbackip") == 6  # no call was refused
