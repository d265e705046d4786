"""Calls of the platform's API."""

from __future__ import annotations

import json
import logging
import socket
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.conftest import APP_SECRET
from tests.wechat.corpus import OPENID
from tests.wechat.pushes import credentials
from wechat_bot.testing import FakeAPI, listening
from wechat_bot.wechat.api import WeChatClient
from wechat_bot.wechat.api._http import Http
from wechat_bot.wechat.errors import (
    APIError,
    Busy,
    Forbidden,
    InvalidToken,
    Unreachable,
    WindowClosed,
)
from wechat_bot.wechat.replies import TextReply

TOKEN = "/cgi-bin/stable_token"
SEND = "/cgi-bin/message/custom/send"
URL = "https://api.example.com"
MESSAGE = {"touser": OPENID, "msgtype": "text", "text": {"content": "在吗 😀"}}
CREDENTIALS = credentials(app_secret=APP_SECRET)


class Clock:
    now = 1767225600.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(clock: Clock) -> FakeAPI:
    return FakeAPI(CREDENTIALS, clock)


@pytest.fixture
def http(api: FakeAPI, clock: Clock) -> Http:
    return Http(CREDENTIALS, URL, api.transport, clock)


Handler = Callable[[httpx2.Request], httpx2.Response]


def answering(send: Handler, token: Handler | None = None) -> Http:
    """A client whose calls `send` answers, and `token` when it asks for one."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.path != TOKEN:
            return send(request)
        if token:
            return token(request)
        return httpx2.Response(200, json={"access_token": "ToKeN", "expires_in": 7200})

    return Http(CREDENTIALS, URL, httpx2.MockTransport(handle))


# Tokens


def test_a_token_is_fetched_once_and_reused(http: Http, api: FakeAPI) -> None:
    for _ in range(3):
        http.post(SEND, MESSAGE)
    assert api.calls == [TOKEN, SEND, SEND, SEND]


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_refused_token_is_replaced_once(http: Http, api: FakeAPI, errcode: int) -> None:
    http.post(SEND, MESSAGE)
    api.expire_tokens()
    api.errcodes[SEND] = [errcode]
    http.post(SEND, MESSAGE)
    assert api.calls[2:] == [SEND, TOKEN, SEND]
    assert api.sent == [MESSAGE, MESSAGE]


def test_a_token_that_is_refused_again_is_not_replaced_for_ever(http: Http, api: FakeAPI) -> None:
    api.errcodes[SEND] = [40001, 40001]
    with pytest.raises(InvalidToken):
        http.post(SEND, MESSAGE)
    assert api.calls == [TOKEN, SEND, TOKEN, SEND]


def test_another_error_does_not_touch_the_token(http: Http, api: FakeAPI) -> None:
    api.errcodes[SEND] = [45015]
    with pytest.raises(WindowClosed):
        http.post(SEND, MESSAGE)
    assert api.calls == [TOKEN, SEND]


@pytest.mark.parametrize(("seconds", "fetched"), [(7200 - 300, 1), (7200 - 299, 2), (7201, 2)])
def test_a_token_is_replaced_five_minutes_before_its_end(
    http: Http, api: FakeAPI, clock: Clock, seconds: int, fetched: int
) -> None:
    http.post(SEND, MESSAGE)
    clock.now += seconds
    http.post(SEND, MESSAGE)
    assert api.calls.count(TOKEN) == fetched
    assert len(api.sent) == 2


def test_many_threads_share_one_token(http: Http, api: FakeAPI) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: http.post(SEND, MESSAGE), range(32)))
        api.expire_tokens()
        list(pool.map(lambda _: http.post(SEND, MESSAGE), range(32)))
    assert api.calls.count(TOKEN) == 2
    assert len(api.sent) == 64


# Requests


def test_a_call_is_utf_8_json_with_the_token_in_the_query() -> None:
    requests: list[httpx2.Request] = []

    def send(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(
            200, content=b'{"errcode":0,"errmsg":"ok"}', headers={"Content-Type": "text/plain"}
        )

    answering(send).post(SEND, MESSAGE)
    [request] = requests
    assert (request.method, str(request.url)) == ("POST", f"{URL}{SEND}?access_token=ToKeN")
    assert "在吗 😀".encode() in request.content
    assert b"\\u" not in request.content
    assert json.loads(request.content) == MESSAGE


def test_a_token_is_asked_for_without_making_others_invalid() -> None:
    requests: list[httpx2.Request] = []

    def token(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(200, json={"access_token": "ToKeN", "expires_in": 7200})

    answering(lambda _: httpx2.Response(200, json={}), token).post(SEND, MESSAGE)
    [request] = requests
    assert json.loads(request.content) == {
        "grant_type": "client_credential",
        "appid": CREDENTIALS.app_id,
        "secret": APP_SECRET,
    }
    assert not request.url.query


def test_a_customer_message_is_sent_to_its_follower(api: FakeAPI) -> None:
    WeChatClient(CREDENTIALS, URL, api.transport).customer.send(OPENID, TextReply("在吗 😀"))
    assert api.sent == [MESSAGE]


# Answers


@pytest.mark.parametrize(
    ("errcode", "kind"),
    [
        (-1, Busy),
        (40001, InvalidToken),
        (40003, APIError),
        (40014, InvalidToken),
        (42001, InvalidToken),
        (45009, APIError),
        (45015, WindowClosed),
        (45047, WindowClosed),
        (48001, Forbidden),
    ],
)
def test_a_caller_gets_the_error_that_it_can_act_on(errcode: int, kind: type[APIError]) -> None:
    answer = httpx2.Response(200, json={"errcode": errcode, "errmsg": "因为 rid: 61725984-6126f6f9"})
    with pytest.raises(APIError) as caught:
        answering(lambda _: answer).post(SEND, MESSAGE)
    assert type(caught.value) is kind
    assert (caught.value.errcode, caught.value.errmsg) == (errcode, "因为 rid: 61725984-6126f6f9")
    assert str(caught.value) == f"{errcode} 因为 rid: 61725984-6126f6f9"


@pytest.mark.parametrize("answer", [{}, {"errcode": 0, "errmsg": "ok"}, {"openid": "o"}], ids=str)
def test_no_errcode_and_errcode_0_are_success(answer: dict[str, Any]) -> None:
    assert answering(lambda _: httpx2.Response(200, json=answer)).post(SEND, MESSAGE) == answer


GARBAGE = [
    httpx2.Response(502, html="<html>Bad Gateway</html>"),
    httpx2.Response(302, headers={"Location": "https://login.example.com/"}),
    httpx2.Response(200, content=b""),
    httpx2.Response(200, content=b"\xff\xfe\xfd"),
    httpx2.Response(200, content=b'{"errcode": 0'),
    httpx2.Response(200, content=b"[]"),
    httpx2.Response(200, content=b'"ok"'),
    httpx2.Response(200, content=b"null"),
    httpx2.Response(200, content=b"[" * 100_000),
    httpx2.Response(200, json={"errcode": "broken", "errmsg": None}),
    httpx2.Response(200, json={"errcode": [40001]}),
]


@pytest.mark.parametrize("answer", GARBAGE, ids=lambda answer: ascii(answer.content[:30]))
def test_an_answer_that_is_none_may_follow_a_delivery(answer: httpx2.Response) -> None:
    with pytest.raises(Unreachable) as caught:
        answering(lambda _: answer).post(SEND, MESSAGE)
    assert caught.value.delivered


@pytest.mark.parametrize(
    "answer",
    [
        *GARBAGE,
        httpx2.Response(200, json={}),
        httpx2.Response(200, json={"access_token": "ToKeN", "expires_in": "soon"}),
    ],
    ids=lambda answer: ascii(answer.content[:30]),
)
def test_nothing_is_delivered_without_a_token(answer: httpx2.Response) -> None:
    with pytest.raises(Unreachable) as caught:
        answering(lambda _: pytest.fail("sent"), lambda _: answer).post(SEND, MESSAGE)
    assert not caught.value.delivered


@pytest.mark.parametrize(
    ("failure", "delivered"),
    [
        (httpx2.ConnectError("refused"), False),
        (httpx2.ConnectTimeout("3 s"), False),
        (httpx2.PoolTimeout("10 s"), False),
        (httpx2.ReadTimeout("10 s"), True),
        (httpx2.WriteTimeout("10 s"), True),
        (httpx2.ReadError("reset"), True),
        (httpx2.RemoteProtocolError("closed"), True),
    ],
    ids=repr,
)
def test_a_caller_knows_whether_a_lost_call_may_have_arrived(failure: Exception, delivered: bool) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise failure

    with pytest.raises(Unreachable) as caught:
        answering(fail).post(SEND, MESSAGE)
    assert caught.value.delivered is delivered
    with pytest.raises(Unreachable) as caught:
        answering(fail, fail).post(SEND, MESSAGE)
    assert not caught.value.delivered


def test_a_refused_connection_delivers_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        http = Http(CREDENTIALS, f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(Unreachable) as caught:
            http.post(SEND, MESSAGE)
    assert not caught.value.delivered


# Secrets


def test_no_log_and_no_error_shows_a_secret(api: FakeAPI, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with listening(api) as url:
        http = Http(CREDENTIALS, url)
        http.post(SEND, MESSAGE)
        api.errcodes[SEND] = [40001, 48001]
        with pytest.raises(Forbidden) as refused:
            http.post(SEND, MESSAGE)
    with pytest.raises(Unreachable) as unreachable:
        http.post(SEND, MESSAGE)
    ours = [record for record in caplog.records if record.name != "werkzeug"]  # the platform's side
    shown = [logging.Formatter().format(record) for record in ours]
    shown += ["".join(traceback.format_exception(error.value)) for error in (refused, unreachable)]
    assert shown
    for secret in (APP_SECRET, api._token):
        assert not any(secret in text for text in shown)
