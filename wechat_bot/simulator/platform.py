"""A simulation of the platform's pushes of messages and events, with its time-out and its retries."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import httpx2

from ..wechat import replies, xml
from ..wechat.credentials import Credentials, Mode
from ..wechat.crypto import MessageCipher, sign, verify
from ..wechat.errors import InvalidCiphertext, InvalidReply, MalformedMessage
from ..wechat.replies import Reply, TextReply
from .api import SimulatedAPI

NOTICE = "该公众号提供的服务出现故障，请稍后再试"
"""The failure notice: a follower sees it when the bot gives no valid answer (section 1.7)."""

ACCOUNT = "gh_1a2b3c4d5e6f"
OPENID = "oAbCd1EfGh2IjKl3MnOp4QrSt5Uv"


Send = Callable[[str, str, bytes, float], tuple[int, bytes]]
"""Sends method, query string and body, with a time-out in seconds, and returns status and body.

Raises TimeoutError after the time-out.
"""


class Request(NamedTuple):
    """Query string and body of a push, and the body before encryption."""

    query: str
    body: bytes
    plain: str


_ACTIONS = {
    "subscribe": "follow",
    "unsubscribe": "unfollow",
    "scan": "scan",
    "click": "click",
    "scancode_push": "click",
    "scancode_waitmsg": "click",
}
"""The actions of a follower by event, as `SimulatedAPI.follower_acted` names them."""


@dataclass(frozen=True)
class Attempt:
    """One attempt to deliver a push, and the answer to it."""

    query: str
    body: bytes
    plain: str
    """The body before encryption."""
    status: int | None
    """None if there was no answer in time, or no connection."""
    answer: bytes
    seconds: float
    opened: str = ""
    """The answer after decryption."""
    problem: str = ""
    """The reason why the platform does not accept the answer. Empty if it does."""
    reply: Reply | None = None
    began: float = 0.0
    """When it was sent, in Unix time of the real clock."""


@dataclass(frozen=True)
class Delivery:
    """All attempts to deliver one message."""

    attempts: Sequence[Attempt]

    @property
    def failed(self) -> bool:
        """Whether the follower sees the failure notice."""
        return all(attempt.problem for attempt in self.attempts)

    @property
    def reply(self) -> Reply | None:
        """The reply in the first answer that the platform accepts."""
        return next((attempt.reply for attempt in self.attempts if not attempt.problem), None)

    @property
    def shown(self) -> str | Reply | None:
        """What the follower sees: the text of a text reply, another reply, the failure notice, or None."""
        if self.failed:
            return NOTICE
        return self.reply.content if isinstance(self.reply, TextReply) else self.reply


class SimulatedPlatform:
    """The pushing side of the platform, for one account and one follower.

    :param url: where `send` sends to, if that is a server.
    :param timeout: seconds to wait for the answer to a push.
    :param pushes: the maximum number of attempts.
    :param clock: returns the Unix time.
    :param api: records the actions of the follower, if given.
    """

    def __init__(
        self,
        credentials: Credentials,
        send: Send,
        *,
        url: str = "",
        openid: str = OPENID,
        account: str = ACCOUNT,
        timeout: float = 5.0,
        pushes: int = 3,
        clock: Callable[[], float] = time.time,
        api: SimulatedAPI | None = None,
    ) -> None:
        self.credentials = credentials
        self.url = url
        self.openid = openid
        self.account = account
        self.timeout = timeout
        self.pushes = pushes
        self._send = send
        self._clock = clock
        self._api = api
        self._cipher = (
            MessageCipher(credentials.aes_keys[0], credentials.app_id)
            if credentials.mode is not Mode.PLAIN
            else None
        )

    @classmethod
    def at(cls, url: str, credentials: Credentials, **options: Any) -> Self:
        """Return a platform that pushes to `url` over HTTP."""
        return cls(credentials, http_sender(url), url=url, **options)

    def follower(self, openid: str) -> Self:
        """Return the same platform for another follower."""
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | {"openid": openid}
        return other

    # Actions of the follower. Each returns what the follower then sees, see `Delivery.shown`.

    def text(self, content: str, **more: str) -> str | Reply | None:
        return self.push(self.message("text", Content=content, **more)).shown

    def image(
        self, media_id: str = "mEdIaId_image", pic_url: str = "http://mmbiz.qpic.cn/0"
    ) -> str | Reply | None:
        return self.push(self.message("image", PicUrl=pic_url, MediaId=media_id)).shown

    def voice(self, media_id: str = "mEdIaId_voice", recognition: str = "") -> str | Reply | None:
        return self.push(self.message("voice", MediaId=media_id, Format="amr", Recognition=recognition)).shown

    def location(self, latitude: str, longitude: str, label: str = "") -> str | Reply | None:
        fields = {"Location_X": latitude, "Location_Y": longitude, "Scale": "16", "Label": label}
        return self.push(self.message("location", **fields)).shown

    def follow(self, scene: str = "") -> str | Reply | None:
        key = f"qrscene_{scene}" if scene else ""
        return self.push(self.event("subscribe", EventKey=key)).shown

    def unfollow(self) -> str | Reply | None:
        return self.push(self.event("unsubscribe", EventKey="")).shown

    def scan(self, scene: str) -> str | Reply | None:
        return self.push(self.event("SCAN", EventKey=scene, Ticket="gQH8exampleTicket==")).shown

    def click(self, key: str) -> str | Reply | None:
        return self.push(self.event("CLICK", EventKey=key)).shown

    # Pushes

    def message(self, kind: str, /, **fields: Any) -> xml.Fields:
        """Return the fields of a new message of the follower."""
        if self._api:
            self._api.follower_acted(self.openid, "message")
        return {**self._head(), "MsgType": kind, "MsgId": str(next(_ids)), **fields}

    def event(self, name: str, /, **fields: Any) -> xml.Fields:
        """Return the fields of a new event of the follower."""
        if self._api and (action := _ACTIONS.get(name.lower())):
            scene = str(fields.get("EventKey", "")).removeprefix("qrscene_")
            self._api.follower_acted(self.openid, action, scene)
        return {**self._head(), "MsgType": "event", "Event": name, **fields}

    def _head(self) -> xml.Fields:
        return {
            "ToUserName": self.account,
            "FromUserName": self.openid,
            "CreateTime": str(int(self._clock())),
        }

    def push(self, fields: xml.Fields) -> Delivery:
        """Push a message until it is answered, as often as the platform does.

        All attempts have the same query and body. The next attempt follows at once after a time-out or a
        status other than 200. After an invalid answer there is none.
        """
        return Delivery(list(self.attempts(self.request(fields))))

    def attempts(self, request: Request, *, lost: int = 0) -> Iterator[Attempt]:
        """Yield the attempts of `push` as they end.

        The answers to the first `lost` ones do not reach the platform, which waits until its time-out.
        """
        for number in range(self.pushes):
            attempt = self.attempt(request)
            if number < lost:
                time.sleep(max(0.0, self.timeout - attempt.seconds))
                seconds = max(self.timeout, attempt.seconds)
                problem = attempt.problem or "the answer was lost"
                yield replace(attempt, seconds=seconds, problem=problem, reply=None)
                continue
            yield attempt
            if attempt.status == 200:
                return

    def push_once(self, fields: xml.Fields) -> Attempt:
        """Make only the first attempt to push a message."""
        return self.attempt(self.request(fields))

    def request(self, fields: xml.Fields) -> Request:
        """Sign and, depending on the mode, encrypt a push."""
        plain = xml.build(fields)
        if self._cipher is None:
            return Request(self.query(openid=str(fields.get("FromUserName"))), plain.encode(), plain)
        encrypted = self.encrypt(plain.encode())
        outer = dict(fields) if self.credentials.mode is Mode.COMPATIBLE else {"ToUserName": self.account}
        body = xml.build({**outer, "Encrypt": encrypted})
        return Request(self.query(encrypted, openid=str(fields.get("FromUserName"))), body.encode(), plain)

    def encrypt(self, plain: bytes) -> str:
        """Return the text of the ``Encrypt`` element. The mode must not be plain."""
        assert self._cipher, "the mode is plain"
        return self._cipher.encrypt(plain)

    def query(self, encrypted: str | None = None, **more: str) -> str:
        """Return a signed query string. `encrypted` is the ``Encrypt`` element of an encrypted push."""
        token, timestamp, nonce = (
            self.credentials.tokens[0],
            str(int(self._clock())),
            str(secrets.randbelow(10**9)),
        )
        values = {"signature": sign(token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce, **more}
        if encrypted is not None:
            values |= {"encrypt_type": "aes", "msg_signature": sign(token, timestamp, nonce, encrypted)}
        return urlencode(values)

    def verify_url(self) -> bool:
        """Verify the URL, as the platform's console does when the URL is saved, and return the result."""
        echo = str(secrets.randbelow(10**19))
        status, answer = self._send("GET", self.query(echostr=echo), b"", self.timeout)
        return status == 200 and answer == echo.encode()

    def attempt(self, request: Request) -> Attempt:
        """Make one attempt to deliver a push."""
        began, started = time.time(), time.monotonic()
        status, answer, problem = None, b"", ""
        try:
            status, answer = self._send("POST", request.query, request.body, self.timeout)
        except TimeoutError:
            problem = f"no answer within {self.timeout:g} s"
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            problem = f"no connection: {error}"
        return self.judge(
            Attempt(*request, status, answer, time.monotonic() - started, problem=problem, began=began)
        )

    def judge(self, attempt: Attempt) -> Attempt:
        """Return the attempt with the reply in its answer, or with the reason why it is not accepted."""
        if attempt.problem or (attempt.status == 200 and attempt.answer in {b"", b"success"}):
            return attempt
        if attempt.status != 200:
            return replace(attempt, problem=f"status {attempt.status}")
        try:
            opened = self._open(attempt.answer)
            attempt = replace(attempt, opened=opened.decode(errors="replace"))
            return replace(attempt, reply=_read_reply(opened, xml.parse(attempt.plain.encode())))
        except (InvalidReply, InvalidCiphertext, MalformedMessage) as error:
            return replace(attempt, problem=f"not understood: {error}")

    def _open(self, answer: bytes) -> bytes:
        """Decrypt an answer, which must be encrypted if the mode requires it.

        :raises InvalidReply: if it is not encrypted as required, or its signature is wrong.
        """
        if not answer.startswith(b"<xml>"):
            raise InvalidReply("it does not begin with <xml>")
        outer = xml.parse(answer)
        if self._cipher is None or (self.credentials.mode is Mode.COMPATIBLE and "Encrypt" not in outer):
            return answer
        values = [outer.get(name) for name in ("Encrypt", "MsgSignature", "TimeStamp", "Nonce")]
        if not all(isinstance(value, str) for value in values):
            raise InvalidReply("it is not encrypted")
        encrypted, signature, timestamp, nonce = map(str, values)
        if not verify(signature, self.credentials.tokens[0], timestamp, nonce, encrypted):
            raise InvalidReply("its signature is wrong")
        return self._cipher.decrypt(encrypted)


_ids = itertools.count(time.time_ns())


def _read_reply(opened: bytes, fields: xml.Fields) -> Reply:
    answer = xml.parse(opened)
    if (answer.get("ToUserName"), answer.get("FromUserName")) != (
        fields["FromUserName"],
        fields["ToUserName"],
    ):
        raise InvalidReply("its addresses are not those of the push, swapped")
    if not str(answer.get("CreateTime")).isdigit():
        raise InvalidReply("CreateTime is no number")
    if isinstance(reply := replies.parse(answer), TextReply) and len(reply.content.encode()) > 2048:
        raise InvalidReply("its text is longer than 2048 bytes")
    return reply


def http_sender(url: str) -> Send:
    """Return a function that sends to `url`, with a new connection for each push and without redirects."""
    needs_certificates = url.startswith("https:")  # loading them is slow
    limits = httpx2.Limits(max_keepalive_connections=0)
    client = httpx2.Client(limits=limits, verify=needs_certificates)

    def send(method: str, query: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        separator = "&" if "?" in url else "?"
        headers = {"Content-Type": "text/xml", "User-Agent": "Mozilla/4.0"}
        try:
            response = client.request(
                method, url + separator + query, content=body, headers=headers, timeout=timeout
            )
        except httpx2.ConnectTimeout:
            raise
        except httpx2.TimeoutException as error:
            raise TimeoutError from error
        return response.status_code, response.content

    return send
