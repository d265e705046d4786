"""One call of the API: the token, the one retry, the error."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import Any

import httpx2

from ..credentials import Credentials
from ..errors import APIError, InvalidToken, Unreachable, api_error

logging.getLogger("httpx2").setLevel(logging.WARNING)  # at INFO it logs the access token

TIMEOUT = httpx2.Timeout(10.0, connect=3.0)
TOKEN_MARGIN = 300
"""Seconds before its end at which a token is replaced; the old one stays valid so long (section 6.1)."""

Transport = httpx2.BaseTransport


class Http:
    """Calls the API of one account. Thread-safe. `transport` and `clock` are replaced in tests."""

    def __init__(
        self,
        credentials: Credentials,
        base_url: str,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._client = httpx2.Client(base_url=base_url, timeout=TIMEOUT, transport=transport)
        self._clock = clock
        self._lock = Lock()
        self._token = ""
        self._expires_at = 0.0

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to `body`, sent to `path` with an access token; APIError.

        A token that the platform refuses is replaced, and the call repeated, once.
        """
        token = self._access_token(stale=None)
        try:
            return self._call(path, body, {"access_token": token})
        except InvalidToken:
            return self._call(path, body, {"access_token": self._access_token(stale=token)})

    def _access_token(self, stale: str | None) -> str:
        """A valid token; a new one if the present one is `stale`. All processes get the same one from the
        platform, so that none takes another's away (section 6.5)."""
        with self._lock:
            if self._token in {"", stale} or self._clock() > self._expires_at - TOKEN_MARGIN:
                match self._fetch_token():
                    case {"access_token": str(token), "expires_in": int(seconds)}:
                        self._token, self._expires_at = token, self._clock() + seconds
                    case _:
                        raise Unreachable("an answer without a token", delivered=False)
            return self._token

    def _fetch_token(self) -> dict[str, Any]:
        body = {
            "grant_type": "client_credential",
            "appid": self._credentials.app_id,
            "secret": self._credentials.app_secret,
        }
        try:
            return self._call("/cgi-bin/stable_token", body)
        except Unreachable as error:
            raise Unreachable(error.errmsg, delivered=False) from error  # what needs the token was not sent
        except InvalidToken as error:
            raise APIError(error.errcode, error.errmsg) from error  # here it means the secret

    def _call(self, path: str, body: dict[str, Any], query: dict[str, str] | None = None) -> dict[str, Any]:
        content = json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        try:
            response = self._client.post(path, content=content, headers=headers, params=query)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Unreachable(f"cannot connect: {type(error).__name__}", delivered=False) from error
        except httpx2.HTTPError as error:
            raise Unreachable(f"no answer: {type(error).__name__}", delivered=True) from error
        return _parse(response)


def _parse(response: httpx2.Response) -> dict[str, Any]:
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise Unreachable(f"status {response.status_code} without JSON", delivered=True) from error
    if not isinstance(answer, dict) or not isinstance(answer.get("errcode", 0), int):
        raise Unreachable(f"status {response.status_code} without an answer", delivered=True)
    if answer.get("errcode"):
        raise api_error(answer["errcode"], str(answer.get("errmsg", "")))
    return answer
