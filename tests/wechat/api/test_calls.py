"""How calls are made, repeated and reported, whatever they are for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import APP_SECRET
from tests.wechat.api.recorded import CREDENTIALS, NOW, OK, TOKEN, URL, no_sleep
from wechat_bot.wechat.api import Call
from wechat_bot.wechat.api._http import Http
from wechat_bot.wechat.errors import (
    APIError,
    AuthorizationEnded,
    Busy,
    CredentialsRefused,
    Forbidden,
    InvalidToken,
    NotConfirmed,
    NotFollowing,
    NotFound,
    NotWhitelisted,
    QuotaUsedUp,
    Restricted,
    TooFrequent,
    Unreachable,
    WindowClosed,
)

SEND = "/cgi-bin/message/custom/send"
INFO = "/cgi-bin/user/info"
MESSAGE = {"touser": "o", "msgtype": "text", "text": {"content": "在吗 😀"}}

Handler = Callable[[httpx2.Request], httpx2.Response]


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def answering(send: Handler, token: Handler | None = None, **more: Any) -> Http:
    """A client whose calls `send` answers, and `token` when it asks for one."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.path != TOKEN:
            return send(request)
        if token:
            return token(request)
        return httpx2.Response(200, json={"access_token": "ToKeN", "expires_in": 7200})

    return Http(CREDENTIALS, URL, httpx2.MockTransport(handle), **{"sleep": no_sleep, **more})


def failing(*errcodes: int) -> tuple[Handler, list[str]]:
    """Answers with one errcode after the other, the last again and again; and what was called."""
    left, calls = list(errcodes), []

    def handle(request: httpx2.Request) -> httpx2.Response:
        calls.append(request.url.path)
        errcode = left.pop(0) if len(left) > 1 else left[0]
        return httpx2.Response(200, json={"errcode": errcode, "errmsg": "why rid: 61725984-6126f6f9"})

    return handle, calls


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


# Answers


@pytest.mark.parametrize(
    ("errcode", "kind"),
    [
        (-1, Busy),
        (268488001, Busy),
        (40001, InvalidToken),
        (40003, NotFollowing),
        (40007, NotFound),
        (40013, CredentialsRefused),
        (40014, InvalidToken),
        (40029, AuthorizationEnded),
        (40125, CredentialsRefused),
        (40164, NotWhitelisted),
        (40243, CredentialsRefused),
        (42001, InvalidToken),
        (43004, NotFollowing),
        (43019, NotFollowing),
        (45009, QuotaUsedUp),
        (45011, TooFrequent),
        (45015, WindowClosed),
        (45047, WindowClosed),
        (46003, NotFound),
        (47003, APIError),
        (48001, Forbidden),
        (48002, NotFollowing),
        (48004, Restricted),
        (50002, Restricted),
        (89503, NotConfirmed),
        (12345678, APIError),
    ],
)
def test_a_caller_gets_the_error_that_it_can_act_on(errcode: int, kind: type[APIError]) -> None:
    send, _ = failing(errcode)
    with pytest.raises(APIError) as caught:
        answering(send).post(SEND, MESSAGE)
    assert type(caught.value) is kind
    assert caught.value.errcode == errcode
    assert caught.value.errmsg.startswith("why rid: 61725984-6126f6f9")
    assert str(caught.value) == f"{errcode} {caught.value.errmsg}"


@pytest.mark.parametrize("answer", [{}, {"errcode": 0, "errmsg": "ok"}, {"openid": "o"}], ids=str)
def test_no_errcode_and_errcode_0_are_success(answer: dict[str, Any]) -> None:
    assert answering(lambda _: httpx2.Response(200, json=answer)).post(SEND, MESSAGE) == answer


def test_an_answer_is_utf_8_whatever_its_header_says() -> None:
    headers = {"Content-Type": "text/plain; charset=iso-8859-1"}
    answer = httpx2.Response(200, content='{"nickname":"小明 😀"}'.encode(), headers=headers)
    assert answering(lambda _: answer).get(INFO) == {"nickname": "小明 😀"}


GARBAGE = [
    httpx2.Response(502, html="<html>Bad Gateway</html>"),
    httpx2.Response(200, html=" <!DOCTYPE html><title>Sign in to the network</title>"),
    httpx2.Response(302, headers={"Location": "https://login.example.com/"}),
    httpx2.Response(500, json={}),
    httpx2.Response(200, content=b""),
    httpx2.Response(200, content=b"\xff\xfe\xfd"),
    httpx2.Response(200, content=b'{"errcode": 0'),
    httpx2.Response(200, content=b"[]"),
    httpx2.Response(200, content=b'"ok"'),
    httpx2.Response(200, content=b"null"),
    httpx2.Response(200, content=b"[" * 100_000),
    httpx2.Response(200, content=b'{"errcode": ' + b"9" * 5000 + b"}"),
    httpx2.Response(200, json={"errcode": "broken", "errmsg": None}),
    httpx2.Response(200, json={"errcode": [40001]}),
    httpx2.Response(200, json={"errcode": True}),
    httpx2.Response(200, content=b" " * (2 << 20) + b"{}"),
]


@pytest.mark.parametrize("answer", GARBAGE, ids=lambda answer: ascii(answer.content[:30]))
def test_an_answer_that_is_none_may_follow_a_delivery(answer: httpx2.Response) -> None:
    with pytest.raises(Unreachable) as caught:
        answering(lambda _: answer).post(SEND, MESSAGE)
    assert caught.value.delivered


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (GARBAGE[0], "status 502 with a web page in place of JSON"),
        (GARBAGE[1], "status 200 with a web page in place of JSON"),
        (GARBAGE[2], "status 302 without JSON"),
        (GARBAGE[3], "status 500 without an errcode"),
        (GARBAGE[-1], "an answer of more than 2097152 bytes"),
    ],
    ids=["502", "html", "302", "500", "large"],
)
def test_an_operator_reads_what_came_in_place_of_an_answer(answer: httpx2.Response, text: str) -> None:
    with pytest.raises(Unreachable, match=text):
        answering(lambda _: answer).post(SEND, MESSAGE)


@pytest.mark.parametrize(
    "answer",
    [
        *GARBAGE,
        httpx2.Response(200, json={}),
        httpx2.Response(200, json={"access_token": "", "expires_in": 7200}),
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
        (httpx2.ProxyError("407 Proxy Authentication Required"), False),
        (httpx2.ReadTimeout("10 s"), True),
        (httpx2.WriteTimeout("10 s"), True),
        (httpx2.ReadError("reset"), True),
        (httpx2.RemoteProtocolError("closed"), True),
        (httpx2.DecodingError("gzip"), True),
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


# Repeated calls


@pytest.mark.parametrize(
    "busy",
    [
        httpx2.Response(200, json={"errcode": -1, "errmsg": "system busy"}),
        httpx2.Response(503, html="<html>"),
    ],
    ids=["-1", "503"],
)
def test_a_question_is_asked_again_while_the_platform_is_busy(busy: httpx2.Response) -> None:
    answers, pauses = [busy, busy, busy, httpx2.Response(200, json=OK)], list[float]()
    http = answering(lambda _: answers.pop(0), sleep=pauses.append)
    assert http.get(INFO) == OK
    assert pauses == [1, 2, 4]


def test_a_platform_that_stays_busy_is_given_up() -> None:
    send, calls = failing(-1)
    with pytest.raises(Busy):
        answering(send).post(INFO, {}, idempotent=True)
    assert calls == [INFO] * 4


@pytest.mark.parametrize("status", [400, 404])
def test_a_question_that_is_refused_is_not_asked_again(status: int) -> None:
    calls: list[httpx2.Request] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        calls.append(request)
        return httpx2.Response(status, html="<html>")

    with pytest.raises(Unreachable):
        answering(refuse).get(INFO)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "answer",
    [httpx2.Response(200, json={"errcode": -1}), httpx2.Response(500), httpx2.Response(200)],
    ids=["-1", "500", "empty"],
)
def test_what_must_not_happen_twice_is_sent_once(answer: httpx2.Response) -> None:
    calls: list[httpx2.Request] = []

    def send(request: httpx2.Request) -> httpx2.Response:
        calls.append(request)
        return answer

    with pytest.raises(APIError):
        answering(send).post(SEND, MESSAGE)
    assert len(calls) == 1


# Quotas


def test_an_api_whose_quota_is_used_up_is_called_again_after_midnight_in_beijing() -> None:
    clock = Clock()
    clock.now = 1767189599.0  # 2025-12-31 21:59:59 in Beijing
    send, calls = failing(45009, 0)
    http = answering(send, clock=clock)
    for _ in range(3):
        with pytest.raises(QuotaUsedUp, match="not called before 2026-01-01 00:00:00, Beijing time"):
            http.post(SEND, MESSAGE)
    assert http.get(INFO)["errcode"] == 0
    clock.now = 1767196799.0
    with pytest.raises(QuotaUsedUp):
        http.post(SEND, MESSAGE)
    assert calls == [SEND, INFO]
    clock.now = 1767196800.0
    http.post(SEND, MESSAGE)
    assert calls == [SEND, INFO, SEND]


def test_an_api_that_is_called_too_often_rests_for_a_minute() -> None:
    clock = Clock()
    send, calls = failing(45011, 0)
    http = answering(send, clock=clock)
    for seconds in (0, 59):
        clock.now = NOW + seconds
        with pytest.raises(TooFrequent, match=SEND):
            http.post(SEND, MESSAGE)
    clock.now = NOW + 60
    http.post(SEND, MESSAGE)
    assert len(calls) == 2


def test_a_quota_that_was_cleared_is_used_at_once() -> None:
    send, calls = failing(45009, 0)
    http = answering(send)
    with pytest.raises(QuotaUsedUp):
        http.post(SEND, MESSAGE)
    http.clear_rate_limits()
    http.post(SEND, MESSAGE)
    assert len(calls) == 2


@pytest.mark.parametrize("errcode", [45028, 43100, 48006])
def test_another_quota_stops_no_other_calls_of_its_path(errcode: int) -> None:
    send, calls = failing(errcode, 0)
    http = answering(send)
    with pytest.raises(QuotaUsedUp):
        http.post(SEND, MESSAGE)
    http.post(SEND, MESSAGE)
    assert len(calls) == 2


# Observation


def test_every_call_is_told() -> None:
    told: list[Call] = []
    send, _ = failing(45015, 0)
    http = answering(send, observe=told.append)
    with pytest.raises(WindowClosed):
        http.post(SEND, MESSAGE)
    http.post(SEND, MESSAGE)
    assert [(call.path, call.errcode, call.errmsg) for call in told] == [
        (TOKEN, 0, ""),
        (SEND, 45015, "why"),
        (SEND, 0, ""),
    ]
    assert all(call.seconds >= 0 for call in told)


def test_a_lost_answer_is_told_with_its_cause() -> None:
    told: list[Call] = []

    def fail(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("10 s")

    with pytest.raises(Unreachable):
        answering(fail, observe=told.append).post(SEND, MESSAGE)
    assert (told[-1].path, told[-1].errcode) == (SEND, 0)
    assert told[-1].errmsg == "no answer: ReadTimeout"


def test_a_call_that_is_not_made_is_not_told() -> None:
    told: list[Call] = []
    send, _ = failing(45009)
    http = answering(send, observe=told.append)
    for _ in range(3):
        with pytest.raises(QuotaUsedUp):
            http.post(SEND, MESSAGE)
    assert [call.path for call in told] == [TOKEN, SEND]


def test_a_token_or_secret_that_the_platform_repeats_is_hidden() -> None:
    told: list[Call] = []

    def echo(request: httpx2.Request) -> httpx2.Response:
        errmsg = f"invalid {request.url.params} {APP_SECRET} rid: 1-2"
        return httpx2.Response(200, json={"errcode": 40097, "errmsg": errmsg})

    http = answering(echo, observe=told.append)
    with pytest.raises(APIError) as caught:
        http.get(INFO, {"openid": "o", "code": "CoDe", "refresh_token": "ReFrEsH", "secret": "SeCrEt"})
    for text in (repr(caught.value), repr(told)):
        assert "openid=o" in text
        for secret in ("ToKeN", APP_SECRET, "CoDe", "ReFrEsH", "SeCrEt"):
            assert secret not in text
