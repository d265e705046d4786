"""The platform's API, played."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from werkzeug.wrappers import Request, Response

from ..extensions import in_transaction
from ..wechat.credentials import Credentials


@dataclass
class FakeAPI:
    """The platform's API as a WSGI application: remembers what was sent, fails on request.

    ``api.errcodes["/cgi-bin/message/custom/send"] = [45015]`` makes the next call of it fail; a path that
    it does not know is a mistake of the caller, kept in `unknown`.
    """

    credentials: Credentials
    clock: Callable[[], float] = time.time
    sent: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    errcodes: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    unknown: list[str] = field(default_factory=list)
    delay: float = 0.0
    """Seconds by which every answer is late."""

    def __post_init__(self) -> None:
        self._token = ""
        self._token_ends = 0.0
        self._lock = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        assert not in_transaction.get(), "the network is used within a transaction"
        request = Request(environ)
        body = request.get_json(force=True)
        with self._lock:
            answer = self._answer(request, body)
        time.sleep(self.delay)
        content = json.dumps(answer, ensure_ascii=False)
        return Response(content, mimetype="text/plain")(environ, start_response)

    @property
    def transport(self) -> httpx2.WSGITransport:
        """Connects a client in this process; pass it to `create_app`."""
        return httpx2.WSGITransport(app=self)

    def expire_tokens(self) -> None:
        """Make the present access token invalid."""
        self._token = ""

    def _answer(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(request.path)
        if self.errcodes[request.path]:
            errcode = self.errcodes[request.path].pop(0)
            return {"errcode": errcode, "errmsg": f"injected rid: {secrets.token_hex(4)}"}
        if request.path == "/cgi-bin/stable_token":
            return self._stable_token(body)
        if request.args.get("access_token") != self._token or not self._token:
            return {"errcode": 40001, "errmsg": "invalid credential, access_token is invalid or not latest"}
        if request.path == "/cgi-bin/message/custom/send":
            self.sent.append(body)
            return {"errcode": 0, "errmsg": "ok"}
        self.unknown.append(request.path)
        return {"errcode": 40066, "errmsg": "invalid url"}

    def _stable_token(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("appid") != self.credentials.app_id:
            return {"errcode": 40013, "errmsg": "invalid appid"}
        if body.get("secret") != self.credentials.app_secret:
            return {"errcode": 40001, "errmsg": "invalid secret"}
        if not self._token or self.clock() > self._token_ends - 300:
            self._token, self._token_ends = secrets.token_urlsafe(48), self.clock() + 7200
        return {"access_token": self._token, "expires_in": int(self._token_ends - self.clock())}
