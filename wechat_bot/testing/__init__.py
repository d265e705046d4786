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

from werkzeug.serving import make_server

from .api import FakeAPI
from .platform import NOTICE, OPENID, Attempt, Delivery, FakePlatform, Send, client_sender, http_sender

__all__ = [
    "NOTICE",
    "OPENID",
    "Attempt",
    "Delivery",
    "FakeAPI",
    "FakePlatform",
    "Send",
    "client_sender",
    "http_sender",
    "listening",
]


@contextmanager
def listening(application: Any) -> Iterator[str]:
    """Serve a WSGI application on a free port of this machine; its URL."""
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
