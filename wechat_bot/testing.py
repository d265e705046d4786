"""The platform, played: `FakePlatform` pushes to an application as WeChat does, `FakeAPI` answers its calls.

::

    platform = FakePlatform.of(app)
    assert platform.text("改名") == "怎么称呼你？"

Also the engine of ``flask wechat push`` and ``chat``, which speak to any URL.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from .simulator.api import FakeAPI
from .simulator.platform import (
    NOTICE,
    OPENID,
    Attempt,
    Delivery,
    FakePlatform,
    Send,
    client_sender,
    http_sender,
)
from .simulator.state import APIFault, APIFaultKind, SimulatedAccount
from .simulator.store import FileStore
from .wechat.account_kinds import AccountKind

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


class _Silent(WSGIRequestHandler):
    """Logs no requests: their addresses hold access tokens."""

    def log_request(self, *args: Any) -> None:
        pass


@contextmanager
def listening(application: Any) -> Iterator[str]:
    """Serve a WSGI application on a free port of this machine; its URL."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
