"""Access tokens: who fetches one, when, and what happens meanwhile (section 6)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx2
import pytest

from tests.conftest import APP_ID, APP_SECRET
from tests.waiting import PATIENCE
from tests.wechat.api.recorded import CREDENTIALS, NOW, OK, TOKEN, URL, no_sleep
from wechat_bot.wechat.api import LEASE, MemoryTokens, Token, WeChatClient
from wechat_bot.wechat.api._http import Http
from wechat_bot.wechat.errors import (
    APIError,
    Busy,
    CredentialsRefused,
    InvalidToken,
    NotConfirmed,
    NotWhitelisted,
    Restricted,
    Unreachable,
)

PLAIN_TOKEN = "/cgi-bin/token"
SEND = "/cgi-bin/message/custom/send"
MESSAGE = {"touser": "o"}


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


class Platform:
    """Issues tokens, of which the last and those in `valid` are good; `errcodes` come first."""

    def __init__(self, seconds: int = 7200) -> None:
        self.seconds = seconds
        self.calls: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.valid: set[str] = set()
        self.errcodes: dict[str, list[int]] = {}
        self.asked: Callable[[], None] = lambda: None
        """Called while a token is being fetched."""
        self._numbers = count(1)
        self._lock = threading.Lock()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        with self._lock:
            self.calls.append(request.url.path)
        errcodes = self.errcodes.get(request.url.path, [])
        if errcodes:
            return httpx2.Response(200, json={"errcode": errcodes.pop(0), "errmsg": "injected"})
        if request.url.path in {TOKEN, PLAIN_TOKEN}:
            self.asked()
            self.bodies.append(json.loads(request.content or "{}"))
            token = f"token-{next(self._numbers)}"
            self.valid.add(token)
            return httpx2.Response(200, json={"access_token": token, "expires_in": self.seconds})
        if request.url.params["access_token"] in self.valid:
            return httpx2.Response(200, json=OK)
        return httpx2.Response(200, json={"errcode": 42001, "errmsg": "access_token expired"})

    def client(self, clock: Clock, **more: Any) -> Http:
        settings = {"clock": clock, "sleep": no_sleep, **more}
        return Http(CREDENTIALS, URL, httpx2.MockTransport(self), **settings)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def http(platform: Platform, clock: Clock) -> Http:
    return platform.client(clock)


def test_a_token_is_fetched_once_and_reused(http: Http, platform: Platform) -> None:
    for _ in range(3):
        http.post(SEND, MESSAGE)
    assert platform.calls == [TOKEN, SEND, SEND, SEND]


def test_a_token_is_asked_for_without_making_others_invalid(http: Http, platform: Platform) -> None:
    http.post(SEND, MESSAGE)
    assert platform.bodies == [{"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}]


# Its end


@pytest.mark.parametrize(
    ("life", "after", "fetched"),
    [
        (7200, 7200 - 301, 1),
        (7200, 7200 - 300, 2),
        (7200, 7201, 2),
        (600, 299, 1),
        (600, 300, 2),
        (10, 4, 1),
        (10, 5, 2),
    ],
)
def test_a_token_is_replaced_five_minutes_or_half_its_life_before_its_end(
    platform: Platform, clock: Clock, life: int, after: int, fetched: int
) -> None:
    platform.seconds = life
    http = platform.client(clock)
    http.post(SEND, MESSAGE)
    clock.now += after
    http.post(SEND, MESSAGE)
    assert platform.calls.count(TOKEN) == fetched


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_refused_token_is_replaced_once(http: Http, platform: Platform, errcode: int) -> None:
    http.post(SEND, MESSAGE)
    platform.errcodes[SEND] = [errcode]
    http.post(SEND, MESSAGE)
    assert platform.calls[2:] == [SEND, TOKEN, SEND]


def test_a_token_that_is_refused_again_is_not_replaced_for_ever(http: Http, platform: Platform) -> None:
    platform.errcodes[SEND] = [40001, 40001]
    with pytest.raises(InvalidToken):
        http.post(SEND, MESSAGE)
    assert platform.calls == [TOKEN, SEND, TOKEN, SEND]


def test_another_error_does_not_touch_the_token(http: Http, platform: Platform) -> None:
    platform.errcodes[SEND] = [45015]
    with pytest.raises(APIError):
        http.post(SEND, MESSAGE)
    assert platform.calls == [TOKEN, SEND]


def test_a_token_that_comes_back_the_same_gets_a_second_to_be_known(clock: Clock) -> None:
    answers = [{"errcode": 40001, "errmsg": "not latest"}, OK]
    pauses: list[float] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == TOKEN:
            return httpx2.Response(200, json={"access_token": "same", "expires_in": 7200})
        return httpx2.Response(200, json=answers.pop(0))

    http = Http(CREDENTIALS, URL, httpx2.MockTransport(handle), clock=clock, sleep=pauses.append)
    assert http.post(SEND, MESSAGE) == OK
    assert pauses == [1]


def test_a_user_s_token_that_is_refused_is_none_of_ours(platform: Platform, clock: Clock) -> None:
    platform.errcodes["/sns/userinfo"] = [40001]
    client = WeChatClient(CREDENTIALS, URL, httpx2.MockTransport(platform), clock=clock, sleep=no_sleep)
    with pytest.raises(InvalidToken):
        client.oauth.user("WeBtOkEn", "o")
    assert platform.calls == ["/sns/userinfo"]


# Many at once


def test_many_threads_share_one_token(platform: Platform) -> None:
    http = Http(CREDENTIALS, URL, httpx2.MockTransport(platform))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: http.post(SEND, MESSAGE), range(32)))
        platform.valid.clear()
        list(pool.map(lambda _: http.post(SEND, MESSAGE), range(32)))
    assert platform.calls.count(TOKEN) == 2


def test_others_go_on_with_the_old_token_while_one_fetches_another(
    platform: Platform, clock: Clock, http: Http
) -> None:
    http.post(SEND, MESSAGE)
    clock.now += 7000
    fetching, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        fetching.set()
        assert go_on.wait(PATIENCE)

    platform.asked = wait
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(http.post, SEND, MESSAGE)
        assert fetching.wait(PATIENCE)
        for _ in range(5):
            http.post(SEND, MESSAGE)
        go_on.set()
        first.result(10)
    assert platform.calls.count(TOKEN) == 2
    assert platform.calls.count(SEND) == 7


def test_others_wait_while_one_replaces_a_dead_token(platform: Platform) -> None:
    http = Http(CREDENTIALS, URL, httpx2.MockTransport(platform))
    fetching, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        fetching.set()
        assert go_on.wait(PATIENCE)

    platform.asked = wait
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(http.post, SEND, MESSAGE) for _ in range(4)]
        assert fetching.wait(PATIENCE)
        go_on.set()
        assert [call.result(10) for call in calls] == [OK] * 4
    assert platform.calls == [TOKEN, *[SEND] * 4]


def test_two_clients_with_one_store_share_a_token(platform: Platform, clock: Clock) -> None:
    store = MemoryTokens(clock)
    for _ in range(2):
        platform.client(clock, store=store).post(SEND, MESSAGE)
    assert platform.calls == [TOKEN, SEND, SEND]


def test_a_token_that_another_client_has_replaced_is_taken_from_the_store(
    platform: Platform, clock: Clock
) -> None:
    store = MemoryTokens(clock)
    one, other = (platform.client(clock, store=store) for _ in range(2))
    one.post(SEND, MESSAGE)
    other.post(SEND, MESSAGE)
    platform.valid.clear()
    one.post(SEND, MESSAGE)
    other.post(SEND, MESSAGE)
    assert platform.calls == [TOKEN, SEND, SEND, SEND, TOKEN, SEND, SEND, SEND]


def test_whoever_died_while_fetching_is_waited_for_until_his_claim_ends(
    platform: Platform, clock: Clock
) -> None:
    store = MemoryTokens(clock)
    assert store.claim("access_token", "")

    def wait(seconds: float) -> None:
        clock.now += seconds

    platform.client(clock, store=store, sleep=wait).post(SEND, MESSAGE)
    assert platform.calls == [TOKEN, SEND]
    assert NOW + LEASE <= clock.now < NOW + LEASE + 1


def test_a_holder_that_stalls_delays_others_by_seconds(platform: Platform, clock: Clock) -> None:
    store = MemoryTokens(clock)
    stalled = platform.client(clock, store=store)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        clock.now += seconds
        waits.append(seconds)

    def stall() -> None:
        platform.asked = lambda: None
        platform.client(clock, store=store, sleep=wait).post(SEND, MESSAGE)

    platform.asked = stall  # another client asks while the first one gets no answer
    assert stalled.post(SEND, MESSAGE) == OK
    assert sum(waits) < 10
    assert platform.calls == [TOKEN, TOKEN, SEND, SEND]


def test_a_claim_that_never_ends_is_not_waited_for_for_ever(platform: Platform, clock: Clock) -> None:
    store = MemoryTokens(clock)
    store.claim("access_token", "")
    with pytest.raises(Unreachable) as caught:  # no second passes
        platform.client(clock, store=store).post(SEND, MESSAGE)
    assert not caught.value.delivered
    assert platform.calls == []


def test_only_the_token_that_is_stored_can_be_claimed() -> None:
    clock = Clock()
    store = MemoryTokens(clock)
    assert store.claim("access_token", "")
    assert not store.claim("access_token", "")
    store.release("access_token", Token("A", NOW))
    assert not store.claim("access_token", "")
    assert store.claim("access_token", "A")
    store.release("access_token", None)
    assert store.claim("access_token", "A")
    clock.now += LEASE
    assert store.claim("access_token", "A")
    assert store.get("access_token") == Token("A", NOW)
    assert store.get("jsapi") is None


def test_a_leaked_token_is_replaced_by_force(platform: Platform, clock: Clock) -> None:
    client = WeChatClient(CREDENTIALS, URL, httpx2.MockTransport(platform), clock=clock)
    client.system.replace_token()
    assert platform.bodies[0]["force_refresh"] is True
    assert client.tags.list() == ()
    assert platform.calls == [TOKEN, "/cgi-bin/tags/get"]


# Hosts without stable_token


@pytest.mark.parametrize("errcode", [40066, 48001])
def test_a_host_without_stable_token_is_asked_for_a_token_of_the_other_kind(
    http: Http, platform: Platform, errcode: int
) -> None:
    platform.errcodes[TOKEN] = [errcode] * 9
    http.post(SEND, MESSAGE)
    platform.valid.clear()
    http.post(SEND, MESSAGE)
    assert platform.calls == [TOKEN, PLAIN_TOKEN, SEND, SEND, PLAIN_TOKEN, SEND]


def test_the_other_kind_of_token_is_asked_for_with_a_query_that_is_in_no_error(clock: Clock) -> None:
    requests: list[httpx2.Request] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        errcode = 40066 if request.url.path == TOKEN else 40125
        return httpx2.Response(200, json={"errcode": errcode, "errmsg": f"invalid {request.url}"})

    http = Http(CREDENTIALS, URL, httpx2.MockTransport(refuse), clock=clock, sleep=no_sleep)
    with pytest.raises(CredentialsRefused) as caught:
        http.post(SEND, MESSAGE)
    assert APP_SECRET not in str(caught.value)
    assert requests[1].method == "GET"
    query = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}
    assert dict(requests[1].url.params) == query


@pytest.mark.parametrize("errcode", [40164, 40125, 45009, -1])
def test_another_refusal_of_stable_token_is_none_of_the_other_kind(
    http: Http, platform: Platform, errcode: int
) -> None:
    platform.errcodes[TOKEN] = [errcode] * 9
    with pytest.raises(APIError):
        http.post(SEND, MESSAGE)
    assert PLAIN_TOKEN not in platform.calls


# Refusals


@pytest.mark.parametrize(
    ("errcode", "kind"),
    [
        (40164, NotWhitelisted),
        (40001, CredentialsRefused),
        (40013, CredentialsRefused),
        (40125, CredentialsRefused),
        (40243, CredentialsRefused),
        (89503, NotConfirmed),
        (89506, NotConfirmed),
        (50007, Restricted),
    ],
)
def test_what_only_an_operator_can_cure_is_asked_once_a_minute(
    http: Http, platform: Platform, clock: Clock, errcode: int, kind: type[APIError]
) -> None:
    platform.errcodes[TOKEN] = [errcode, errcode]
    for seconds in (0, 1, 59.9):
        clock.now = NOW + seconds
        with pytest.raises(kind) as caught:
            http.post(SEND, MESSAGE)
        assert caught.value.errcode == errcode
    assert platform.calls == [TOKEN]
    clock.now = NOW + 60
    with pytest.raises(kind):
        http.post(SEND, MESSAGE)
    clock.now = NOW + 120
    http.post(SEND, MESSAGE)
    assert platform.calls == [TOKEN, TOKEN, TOKEN, SEND]


def test_a_busy_platform_is_asked_for_a_token_again(http: Http, platform: Platform) -> None:
    platform.errcodes[TOKEN] = [-1, -1, -1]
    http.post(SEND, MESSAGE)
    assert platform.calls == [TOKEN, TOKEN, TOKEN, TOKEN, SEND]


def test_a_token_that_cannot_be_fetched_is_asked_for_by_the_next_call(http: Http, platform: Platform) -> None:
    platform.errcodes[TOKEN] = [-1] * 4
    with pytest.raises(Busy):
        http.post(SEND, MESSAGE)
    http.post(SEND, MESSAGE)
    assert platform.calls == [*[TOKEN] * 5, SEND]


def test_the_old_token_serves_while_no_other_is_to_be_had(
    http: Http, platform: Platform, clock: Clock
) -> None:
    http.post(SEND, MESSAGE)
    platform.errcodes[TOKEN] = [40164] * 9
    clock.now += 7000
    for _ in range(3):
        http.post(SEND, MESSAGE)
    assert platform.calls.count(TOKEN) == 2
    clock.now += 60
    http.post(SEND, MESSAGE)
    assert platform.calls.count(TOKEN) == 3
    clock.now += 140
    with pytest.raises(NotWhitelisted):
        http.post(SEND, MESSAGE)


def test_all_who_wait_for_a_token_learn_that_there_is_none() -> None:
    fetching, go_on = threading.Event(), threading.Event()
    calls: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        calls.append(request.url.path)
        fetching.set()
        assert go_on.wait(PATIENCE)
        return httpx2.Response(200, json={"errcode": 40164, "errmsg": "invalid ip 203.0.113.9"})

    http = Http(CREDENTIALS, URL, httpx2.MockTransport(handle))
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(http.post, SEND, MESSAGE) for _ in range(4)]
        assert fetching.wait(PATIENCE)
        go_on.set()
        for call in sent:
            with pytest.raises(NotWhitelisted, match=r"203\.0\.113\.9"):
                call.result(10)
    assert calls == [TOKEN]


def test_a_token_does_not_show() -> None:
    assert "SeCrEt" not in repr(Token("SeCrEt", NOW))
