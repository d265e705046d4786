"""One call of the API: the token, the retries, the error."""

from __future__ import annotations

import json
import logging
import mimetypes
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx2

from ..credentials import Credentials
from ..errors import APIError, Busy, CredentialsRefused, InvalidToken, TooLarge, Unreachable, api_error
from ._network import deadline, network
from .tokens import MemoryTokens, Token, Tokens, TokenStore
from .values import Answer

for _library in ("httpx2", "httpcore2.connection", "httpcore2.http11", "httpcore2.proxy"):
    # Below WARNING they show URLs and headers, and so the access token, whatever level someone sets.
    logging.getLogger(_library).addFilter(lambda record: record.levelno >= logging.WARNING)

ACCESS_TOKEN = "access_token"
STABLE_TOKEN = "/cgi-bin/stable_token"
MAX_BYTES = 2 << 20
"""The largest answer that is not a file."""
MAX_FILE_BYTES = 12 << 20
"""The largest file that is downloaded unless told otherwise; the platform takes 10 MB."""
REPEAT_AFTER = (1, 2, 4)
"""Seconds before a call that the platform was too busy for is repeated, where that is safe."""
BEIJING = timezone(timedelta(hours=8))

Transport = httpx2.BaseTransport
Query = Mapping[str, str | int]


@dataclass(frozen=True)
class Timeouts:
    """Seconds to connect, to wait for the next byte, and for everything together."""

    connect: float
    read: float
    total: float


CALL = Timeouts(connect=3, read=10, total=15)
FILE = Timeouts(connect=3, read=60, total=120)


@dataclass(frozen=True)
class Call:
    """A call that was made, and how it ended: `errcode` 0 and no `errmsg` is success, `errcode` 0 and an
    `errmsg` a lost answer. Neither secrets nor the platform's rid are in it."""

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
class Download:
    """A file of the platform's; `filename` is empty where it names none."""

    content: bytes = field(repr=False)
    content_type: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class _Request:
    method: str
    url: str
    query: Query | None = None
    body: Mapping[str, Any] | None = None
    file: File | None = None
    form: Mapping[str, str] | None = None
    authorized: bool = True
    idempotent: bool = False
    binary: bool = False
    accept: tuple[int, ...] = ()
    max_bytes: int = MAX_BYTES


@dataclass(frozen=True)
class _Stop:
    until: float
    error: APIError


class Http:
    """Calls the API of one account. Thread-safe.

    `store` keeps the tokens (in this process unless given), `observe` is told of every call and must not
    raise. `transport`, `clock`, `sleep` and the time-outs are replaced in tests.
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
        self._stops: dict[str, _Stop] = {}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, query: Query | None = None) -> Answer:
        """The answer to a question, asked again while the platform is busy; APIError."""
        return self._answer(_Request(method="GET", url=path, query=query, idempotent=True))

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        query: Query | None = None,
        *,
        idempotent: bool = False,
        accept: tuple[int, ...] = (),
    ) -> Answer:
        """The answer to `body`; APIError. Sent again while the platform is busy if it is `idempotent`: then
        twice does no harm. The errcodes `accept` are no errors here."""
        return self._answer(
            _Request(method="POST", url=path, query=query, body=body, idempotent=idempotent, accept=accept)
        )

    def open(
        self,
        path: str,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        idempotent: bool = False,
    ) -> Answer:
        """The answer to a call that needs no access token; APIError."""
        method = "GET" if body is None else "POST"
        return self._answer(
            _Request(method=method, url=path, query=query, body=body, authorized=False, idempotent=idempotent)
        )

    def upload(
        self, path: str, file: File, query: Query | None = None, form: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer to `file`, which is the part ``media`` of the `form`; APIError."""
        return self._answer(_Request(method="POST", url=path, query=query, file=file, form=form))

    def download(
        self,
        path: str,
        max_bytes: int,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer | Download:
        """A file of at most `max_bytes`, or the answer that stands in its place (section 10.7); APIError."""
        method = "GET" if body is None else "POST"
        return self._send(
            _Request(
                method=method,
                url=path,
                query=query,
                body=body,
                idempotent=True,
                binary=True,
                max_bytes=max_bytes,
            )
        )

    def fetch(self, url: str, max_bytes: int) -> Download:
        """The file at a `url` that the platform named; APIError."""
        if not re.match(r"https?://[^/]", url):
            raise Unreachable("the file's address is neither https:// nor http://", delivered=True)
        request = _Request(
            method="GET", url=url, authorized=False, idempotent=True, binary=True, max_bytes=max_bytes
        )
        file = self._send(request)
        if not isinstance(file, Download):
            raise Unreachable("JSON in place of a file", delivered=True)
        return file

    def replace_token(self) -> None:
        """Fetch another access token and make the present one invalid at once, for all who use it."""
        self.tokens.replace(ACCESS_TOKEN, lambda: self._fetch_token(force_refresh=True))

    def token_in(self, answer: Answer, name: str) -> Token:
        """The token in `answer`; Unreachable if there is none."""
        match answer:
            case {"expires_in": int(seconds), **rest} if isinstance(rest.get(name), str) and rest[name]:
                return Token(rest[name], self.clock() + seconds)
            case _:
                raise Unreachable("an answer without a token", delivered=False)

    def lift_stops(self) -> None:
        """Call again what had no quota left, because it was cleared."""
        self._stops.clear()

    def _fetch_token(self, **more: bool) -> Token:
        body = {
            "grant_type": "client_credential",
            "appid": self.credentials.app_id,
            "secret": self.credentials.app_secret,
        }
        try:
            answer = self.open(STABLE_TOKEN, body={**body, **more}, idempotent=True)
        except Unreachable as error:  # what needs the token was not sent
            raise Unreachable(error.errmsg, delivered=False, status=error.status) from None
        except InvalidToken as error:  # here it means the secret
            raise CredentialsRefused(error.errcode, error.errmsg) from None
        return self.token_in(answer, "access_token")

    def _answer(self, request: _Request) -> Answer:
        answer = self._send(request)
        assert isinstance(answer, dict)
        return answer

    def _send(self, request: _Request) -> Answer | Download:
        """A token that the platform refuses is replaced, and the call repeated, once."""
        if not request.authorized:
            return self._patiently(request, "")
        token = self.tokens.get(ACCESS_TOKEN, self._fetch_token)
        try:
            return self._patiently(request, token)
        except InvalidToken:
            another = self.tokens.get(ACCESS_TOKEN, self._fetch_token, refused=token)
        if another == token:
            self._sleep(1)  # a new token needs a moment to be known everywhere (section 10.6)
        return self._patiently(request, another)

    def _patiently(self, request: _Request, token: str) -> Answer | Download:
        for pause in REPEAT_AFTER if request.idempotent else ():
            try:
                return self._once(request, token)
            except (Busy, Unreachable) as error:
                if isinstance(error, Unreachable) and error.status < 500:
                    raise
                self._sleep(pause)
        return self._once(request, token)

    def _once(self, request: _Request, token: str) -> Answer | Download:
        stop = self._stops.get(request.url)
        if stop and self.clock() < stop.until:
            raise stop.error.with_traceback(None)
        began = time.perf_counter()
        try:
            answer = self._exchange(request, token)
        except APIError as error:
            self._tell(request, error.errcode, _without_rid(error.errmsg), began)
            raise self._stopping(request, error) from None
        self._tell(request, 0, "", began)
        return answer

    def _tell(self, request: _Request, errcode: int, errmsg: str, began: float) -> None:
        if self._observe:
            path = httpx2.URL(request.url).path
            self._observe(Call(path, errcode, errmsg, time.perf_counter() - began))

    def _stopping(self, request: _Request, error: APIError) -> APIError:
        """`error`, which also ends calls of the same path for a while if it says that there were too many."""
        now = self.clock()
        if error.errcode == 45009:
            until = _midnight(now)
        elif error.errcode == 45011:
            until = now + 60
        else:
            return error
        moment = datetime.fromtimestamp(until, BEIJING).strftime("%Y-%m-%d %H:%M:%S")
        words = f"{error.errmsg} ({request.url} is not called before {moment}, Beijing time)"
        stopping = type(error)(error.errcode, words)
        self._stops[request.url] = _Stop(until, stopping)
        return stopping

    def _exchange(self, request: _Request, token: str) -> Answer | Download:
        """Send `request` and read its answer, once."""
        query = {**({"access_token": token} if token else {}), **(request.query or {})}
        times = self._file if request.file or request.binary else self._call
        secrets = {token, self.credentials.app_secret, *(str(query[name]) for name in _SECRET & query.keys())}
        try:
            with (
                deadline(times.total),
                self._client.stream(
                    request.method,
                    request.url,
                    params=query or None,
                    timeout=httpx2.Timeout(times.read, connect=times.connect),
                    **_content(request),
                ) as response,
            ):
                content = _read(response, request.max_bytes)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            problem = f"cannot connect: {type(error).__name__} {error}"
            raise Unreachable(_masked(problem, secrets), delivered=False) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unreachable(f"no answer: {type(error).__name__}", delivered=True) from None
        if request.binary and (file := _file(response, content)):
            return file
        return _parse(response.status_code, content, request.accept, secrets)


_SECRET = {"access_token", "refresh_token", "secret", "code"}


def _content(request: _Request) -> dict[str, Any]:
    """The body, as the client's arguments."""
    if request.file:
        file = request.file
        part = (_ascii(file.filename, file.content_type), file.content, file.content_type)
        return {"files": {"media": part}, "data": request.form}
    if request.body is None:
        return {}
    content = json.dumps(request.body, ensure_ascii=False).encode()
    return {"content": content, "headers": {"Content-Type": "application/json; charset=utf-8"}}


def _ascii(filename: str, content_type: str) -> str:
    """`filename` as the platform takes it: ASCII, with an extension (section 10.7)."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", filename) or "file"
    return name if "." in name.strip(".") else name + (mimetypes.guess_extension(content_type) or ".bin")


def _read(response: httpx2.Response, max_bytes: int) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > max_bytes:
            raise TooLarge(f"an answer of more than {max_bytes} bytes", delivered=True)
    return bytes(content)


def _file(response: httpx2.Response, content: bytes) -> Download | None:
    """The file that `response` is; None if it is text, as errors are, or no success."""
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_text = content_type.startswith("text/") or content_type == "application/json"
    if response.status_code != 200 or not content or is_text or content[:1] == b"{":
        return None
    found = re.search(r'filename="?([^";]+)', response.headers.get("content-disposition", ""))
    filename = re.split(r"[/\\]", found[1].strip())[-1] if found else ""
    return Download(content, content_type, filename)


def _parse(status: int, content: bytes, accept: tuple[int, ...], secrets: set[str]) -> Answer:
    try:
        answer = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise Unreachable(_not_json(status, content), delivered=True, status=status) from None
    if not isinstance(answer, dict) or type(answer.get("errcode", 0)) is not int:
        raise Unreachable(f"status {status} without an answer", delivered=True, status=status)
    errcode = answer.get("errcode", 0)
    if errcode and errcode not in accept:
        raise api_error(errcode, _masked(str(answer.get("errmsg", "")), secrets))
    if status != 200:
        raise Unreachable(f"status {status} without an errcode", delivered=True, status=status)
    return answer


def _not_json(status: int, content: bytes) -> str:
    if content.lstrip()[:1] == b"<":
        return f"status {status} with a web page in place of JSON: something between answers for the platform"
    return f"status {status} without JSON"


def _masked(text: str, secrets: set[str]) -> str:
    for secret in secrets - {""}:
        text = text.replace(secret, "…")
    return text


def _without_rid(errmsg: str) -> str:
    """`errmsg` so that equal errors are equal (section 10.6)."""
    return re.sub(r"[\s,]*\b(rid|hint):.*", "", errmsg, flags=re.DOTALL)


def _midnight(now: float) -> float:
    """When quotas are next reset (section 6.6)."""
    tomorrow = datetime.fromtimestamp(now, BEIJING) + timedelta(days=1)
    return tomorrow.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
