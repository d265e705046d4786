"""Test a bot without an account: `FakePlatform` pushes to an application, `FakeAPI` answers its API calls.

::

    platform = FakePlatform.of(app)
    assert platform.text("改名") == "怎么称呼你？"
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import contextmanager
from typing import Any, Self

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from .simulator.api import FakeAPI
from .simulator.platform import NOTICE, OPENID, Attempt, Delivery, Send, SimulatedPlatform, http_sender
from .simulator.state import APIFault, APIFaultKind, SimulatedAccount
from .simulator.store import FileStore
from .wechat.account_kinds import AccountKind
from .wiring import services

__all__ = [
    "NOTICE",
    "OPENID",
    "APIFault",
    "APIFaultKind",
    "AccountKind",
    "Attempt",
    "Delivery",
    "FakeAPI",
    "FakePlatform",
    "FileStore",
    "Send",
    "SimulatedAccount",
    "client_sender",
    "http_sender",
    "listening",
]


class FakePlatform(SimulatedPlatform):
    """The platform for tests: it pushes into an application without a network."""

    @classmethod
    def of(cls, app: Flask, **options: Any) -> Self:
        """Return a platform that pushes into `app` through its test client."""
        return cls(services(app).account.credentials, client_sender(app), **options)


def client_sender(app: Flask, path: str = "/wechat") -> Send:
    """Return a function that sends through the test client of `app`.

    A request that exceeds the time-out goes on in the background, as it would on a server.
    """

    def send(method: str, query: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        def request() -> tuple[int, bytes]:
            response = app.test_client().open(path, method=method, query_string=query, data=body)
            return response.status_code, response.data

        pool = ThreadPoolExecutor(1)
        try:
            return pool.submit(request).result(timeout)
        except NoAnswer as error:
            raise TimeoutError from error
        finally:
            pool.shutdown(wait=False)

    return send


class _SilentHandler(WSGIRequestHandler):
    """Logs no requests, since their URLs contain access tokens."""

    def log_request(self, *args: Any) -> None:
        pass


@contextmanager
def listening(application: Any) -> Iterator[str]:
    """Serve a WSGI application on a free port of this machine, and yield its URL."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_SilentHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
