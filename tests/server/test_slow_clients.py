"""Clients that send half a request, or nothing, take nothing from the platform."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.server.conftest import MakeProgram, Program
from tests.waiting import PATIENCE

HALF_SENT = 150
IDLE = 1100


def connect(program: Program, stack: ExitStack, first: str = "") -> socket.socket:
    parts = urlsplit(program.url)
    client = stack.enter_context(socket.create_connection((str(parts.hostname), parts.port)))
    client.sendall(first.encode())
    return client


def half(path: str, transfer: str) -> str:
    """The head of a POST and the beginning of its body."""
    form = "Content-Type: application/x-www-form-urlencoded"
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{form}\r\n{transfer}\r\n\r\n5\r\nabcde\r\n"


def check_pushes(program: Program) -> None:
    platform = program.platform()
    for _ in range(30):
        delivery = platform.push(platform.message("text", Content="帮助"))
        assert str(delivery.shown).startswith("我会这些")
        assert len(delivery.attempts) == 1


@pytest.mark.parametrize("transfer", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_half_sent_requests_hold_up_no_push(make_program: MakeProgram, transfer: str) -> None:
    program = make_program(WEB_THREADS="64", WEB_WORKERS="1")
    program.start()
    with ExitStack() as stack:
        for path in ("/wechat?signature=x&timestamp=1&nonce=2", "/admin/sign-in"):
            for _ in range(HALF_SENT):
                connect(program, stack, half(path, transfer))
        check_pushes(program)


def test_idle_connections_hold_up_no_push(make_program: MakeProgram) -> None:
    program = make_program(WEB_WORKERS="1")
    program.start()
    with ExitStack() as stack:
        for _ in range(IDLE):
            connect(program, stack)
        check_pushes(program)


IMPATIENT = """
from wechat_bot import create_app, idle_connections

idle_connections.IDLE_SECONDS, idle_connections.PAUSE = 1, 0.2
app = create_app()
"""


def test_idle_and_half_sent_requests_end_and_give_their_places_back(
    make_program: MakeProgram, tmp_path: Path
) -> None:
    bot = tmp_path / "wsgi.py"
    bot.write_text(IMPATIENT)
    program = make_program(bot, WEB_WORKERS="1", WEB_THREADS="8")
    program.start()
    whole = half("/admin/sign-in", "Content-Length: 5").replace("5\r\nabcde\r\n", "a=bcd")
    with ExitStack() as stack:
        for first in ("", "GET /healthz HTTP/1.1\r\nHost", half("/admin/sign-in", "Content-Length: 1000")):
            client = connect(program, stack, first)
            client.settimeout(PATIENCE)
            while client.recv(4096):
                pass
            deadline = time.monotonic() + PATIENCE
            while b" 400 " not in connect(program, stack, whole).recv(20):  # 400: the form is incomplete
                assert time.monotonic() < deadline, "there is no place again"
                time.sleep(0.05)
