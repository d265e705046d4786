"""The state of the simulated platform for one account: dataclasses that are converted to and from JSON.

Times are Unix times of the simulated clock, in seconds. The contents of media are stored apart, see `store`.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, is_dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ..wechat.account_kinds import AccountKind


@dataclass
class SimulatedAccount:
    """The kind and the configuration of the account."""

    kind: AccountKind = AccountKind.VERIFIED_SERVICE
    strict: bool = False
    """Whether messages to unknown openids are refused. Otherwise such openids can always be written to."""
    token_seconds: float = 7200
    allowed_ips: list[str] | None = None
    """The IP whitelist (section 6.2). None allows all addresses."""
    secret_frozen: bool = False
    callback_url: str = "https://bot.example.com/wechat"
    users_per_page: int = 10_000


class APIFaultKind(StrEnum):
    ERRCODE = "errcode"
    """The call is refused with `errcode`. With other kinds it is carried out, and its response is lost."""
    DELAY = "delay"
    STATUS_500 = "status_500"
    HTML = "html"
    GARBAGE = "garbage"
    CUT = "cut"
    """The connection is closed in the middle of the response."""
    HUGE = "huge"
    """The response has 10 MB."""


@dataclass
class APIFault:
    """A fault of the next `times` calls, or of all calls if it is None."""

    kind: APIFaultKind
    errcode: int = -1
    seconds: float = 0
    times: int | None = 1


@dataclass
class SimulatedToken:
    """An access token. `stable` says which of the two endpoints issued it (section 6.1)."""

    value: str
    stable: bool
    ends: float
    replaced: bool = False


@dataclass
class SimulatedFollower:
    """A follower, or someone who unfollowed."""

    openid: str
    subscribed: bool = True
    subscribe_time: int = 0
    subscribe_scene: str = "ADD_SCENE_SEARCH"
    qr_scene: int = 0
    qr_scene_str: str = ""
    remark: str = ""
    tags: list[int] = field(default_factory=list)
    blacklisted: bool = False
    refuses: bool = False
    """Whether the follower refuses messages of the account, which is error 48002."""
    nickname: str = "微信用户"
    """The nickname, which only OAuth reveals."""
    platform: str = "2"
    """The client_platform_type of conditional menus: 1 for iOS, 2 for Android, 3 for others."""
    window_ends: float = 0
    window_left: int = 0
    """Number of customer-service messages that may still be sent until `window_ends` (section 7.4)."""
    wrote_at: float = 0
    typing_until: float = 0
    accepted: dict[str, int] = field(default_factory=dict)
    """Number of subscription messages that may be sent, by template."""
    mass_months: dict[str, int] = field(default_factory=dict)
    """Number of mass messages received, by month."""


@dataclass
class Sent:
    """A message that reached a follower."""

    path: str
    openid: str
    body: dict[str, Any]
    at: float
    arrived: float = field(default_factory=time.time)
    """When it was sent, by the real clock."""


@dataclass
class SimulatedEvent:
    """An event that the platform will push at `due`, with the arguments of `SimulatedPlatform.event`.

    `openid` is empty for events that concern no follower.
    """

    name: str
    openid: str
    fields: dict[str, Any]
    due: float


@dataclass
class SimulatedTag:
    id: int
    name: str


@dataclass
class ConditionalMenu:
    menuid: int
    buttons: list[dict[str, Any]]
    matchrule: dict[str, str]


@dataclass
class SimulatedMedia:
    """An uploaded file. `ends` is None for permanent material."""

    media_id: str
    kind: str
    filename: str
    content_type: str
    created_at: float
    ends: float | None = None
    title: str = ""
    introduction: str = ""
    articles: list[dict[str, Any]] = field(default_factory=list)
    """The articles of news, which has no file."""


@dataclass
class SimulatedDraft:
    articles: list[dict[str, Any]]
    updated_at: float


@dataclass
class Published:
    """Articles that a job publishes at `ready`. `deleted` has the numbers of deleted articles, from 1."""

    article_id: str
    publish_id: str
    articles: list[dict[str, Any]]
    ready: float
    deleted: list[int] = field(default_factory=list)


@dataclass
class SimulatedMass:
    """A mass-sending job."""

    msg_id: int
    clientmsgid: str
    at: float
    deleted: bool = False


@dataclass
class SimulatedTemplate:
    template_id: str
    title: str
    content: str
    example: str = ""
    subscription: bool = False
    """Whether the template is for subscription notices (section 7.13) and not for template messages."""


@dataclass
class Ticket:
    """A QR code with a scene. `ends` is None for a permanent code."""

    ticket: str
    url: str
    scene: str
    ends: float | None = None


@dataclass
class SimulatedShortKey:
    long_data: str
    created_at: float
    seconds: int


@dataclass
class JsTicket:
    value: str
    ends: float


@dataclass
class Code:
    """An OAuth code, which can be used once within 5 minutes."""

    openid: str
    scope: str
    ends: float
    used: bool = False


@dataclass
class OAuthToken:
    openid: str
    scope: str
    refresh_token: str
    ends: float
    refresh_ends: float


@dataclass
class SimulatedAgent:
    kf_account: str
    nickname: str
    kf_id: int
    invite_wx: str = ""
    headimg: str = ""


@dataclass
class SimulatedSession:
    kf_account: str
    createtime: int


@dataclass
class SimulatedComment:
    msg_data_id: int
    index: int
    user_comment_id: int
    openid: str
    content: str
    create_time: int
    selected: bool = False
    reply: str = ""
    reply_time: int = 0


@dataclass
class SimulatedFailedCall:
    """A failed call, as rid/get describes it (section 7.22)."""

    at: float
    url: str
    request: str
    response: str
    ip: str


MAX_ITEMS = 5000
"""Number of items that a file keeps of each list and dictionary of the state."""


@dataclass
class PlatformState:
    """The whole state."""

    account: SimulatedAccount = field(default_factory=SimulatedAccount)
    clock_offset: float = 0
    last_id: int = 1000
    calls: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    failed: dict[str, SimulatedFailedCall] = field(default_factory=dict)
    faults: dict[str, APIFault] = field(default_factory=dict)
    """Faults by path. ``*`` stands for all paths."""
    tokens: list[SimulatedToken] = field(default_factory=list)
    token_fetches: int = 0
    forced_at: float = 0
    used: dict[str, int] = field(default_factory=dict)
    """Number of calls by path and period, see `permissions.consume_quota`."""
    cleared: dict[str, int] = field(default_factory=dict)
    """Number of times that quotas were cleared, by kind of clearing and month."""
    followers: dict[str, SimulatedFollower] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    events: list[SimulatedEvent] = field(default_factory=list)
    tags: list[SimulatedTag] = field(default_factory=lambda: [SimulatedTag(2, "星标组")])
    menu: list[dict[str, Any]] = field(default_factory=list)
    menuid: int = 0
    conditional_menus: list[ConditionalMenu] = field(default_factory=list)
    console_menu: list[dict[str, Any]] = field(default_factory=list)
    """The buttons that were made in the platform's console, in the form of get_current_selfmenu_info."""
    auto_replies: dict[str, Any] = field(default_factory=dict)
    """The automatic replies of the console, in the form of get_current_autoreply_info (section 7.17)."""
    media: dict[str, SimulatedMedia] = field(default_factory=dict)
    drafts: dict[str, SimulatedDraft] = field(default_factory=dict)
    published: dict[str, Published] = field(default_factory=dict)
    mass: list[SimulatedMass] = field(default_factory=list)
    mass_speed: int = 0
    templates: list[SimulatedTemplate] = field(default_factory=list)
    industries: list[str] = field(default_factory=list)
    industry_month: str = ""
    client_msg_ids: dict[str, tuple[int, float]] = field(default_factory=dict)
    tickets: list[Ticket] = field(default_factory=list)
    short_keys: dict[str, SimulatedShortKey] = field(default_factory=dict)
    js_tickets: dict[str, JsTicket] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    oauth_tokens: dict[str, OAuthToken] = field(default_factory=dict)
    agents: list[SimulatedAgent] = field(default_factory=list)
    sessions: dict[str, SimulatedSession] = field(default_factory=dict)
    articles: list[int] = field(default_factory=list)
    """The msg_data_ids of articles that were published or mass sent."""
    comments: list[SimulatedComment] = field(default_factory=list)

    def new_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def forget_oldest(self) -> None:
        """Forget the oldest items of each list and dictionary beyond `MAX_ITEMS`."""
        for items in vars(self).values():
            match items:
                case list():
                    del items[:-MAX_ITEMS]
                case dict():
                    for name in list(items)[:-MAX_ITEMS]:
                        del items[name]

    def new_article(self) -> int:
        """Add an article and return its msg_data_id."""
        self.articles.append(self.new_id())
        return self.last_id


def to_json(state: PlatformState) -> str:
    return json.dumps(asdict(state), ensure_ascii=False)


def from_json(text: str) -> PlatformState:
    """Return the state that `to_json` wrote. Unknown fields are ignored, missing ones get their defaults."""
    state: PlatformState = _build(PlatformState, json.loads(text))
    return state


_hints = cache(get_type_hints)


def _build(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _build(hints[name], part) for name, part in value.items() if name in hints})
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin is list:
            return [_build(arguments[0], part) for part in value]
        case origin if origin is dict:
            return {name: _build(arguments[1], part) for name, part in value.items()}
        case origin if origin is tuple:
            return tuple(value)
        case origin if origin is UnionType:
            return None if value is None else _build(arguments[0], value)
    return kind(value) if isinstance(kind, type) and issubclass(kind, StrEnum) else value
