"""The HTTP layer of the API client: access token, retries, rate limits, and conversion of errors."""

from __future__ import annotations

import json
import logging
import mimetypes
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx2

from ..credentials import Credentials
from ..errors import APIError, Busy, CredentialsRefused, InvalidToken, Unreachable
from ._network import deadline, network
from ._responses import Download, file_in, masked, parse, read, without_rid
from .tokens import MemoryTokens, Token, Tokens, TokenStore
from .values import Answer, convert_field

for _library in ("httpx2", "httpcore2.connection", "httpcore2.http11", "httpcore2.proxy"):
    # Below WARNING they log URLs and headers, which contain the access token; drop these at every log level.
    logging.getLogger(_library).addFilter(lambda record: record.levelno >= logging.WARNING)

ACCESS_TOKEN = "access_token"
STABLE_TOKEN = "/cgi-bin/stable_token"
PLAIN_TOKEN = "/cgi-bin/token"
MAX_BYTES = 2 << 20
"""Maximum size, in bytes, of a response that is not a file."""
MAX_FILE_BYTES = 12 << 20
"""Default maximum size, in bytes, of a downloaded file. The platform accepts files of up to 10 MB."""
REPEAT_AFTER = (1, 2, 4)
"""Delays in seconds before an idempotent call is repeated that failed because the platform was busy."""
BEIJING = timezone(timedelta(hours=8))

Transport = httpx2.BaseTransport
Query = Mapping[str, str | int]


@dataclass(frozen=True)
class Timeouts:
    """Time limits in seconds: to connect, for the next byte, and for the whole call."""

    connect: float
    read: float
    total: float


CALL = Timeouts(connect=3, read=10, total=15)
FILE = Timeouts(connect=3, read=60, total=120)


@dataclass(frozen=True)
class Call:
    """A finished call, without secrets and without the platform's rid.

    `errcode` 0 with an empty `errmsg` means success, with an `errmsg` that there was no usable response.
    """

    path: str
    errcode: int
    errmsg: str
    seconds: float


@dataclass(frozen=True)
class File:
    """A file to upload."""

    filename: str
    content: bytes = field(repr=False)
    content_type: str


@dataclass(frozen=True)
class _Request:
    url: str
    query: Query | None = None
    body: Mapping[str, Any] | None = None
    file: File | None = None
    form: Mapping[str, str] | None = None
    authorized: bool = True
    idempotent: bool = False
    binary: bool = False
    redirects: bool = False
    accept: tuple[int, ...] = ()
    max_bytes: int = MAX_BYTES

    @property
    def method(self) -> str:
        return "GET" if self.body is None and self.file is None else "POST"


@dataclass(frozen=True)
class _RateLimitHold:
    """Calls of one path are not made before `until` (Unix time in seconds), but raise `error`."""

    until: float
    error: APIError


class Http:
    """Calls the API of one account. Thread-safe. `WeChatClient` describes the parameters.

    Every method that makes a call raises `APIError` if it fails.
    """

    def __init__(
        self,
        credentials: Credentials,
        base_url: str,
        transport: Transport | None = None,
        *,
        proxy: str = "",
        store: TokenStore | None = None,
        observe: Callable[[Call], None] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        call: Timeouts = CALL,
        file: Timeouts = FILE,
    ) -> None:
        self.credentials = credentials
        self.clock = clock
        self.tokens = Tokens(store or MemoryTokens(clock), clock, sleep)
        self._client = httpx2.Client(base_url=base_url, transport=transport or network(proxy))
        self._observe = observe
        self._sleep = sleep
        self._call = call
        self._file = file
        self._rate_limits: dict[str, _RateLimitHold] = {}
        self._has_stable_token = True

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, query: Query | None = None) -> Answer:
        """Return the response to a GET request, which is repeated while the platform is busy."""
        return self._answer(_Request(path, query, idempotent=True))

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        query: Query | None = None,
        *,
        idempotent: bool = False,
        accept: tuple[int, ...] = (),
    ) -> Answer:
        """Return the response to `body`, sent as JSON.

        An `idempotent` call is repeated while the platform is busy. The errcodes in `accept` are not
        treated as errors.
        """
        return self._answer(_Request(path, query, body, idempotent=idempotent, accept=accept))

    def open(
        self,
        path: str,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        idempotent: bool = False,
    ) -> Answer:
        """Return the response to a call that needs no access token: a POST request if `body` is given."""
        return self._answer(_Request(path, query, body, authorized=False, idempotent=idempotent))

    def upload(
        self, path: str, file: File, query: Query | None = None, form: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the response to the upload of `file`, as the part ``media`` of a multipart `form`."""
        return self._answer(_Request(path, query, file=file, form=form))

    def download(
        self, path: str, max_bytes: int, query: Query | None = None, body: Mapping[str, Any] | None = None
    ) -> Answer | Download:
        """Return a file of at most `max_bytes`, or the JSON response in its place (section 10.7)."""
        return self._send(_Request(path, query, body, idempotent=True, binary=True, max_bytes=max_bytes))

    def fetch(self, url: str, max_bytes: int, *, redirects: bool = False) -> Download:
        """Return the file at `url`, which the platform supplied; no access token is sent.

        :param redirects: whether to follow redirects, which lead to any host.
        """
        if not re.match(r"https?://[^/]", url):
            raise Unreachable("the file's address is neither https:// nor http://", delivered=True)
        file = self._send(
            _Request(
                url, authorized=False, idempotent=True, binary=True, redirects=redirects, max_bytes=max_bytes
            )
        )
        if not isinstance(file, Download):
            raise Unreachable("JSON in place of a file", delivered=True)
        return file

    def replace_token(self) -> None:
        """Fetch a new access token. The current one becomes invalid at once, for all processes."""
        self.tokens.replace(ACCESS_TOKEN, lambda: self._fetch_token(force_refresh=True))

    def token_in(self, answer: Answer, name: str) -> Token:
        """Return the token in the response `answer`.

        :raises Unreachable: if it contains none.
        """
        with suppress(Unreachable):
            value, seconds = convert_field(str, answer, name), convert_field(int, answer, "expires_in")
            if value:
                return Token(value, self.clock() + seconds)
        raise Unreachable("an answer without a token", delivered=False)

    def clear_rate_limits(self) -> None:
        """Allow calls of paths whose quota was used up, after the quota was cleared."""
        self._rate_limits.clear()

    def _fetch_token(self, **more: bool) -> Token:
        try:
            answer = self._ask_for_token(**more)
        except Unreachable as error:  # the call that needs the token was not sent
            raise Unreachable(error.errmsg, delivered=False, status=error.status) from None
        except InvalidToken as error:  # here the platform means the AppSecret
            raise CredentialsRefused(error.errcode, error.errmsg) from None
        return self.token_in(answer, "access_token")

    def _ask_for_token(self, **more: bool) -> Answer:
        """Return the response with a token: of stable_token, or of token if the host has no stable_token
        (section 6.1), which is remembered."""
        credentials = {
            "grant_type": "client_credential",
            "appid": self.credentials.app_id,
            "secret": self.credentials.app_secret,
        }
        if self._has_stable_token:
            try:
                return self.open(STABLE_TOKEN, body={**credentials, **more}, idempotent=True)
            except APIError as error:
                if error.errcode not in _NO_STABLE_TOKEN:
                    raise
                self._has_stable_token = False
        return self.open(PLAIN_TOKEN, credentials, idempotent=True)

    def _answer(self, request: _Request) -> Answer:
        answer = self._send(request)
        assert isinstance(answer, dict)
        return answer

    def _send(self, request: _Request) -> Answer | Download:
        """Send `request`. If the platform refuses the access token, replace it and repeat the call once."""
        if not request.authorized:
            return self._send_with_retries(request, "")
        token = self.tokens.get(ACCESS_TOKEN, self._fetch_token)
        try:
            return self._send_with_retries(request, token)
        except InvalidToken:
            new_token = self.tokens.get(ACCESS_TOKEN, self._fetch_token, refused=token)
        if new_token == token:
            self._sleep(1)  # a new token takes a moment to become valid everywhere (section 10.6)
        return self._send_with_retries(request, new_token)

    def _send_with_retries(self, request: _Request, token: str) -> Answer | Download:
        for delay in REPEAT_AFTER if request.idempotent else ():
            try:
                return self._send_once(request, token)
            except (Busy, Unreachable) as error:
                if isinstance(error, Unreachable) and error.status < 500:
                    raise
                self._sleep(delay)
        return self._send_once(request, token)

    def _send_once(self, request: _Request, token: str) -> Answer | Download:
        hold = self._rate_limits.get(request.url)
        if hold and self.clock() < hold.until:
            raise hold.error.with_traceback(None)
        started = time.perf_counter()
        try:
            answer = self._exchange(request, token)
        except APIError as error:
            self._notify_observer(request, error.errcode, without_rid(error.errmsg), started)
            raise self._hold_if_limited(request, error) from None
        self._notify_observer(request, 0, "", started)
        return answer

    def _notify_observer(self, request: _Request, errcode: int, errmsg: str, started: float) -> None:
        if self._observe:
            path = httpx2.URL(request.url).path
            self._observe(Call(path, errcode, errmsg, time.perf_counter() - started))

    def _hold_if_limited(self, request: _Request, error: APIError) -> APIError:
        """Return the exception to raise for `error`. If it is a rate limit, block this path for a while."""
        now = self.clock()
        if error.errcode == 45009:
            until = _next_quota_reset(now)
        elif error.errcode == 45011:
            until = now + 60
        else:
            return error
        until_text = datetime.fromtimestamp(until, BEIJING).strftime("%Y-%m-%d %H:%M:%S")
        message = f"{error.errmsg} ({request.url} is not called before {until_text}, Beijing time)"
        limited = type(error)(error.errcode, message)
        self._rate_limits[request.url] = _RateLimitHold(until, limited)
        return limited

    def _exchange(self, request: _Request, token: str) -> Answer | Download:
        query = {**({"access_token": token} if token else {}), **(request.query or {})}
        timeouts = self._file if request.file or request.binary else self._call
        secrets = {token, self.credentials.app_secret, *(str(query[name]) for name in _SECRET & query.keys())}
        try:
            with (
                deadline(timeouts.total),
                self._client.stream(
                    request.method,
                    request.url,
                    params=query or None,
                    timeout=httpx2.Timeout(timeouts.read, connect=timeouts.connect),
                    follow_redirects=request.redirects,
                    **_content(request),
                ) as response,
            ):
                content = read(response, request.max_bytes)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            problem = f"cannot connect: {type(error).__name__} {error}"
            raise Unreachable(masked(problem, secrets), delivered=False) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unreachable(f"no answer: {type(error).__name__}", delivered=True) from None
        if request.binary and (file := file_in(response, content)):
            return file
        return parse(response.status_code, content, request.accept, secrets)


_NO_STABLE_TOKEN = {40066, 48001}
"""Errcodes of hosts that do not know stable_token, such as private gateways."""
_SECRET = {"access_token", "refresh_token", "secret", "code"}
"""Query parameters whose values are masked in error messages."""


def _content(request: _Request) -> dict[str, Any]:
    """Return the arguments of the HTTP client for the body of `request`."""
    if request.file:
        file = request.file
        part = (_ascii_filename(file.filename, file.content_type), file.content, file.content_type)
        return {"files": {"media": part}, "data": request.form}
    if request.body is None:
        return {}
    content = json.dumps(request.body, ensure_ascii=False).encode()
    return {"content": content, "headers": {"Content-Type": "application/json; charset=utf-8"}}


def _ascii_filename(filename: str, content_type: str) -> str:
    """Return `filename` as the platform requires it: ASCII, with an extension (section 10.7)."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", filename) or "file"
    return name if "." in name.strip(".") else name + (mimetypes.guess_extension(content_type) or ".bin")


def _next_quota_reset(now: float) -> float:
    """Return the time of the next reset of daily quotas: midnight in Beijing (section 6.6)."""
    tomorrow = datetime.fromtimestamp(now, BEIJING) + timedelta(days=1)
    return tomorrow.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
