"""How many bodies of requests are read at once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from flask import Flask, request

from tests.waiting import PATIENCE
from wechat_bot.application import Application


class HeldBody(io.BytesIO):
    """A body that the client holds back until `release` is set."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.is_read, self.release = Event(), Event()

    def readinto(self, buffer: Any, /) -> int:
        self.is_read.set()
        self.release.wait(PATIENCE)
        return super().readinto(buffer)


@pytest.fixture
def held() -> Iterator[HeldBody]:
    body = HeldBody(b"name=Li+Lei")
    yield body
    body.release.set()


@pytest.fixture
def app() -> Flask:
    app = Application(__name__, body_reads=1)

    @app.post("/form")
    def name() -> str:
        return request.form["name"]

    @app.post("/data")
    def data() -> bytes:
        return request.get_data()

    return app


def post(app: Flask, body: io.BytesIO) -> tuple[int, str]:
    form = "application/x-www-form-urlencoded"
    more: dict[str, Any] = {"input_stream": body, "content_length": 11, "content_type": form}
    response = app.test_client().post("/form", **more)
    return response.status_code, response.text


def test_a_body_is_read_as_it_is(app: Flask) -> None:
    assert post(app, io.BytesIO(b"name=Li+Lei")) == (200, "Li Lei")
    body = bytes(range(256)) * 1000
    assert app.test_client().post("/data", data=body).data == body


def test_only_so_many_bodies_are_waited_for(app: Flask, held: HeldBody) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(post, app, held)
        assert held.is_read.wait(PATIENCE)
        assert post(app, io.BytesIO(b"name=Li+Lei"))[0] == 503
        held.release.set()
        assert first.result(10) == (200, "Li Lei")
    assert post(app, io.BytesIO(b"name=Li+Lei")) == (200, "Li Lei"), "the place is free again"
