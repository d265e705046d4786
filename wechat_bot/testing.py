"""Tools for testing a bot without an account.

`FakePlatform` pushes messages to an application, `FakeAPI` answers its calls of the platform's API, and
`FakeModel` those of a language model::

    with FakePlatform.for_router(router) as platform:
        assert platform.follow() == "欢迎关注！"
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Self

import httpx2
from flask import Flask
from flask_migrate import upgrade
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from . import create_app
from .database.transactions import in_transaction
from .llm import LanguageModel
from .routing import Router
from .settings import IN_MEMORY, Settings
from .simulator.api import SimulatedAPI
from .simulator.language_model import STAND_IN, ModelFault, SimulatedLanguageModel
from .simulator.platform import NOTICE, OPENID, Attempt, Delivery, Send, SimulatedPlatform, http_sender
from .simulator.state import APIFault, APIFaultKind, SimulatedAccount
from .simulator.store import FileStore
from .wechat.account_kinds import AccountKind
from .wechat.credentials import Credentials
from .wiring import services


class FakeAPI(SimulatedAPI):
    """The simulated API for tests. It refuses calls that are made within a database transaction."""

    def __init__(
        self, credentials: Credentials, clock: Callable[[], float] = time.time, **options: Any
    ) -> None:
        super().__init__(credentials, clock, **{"before_call": _refuse_in_transaction, **options})


def _refuse_in_transaction() -> None:
    assert not in_transaction.get(), "the network is used within a transaction"


class FakeModel(SimulatedLanguageModel):
    """The stand-in for a language model for tests. It refuses calls made within a database transaction.

    ``FakeModel().model()`` is a `LanguageModel` without a network. An application is given an address:
    ``with listening(FakeModel()) as url`` serves it at ``{url}/v1``.
    """

    def __init__(self, sleep: Callable[[float], object] = time.sleep) -> None:
        super().__init__(sleep)
        self.requests: list[Mapping[str, Any]] = []
        """The bodies of the chats, oldest first."""

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        _refuse_in_transaction()
        return super().__call__(environ, start_response)

    def complete(self, body: Mapping[str, Any], authorization: str) -> Response:
        self.requests.append(body)
        return super().complete(body, authorization)

    def model(self, name: str = STAND_IN, key: str = "", timeout: float = 60) -> LanguageModel:
        """Return the model of a name, which may tell of a fault (`ModelFault`)."""
        transport = httpx2.WSGITransport(app=self)
        return LanguageModel("http://model.test/v1", key, name, timeout, transport=transport)


class FakePlatform(SimulatedPlatform):
    """The simulated platform for tests. It pushes to an application without a network."""

    @classmethod
    def of(cls, app: Flask, **options: Any) -> Self:
        """Return a platform that pushes into `app` through its test client."""
        return cls(services(app).account.credentials, client_sender(app), **options)

    @classmethod
    @contextmanager
    def for_router(cls, router: Router, **settings: Any) -> Iterator[Self]:
        """Yield a platform that pushes into an application with the handlers of `router`.

        The application has default settings, except `settings`, and a database of its own, which is deleted
        at the end of the block.
        """
        with TemporaryDirectory(prefix="wechat_bot-") as folder:
            app = create_app(Settings(instance_path=folder, job_queue_url=IN_MEMORY, **settings), router)
            try:
                with app.app_context():
                    upgrade()
                yield cls.of(app)
            finally:
                services(app).close()


def client_sender(app: Flask, path: str = "/wechat") -> Send:
    """Return a function that sends through the test client of `app`.

    A request that exceeds the time-out continues in the background, as it would on a server.
    """

    def send(method: str, query: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        def request() -> tuple[int, bytes]:
            response = app.test_client().open(path, method=method, query_string=query, data=body)
            return response.status_code, response.data

        pool = ThreadPoolExecutor(1)
        try:
            return pool.submit(request).result(timeout)
        except FutureTimeoutError as error:
            raise TimeoutError from error
        finally:
            pool.shutdown(wait=False)

    return send


class _SilentHandler(WSGIRequestHandler):
    """Logs no requests, since their URLs contain access tokens."""

    def log_request(self, *args: Any) -> None:
        pass


@contextmanager
def listening(application: Any, address: str = "127.0.0.1") -> Iterator[str]:
    """Serve a WSGI application on a free port of an address of this machine, and yield its URL."""
    server = make_server(address, 0, application, threaded=True, request_handler=_SilentHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://{address}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
