"""Calls of the simulated API: registration of endpoints, checks of fields, and errors."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum, auto
from typing import Any, TypeVar

from werkzeug.wrappers import Response

from ...wechat.credentials import Credentials
from ..state import PlatformState, Sent, SimulatedEvent, SimulatedFollower, SimulatedMedia
from ..store import StateStore

BEIJING = timezone(timedelta(hours=8))

Fields = dict[str, Any]
Answer = Fields | Response | None
"""A JSON object or a whole response. None means success without further fields."""

T = TypeVar("T")

OK = {"errcode": 0, "errmsg": "ok"}
"""The beginning of the responses that say that there was no error."""

Shape = Any
"""The required form of a JSON value: a type, ``[shape]`` for a list, or a dictionary of shapes by field name.

A field whose name ends with ``?`` is optional. The key `str` stands for any name.
"""

_MISSING = {
    "appid": 41002,
    "refresh_token": 41003,
    "secret": 41004,
    "appsecret": 41004,
    "media_id": 41006,
    "code": 41008,
    "openid": 41009,
}
"""The errcodes of missing or empty fields (section 8). For other fields it is 47001."""

MESSAGES = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest, could get access_token by"
    " getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r",
    40003: "invalid openid",
    40007: "invalid media_id",
    40013: "invalid appid",
    40014: "invalid access_token",
    40029: "invalid code",
    40066: "invalid url",
    40125: "invalid appsecret",
    40163: "code been used",
    41001: "access_token missing",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    43004: "require subscribe",
    44002: "empty post data",
    45009: "reach max api daily quota limit",
    45015: "response out of time limit or subscription is canceled",
    45047: "out of response count limit",
    46003: "menu no exist",
    47001: "data format error",
    48001: "api unauthorized",
}
"""The platform's texts. Those of other errcodes do not matter to programs."""


class CallRefused(Exception):
    """The call fails with an errcode of the platform. `more` are further fields of the response."""

    def __init__(self, errcode: int, errmsg: str = "", **more: Any) -> None:
        super().__init__(errcode)
        self.errcode = errcode
        self.errmsg = errmsg or MESSAGES.get(errcode, "invalid request")
        self.more = more


def refuse_if(condition: object, errcode: int, errmsg: str = "") -> None:
    """Check a call.

    :raises CallRefused: if `condition` is true.
    """
    if condition:
        raise CallRefused(errcode, errmsg)


class Area(Enum):
    """Groups of endpoints with the same permissions: the rows of section 9.2."""

    ANY = auto()
    MENUS = auto()
    CONDITIONAL_MENUS = auto()
    CUSTOMER = auto()
    AGENTS = auto()
    USERS = auto()
    TEMPORARY_MEDIA = auto()
    PUBLISHING = auto()
    MASS_TO_ALL = auto()
    MASS_TO_LIST = auto()
    TEMPLATES = auto()
    ONE_TIME = auto()
    NOTICES = auto()
    QRCODES = auto()
    SHORT_KEYS = auto()
    OAUTH = auto()
    COMMENTS = auto()
    STATISTICS = auto()


@dataclass(frozen=True)
class UploadedFile:
    """The file in the multipart field ``media``."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class SimulatedCall:
    """A call whose token, permission, quota and fields are valid, and the state that it changes."""

    path: str
    query: dict[str, str]
    body: Any
    upload: UploadedFile | None
    form: dict[str, str]
    state: PlatformState
    store: StateStore
    credentials: Credentials
    now: float
    root: str
    """The base URL of the API, with a slash at its end."""
    ip: str
    paths: Collection[str]
    """The paths of all endpoints."""

    @property
    def today(self) -> datetime:
        return datetime.fromtimestamp(self.now, BEIJING)

    @property
    def month(self) -> str:
        return self.today.strftime("%Y-%m")

    def follower(self, openid: str, errcode: int = 40003) -> SimulatedFollower:
        """Return a follower or former follower.

        :raises CallRefused: with `errcode`, for an unknown openid.
        """
        return find(filter(None, [self.state.followers.get(openid)]), errcode)

    def recipient(self, openid: str) -> SimulatedFollower:
        """Return the follower to whom a message is sent. An account that is not strict accepts any openid.

        :raises CallRefused: if the follower cannot be written to.
        """
        if openid not in self.state.followers and not self.state.account.strict:
            return SimulatedFollower(openid)
        follower = self.follower(openid)
        refuse_if(not follower.subscribed, 43004)
        refuse_if(follower.blacklisted, 43019)
        return follower

    def content(self, name: str, shape: Shape) -> Fields:
        """Return a field of the body that depends on the kind of message, checked against `shape`.

        :raises CallRefused: if it or one of its fields is missing or has another type.
        """
        refuse_if(name not in self.body, 47001, f"{name} missing")
        content: Fields = self.body[name]
        self.state.unknown += [f"{self.path} {unknown}" for unknown in check(shape, content, name)]
        return content

    def find_media(self, media_id: str, *kinds: str, permanent: bool | None = None) -> SimulatedMedia:
        """Return a valid file. `kinds` and `permanent` restrict what is accepted, unless empty or None.

        :raises CallRefused: with 40007, if there is no such file.
        """
        media = self.state.media.get(media_id)
        if (
            media is None
            or (kinds and media.kind not in kinds)
            or (permanent is not None and permanent != (media.ends is None))
            or (media.ends is not None and self.now >= media.ends)
        ):
            raise CallRefused(40007)
        return media

    def deliver(self, openid: str) -> None:
        """Record that the message in this call was sent to a follower."""
        self.state.sent.append(Sent(self.path, openid, self.body, self.now))

    def schedule_event(self, name: str, openid: str, delay: float = 2, **fields: Any) -> None:
        """Schedule an event that the platform pushes after `delay` seconds."""
        self.state.events.append(SimulatedEvent(name, openid, _stringify(fields), self.now + delay))


def find(items: Iterable[T], errcode: int) -> T:
    """Return the first of `items`.

    :raises CallRefused: with `errcode`, if there is none.
    """
    for item in items:
        return item
    raise CallRefused(errcode)


Handler = Callable[[SimulatedCall], Answer]


@dataclass(frozen=True)
class Endpoint:
    """The handler of a path, and what it requires of calls."""

    handler: Handler
    method: str
    area: Area
    body: Shape
    query: dict[str, Shape]
    token: bool
    uploads: bool


@dataclass(frozen=True)
class Family:
    """Endpoints of one subject, which by default need the same permission."""

    area: Area
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def get(
        self, path: str, query: Shape = None, *, token: bool = True, area: Area | None = None
    ) -> Callable[[Handler], Handler]:
        return self._endpoint("GET", path, None, query, token, area, False)

    def post(
        self,
        path: str,
        body: Shape = None,
        query: Shape = None,
        *,
        token: bool = True,
        area: Area | None = None,
        uploads: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register a handler. Without a shape of the `body`, bodies are ignored."""
        return self._endpoint("POST", path, body, query, token, area, uploads)

    def _endpoint(
        self, method: str, path: str, body: Shape, query: Shape, token: bool, area: Area | None, uploads: bool
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.endpoints[path] = Endpoint(
                handler, method, area or self.area, body, query or {}, token, uploads
            )
            return handler

        return register


def check(shape: Shape, value: Any, name: str = "") -> list[str]:
    """Return the names of fields that `shape` does not have.

    :param name: the name of `value` in messages, empty for the whole body.
    :raises CallRefused: if a field is missing or has another type.
    """
    if isinstance(shape, dict):
        refuse_if(not isinstance(value, dict), 47001, f"data format error hint: [{name} is no object]")
        return _check_fields(shape, value, name)
    if isinstance(shape, list):
        refuse_if(not isinstance(value, list), 47001, f"data format error hint: [{name} is no list]")
        return [unknown for item in value for unknown in check(shape[0], item, name)]
    if shape is int and isinstance(value, str) and re.fullmatch(r"\d+", value):
        return []  # the platform accepts numbers as text
    if not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
        raise CallRefused(47001, f"data format error hint: [{name} has the wrong type]")
    return []


def _check_fields(shape: dict[Any, Shape], value: Fields, name: str) -> list[str]:
    if str in shape:
        return [u for key, part in value.items() for u in check(shape[str], part, f"{name}.{key}")]
    prefix = f"{name}." if name else ""
    for field_ in shape:
        if not field_.endswith("?") and (field_ not in value or (field_ in _MISSING and not value[field_])):
            errcode = _MISSING.get(field_, 47001)
            raise CallRefused(errcode, f"{prefix}{field_} missing")
    known = {field_.removesuffix("?"): part for field_, part in shape.items()}
    unknown = [prefix + field_ for field_ in value if field_ not in known]
    for field_ in value.keys() & known.keys():
        unknown += check(known[field_], value[field_], prefix + field_)
    return unknown


def _stringify(value: Any) -> Any:
    """Convert numbers to text, as in XML."""
    if isinstance(value, dict):
        return {name: _stringify(part) for name, part in value.items()}
    return [_stringify(part) for part in value] if isinstance(value, list) else str(value)


def new_secret() -> str:
    """Return a random value of 64 characters, such as a media_id."""
    return secrets.token_urlsafe(48)


def page_after(items: list[str], after: str, size: int) -> Fields:
    """Return the page of openids after `after`, as users/get does. An empty page has no data."""
    refuse_if(after and after not in items, 40003)
    rest = items[items.index(after) + 1 :] if after else items
    part = rest[:size]
    answer: Fields = {"count": len(part), "next_openid": part[-1] if part else ""}
    return answer | ({"data": {"openid": part}} if part else {})


def page_at(body: Fields, items: list[Fields]) -> Fields:
    """Return the page of a list that ``offset`` and ``count`` (1 to 20) of the body request."""
    offset, count = int(body["offset"]), int(body["count"])
    refuse_if(not 1 <= count <= 20, 40097)
    part = items[offset : offset + count]
    return {"total_count": len(items), "item_count": len(part), "item": part}
