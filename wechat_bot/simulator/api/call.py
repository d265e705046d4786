"""One call of the API: what it carries, how its fields are checked, how it is refused."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum, auto
from typing import Any

from werkzeug.wrappers import Response

from ...wechat.credentials import Credentials
from ..state import PlatformState, Sent, SimulatedEvent, SimulatedFollower, SimulatedMedia
from ..store import StateStore

BEIJING = timezone(timedelta(hours=8))

Fields = dict[str, Any]
Answer = Fields | Response | None
"""None is success without further fields."""

Shape = Any
"""What a value must be: a type, ``[shape]`` for a list, or a dictionary by field. A name that ends with ``?``
may be missing; the name `str` stands for any name."""

_MISSING = {
    "appid": 41002,
    "refresh_token": 41003,
    "secret": 41004,
    "appsecret": 41004,
    "media_id": 41006,
    "code": 41008,
    "openid": 41009,
}
"""Fields that have an errcode of their own if they are missing or empty (section 8); others: 47001."""

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
"""Texts as they are; the others are of no interest to a program."""


class CallRefused(Exception):
    """The answer is an error of the platform; `more` are further fields of it."""

    def __init__(self, errcode: int, errmsg: str = "", **more: Any) -> None:
        super().__init__(errcode)
        self.errcode = errcode
        self.errmsg = errmsg or MESSAGES.get(errcode, "invalid request")
        self.more = more


class Area(Enum):
    """The rows of section 9.2: what an account of some kind may call or not."""

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
    """The multipart field ``media``."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class SimulatedCall:
    """A call whose token, permission, quota and fields were found right, and the state it works on."""

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
    """The URL under which the API is reached, with a slash at its end."""
    ip: str
    paths: Collection[str]
    """All that the API has."""

    @property
    def today(self) -> datetime:
        return datetime.fromtimestamp(self.now, BEIJING)

    @property
    def month(self) -> str:
        return self.today.strftime("%Y-%m")

    def follower(self, openid: str, errcode: int = 40003) -> SimulatedFollower:
        """The follower, also one who went away; Refused for a foreign openid."""
        if follower := self.state.followers.get(openid):
            return follower
        raise CallRefused(errcode)

    def receiver(self, openid: str) -> SimulatedFollower:
        """Who may be sent a message; a stranger is one for the moment if the account is not strict."""
        if openid not in self.state.followers and not self.state.account.strict:
            return SimulatedFollower(openid)
        follower = self.follower(openid)
        if not follower.subscribed:
            raise CallRefused(43004)
        if follower.blacklisted:
            raise CallRefused(43019)
        return follower

    def medium(self, media_id: str, *kinds: str, permanent: bool | None = None) -> SimulatedMedia:
        """A file of one of these kinds that is still valid; Refused (40007) otherwise."""
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
        """Note that the body of this call reached a follower."""
        self.state.sent.append(Sent(self.path, openid, self.body, self.now))

    def notify_typing(self, name: str, openid: str, delay: float = 2, **fields: Any) -> None:
        """An event about a job will be pushed after `delay` seconds."""
        self.state.events.append(SimulatedEvent(name, openid, _texts(fields), self.now + delay))


Handler = Callable[[SimulatedCall], Answer]


@dataclass(frozen=True)
class Endpoint:
    """What answers a path."""

    handler: Handler
    method: str
    area: Area
    body: Shape
    query: dict[str, Shape]
    token: bool
    uploads: bool


@dataclass(frozen=True)
class Family:
    """Endpoints that need the same permission."""

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
        """Without `body` none is needed, and one that comes all the same is not read."""
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
    """The names of fields that the platform does not know; Refused if one is missing or of another type."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            raise CallRefused(47001, f"data format error hint: [{name} is no object]")
        return _check_fields(shape, value, name)
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise CallRefused(47001, f"data format error hint: [{name} is no list]")
        return [unknown for item in value for unknown in check(shape[0], item, name)]
    if shape is int and isinstance(value, str) and re.fullmatch(r"\d+", value):
        return []  # the platform reads numbers that are written as text
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


def _texts(value: Any) -> Any:
    """The same with numbers as text, as XML has them."""
    if isinstance(value, dict):
        return {name: _texts(part) for name, part in value.items()}
    return [_texts(part) for part in value] if isinstance(value, list) else str(value)


def new_secret() -> str:
    """An opaque value of 64 characters, such as a media_id."""
    return secrets.token_urlsafe(48)


def page(items: list[str], after: str, size: int) -> Fields:
    """A page of openids behind `after` as users/get answers it: without data at the end."""
    if after and after not in items:
        raise CallRefused(40003)
    rest = items[items.index(after) + 1 :] if after else items
    part = rest[:size]
    answer: Fields = {"count": len(part), "next_openid": part[-1] if part else ""}
    return answer | ({"data": {"openid": part}} if part else {})


def span(body: Fields, items: list[Fields]) -> Fields:
    """Items of a list that is read by ``offset`` and ``count`` (1 to 20)."""
    offset, count = int(body["offset"]), int(body["count"])
    if not 1 <= count <= 20:
        raise CallRefused(40097)
    part = items[offset : offset + count]
    return {"total_count": len(items), "item_count": len(part), "item": part}
