"""Answers from a real socket, as no platform gives them: each is a clear error, and none hangs."""

from __future__ import annotations

import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
from werkzeug.wrappers import Response

from tests.conftest import APP_SECRET
from tests.waiting import PATIENCE
from tests.wechat.api.recorded import CREDENTIALS, no_sleep
from wechat_bot.testing import listening
from wechat_bot.wechat.api import MemoryTokens, Token, WeChatClient
from wechat_bot.wechat.api._http import Http, Timeouts
from wechat_bot.wechat.errors import APIError, Unreachable

SEND = "/cgi-bin/message/custom/send"
SHORT = Timeouts(connect=1, read=0.3, total=0.6)
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{"errcode":0,"errmsg":"ok"}'

Talk = Callable[[socket.socket], None]


@contextmanager
def served(talk: Talk) -> Iterator[str]:
    """The URL of a server that reads a request and then talks; each connection in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threads: list[threading.Thread] = []

        def converse(connection: socket.socket) -> None:
            with connection, suppress(OSError):  # the client may hang up
                connection.settimeout(PATIENCE)
                read_request(connection)
                talk(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    thread = threading.Thread(target=converse, args=[connection])
                    thread.start()
                    threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *threads):
                thread.join()


def read_request(connection: socket.socket) -> bytes:
    request = b""
    while not request.endswith(b"}"):
        received = connection.recv(65536)
        if not received:
            raise OSError
        request += received
    return request


Connect = Callable[..., Http]


@pytest.fixture
def client() -> Iterator[Connect]:
    """Makes clients that have a token and little patience."""
    store = MemoryTokens()
    store.release("access_token", Token("ToKeN", time.time() + 7200))
    with ExitStack() as stack:

        def connect(url: str, **more: Any) -> Http:
            settings = {"store": store, "sleep": no_sleep, "call": SHORT, "file": SHORT, **more}
            return stack.enter_context(closing(Http(CREDENTIALS, url, **settings)))

        yield connect


def drip(connection: socket.socket, data: bytes) -> None:
    for n in range(len(data)):
        connection.sendall(data[n : n + 1])
        time.sleep(0.05)


def nothing(connection: socket.socket) -> None:
    connection.recv(1)  # until the client hangs up


def dripping_head(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000)


def dripping_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    drip(connection, b" " * 1000)


def endless_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")


def endless_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1000\r\n" + b" " * 0x1000 + b"\r\n")


def half_closed(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


def cut_off(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"errcode":')


def saying(content: bytes) -> Talk:
    return lambda connection: connection.sendall(content)


TEN_MEGABYTES = b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n" + b" " * 10485760


@pytest.mark.parametrize(
    ("talk", "text"),
    [
        (nothing, "no answer: ReadTimeout"),
        (dripping_head, "no answer: ReadTimeout"),
        (dripping_body, "no answer: ReadTimeout"),
        (endless_head, "no answer: RemoteProtocolError"),
        (endless_body, "an answer of more than 2097152 bytes"),
        (half_closed, "no answer: RemoteProtocolError"),
        (cut_off, "no answer: RemoteProtocolError"),
        (saying(b""), "no answer: RemoteProtocolError"),
        (saying(b"SSH-2.0-OpenSSH_9.6\r\n"), "no answer: RemoteProtocolError"),
        (saying(b"\x00\xff" * 50_000), "no answer: RemoteProtocolError"),
        (saying(TEN_MEGABYTES), "an answer of more than 2097152 bytes"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"), "status 200 with a web page"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot JSON!"), "status 200 without JSON"),
        (
            saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
            "no answer: DecodingError",
        ),
    ],
    ids=[
        "nothing",
        "dripping head",
        "dripping body",
        "endless head",
        "endless body",
        "half-closed",
        "cut off",
        "closed",
        "SSH",
        "binary",
        "10 MB",
        "HTML",
        "text",
        "false gzip",
    ],
)
@pytest.mark.timeout(20)
def test_what_is_no_answer_is_a_clear_error_and_may_have_been_delivered(
    client: Connect, talk: Talk, text: str
) -> None:
    with served(talk) as url, pytest.raises(Unreachable, match=text) as caught:
        client(url).post(SEND, {})
    assert caught.value.delivered


@pytest.mark.timeout(20)
def test_a_file_may_be_as_large_as_the_caller_says_and_no_larger(client: Connect) -> None:
    with served(saying(TEN_MEGABYTES.replace(b" OK", b" OK\r\nContent-Type: image/jpeg", 1))) as url:
        http = client(url, file=Timeouts(connect=1, read=5, total=15))
        with pytest.raises(Unreachable, match="more than 1000000 bytes"):
            http.download("/cgi-bin/media/get", 1_000_000, body={})
        file = http.download("/cgi-bin/media/get", 10_485_760, body={})
    assert len(getattr(file, "content", b"")) == 10_485_760


def test_a_refused_connection_delivers_nothing(client: Connect) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        http = client(f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(Unreachable, match=r"cannot connect: ConnectError .*refused") as caught:
            http.post(SEND, {})
    assert not caught.value.delivered


def test_a_host_that_does_not_exist_delivers_nothing(client: Connect) -> None:
    with pytest.raises(Unreachable, match="cannot connect") as caught:
        client("http://nowhere.invalid").post(SEND, {})
    assert not caught.value.delivered


def test_a_connection_that_was_closed_between_two_calls_loses_none(client: Connect) -> None:
    closed = threading.Semaphore(0)

    def talk(connection: socket.socket) -> None:
        connection.sendall(OK)
        connection.close()
        closed.release()

    with served(talk) as url:
        http = client(url)
        for _ in range(3):
            assert http.post(SEND, {})["errcode"] == 0
            assert closed.acquire(timeout=PATIENCE)


# Proxies


def test_the_platform_is_called_through_the_proxy_of_the_settings(client: Connect) -> None:
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                heads.append(read_request(connection).split(b"\r\n")[0])
                connection.sendall(OK)

        thread = threading.Thread(target=answer)
        thread.start()
        proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert client("http://api.invalid", proxy=proxy).post(SEND, {})["errcode"] == 0
        thread.join()
    assert heads == [f"POST http://api.invalid{SEND}?access_token=ToKeN HTTP/1.1".encode()]


def test_a_proxy_of_the_environment_is_not_used(client: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.invalid")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with served(saying(OK)) as url:
        assert client(url).post(SEND, {})["errcode"] == 0


# Secrets


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    lines = {"Connection": "close", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def test_no_log_record_and_no_error_shows_a_token_or_the_secret(
    client: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "httpx2", "httpcore2", "httpcore2.http11", "httpcore2.connection"):
        caplog.set_level(logging.DEBUG, logger=name)  # whoever sets it, and wherever
    secrets = (APP_SECRET, "SeCrEt-ToKeN")
    answers = [
        answer(b'{"access_token":"SeCrEt-ToKeN","expires_in":7200}'),
        answer(b'{"errcode":48001,"errmsg":"no, SeCrEt-ToKeN"}'),
        answer(b"", "302 Found", Location="http://portal.invalid/?access_token=SeCrEt-ToKeN"),
        answer(b"", "500 SeCrEt-ToKeN"),
        b"",
        b"garbage SeCrEt-ToKeN\r\n\r\n",
    ]
    failures = len(answers) - 1
    shown: list[str] = []
    with served(lambda connection: connection.sendall(answers.pop(0))) as url:
        http = client(url, store=None)
        for _ in range(failures):
            with pytest.raises(APIError) as caught:
                http.post(SEND, {})
            shown += [*traceback.format_exception(caught.value), repr(caught.value)]
    with pytest.raises(APIError) as caught:
        http.post(SEND, {})
    shown += [*traceback.format_exception(caught.value), repr(caught.value)]
    assert answers == []
    logging.getLogger("tests").debug("this is kept")
    records = [logging.Formatter().format(record) for record in caplog.records]
    assert "this is kept" in records
    assert [text for text in [*shown, *records] if any(secret in text for secret in secrets)] == []


def test_a_client_shows_nothing_of_its_credentials() -> None:
    assert APP_SECRET not in repr(vars(WeChatClient(CREDENTIALS, "http://api.invalid")))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "//"])
def test_a_redirect_of_a_file_leads_into_the_web_only(client: Connect, url: str) -> None:
    moved = Response(status=302, headers={"Location": url})
    with listening(moved) as server, pytest.raises(Unreachable, match="no answer"):
        client("").fetch(f"{server}/v", 1000, redirects=True)
