"""Customer-service and mass messages that are not passive replies (``wechat-platform.md`` sections 7.4
and 7.11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol
from urllib.parse import quote

from .. import replies
from ..replies import AITextReply, Reply


class Sendable(Protocol):
    """A message that can be sent by the API: most kinds of `Reply`, and the classes of this module."""

    def to_customer_message(self) -> dict[str, Any]:
        """Return ``msgtype`` and its object."""


class _Message:
    """Base of dataclasses that have the fields of their msgtype's object."""

    msgtype: ClassVar[str]

    @property
    def text_for_search(self) -> str:
        """The text that operators read and search; empty if it has none."""
        return ""

    def to_customer_message(self) -> dict[str, Any]:
        return {"msgtype": self.msgtype, self.msgtype: asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class MpNews(_Message):
    """An article from the account's drafts or material."""

    msgtype = "mpnews"
    media_id: str


@dataclass(frozen=True)
class MpNewsArticle(_Message):
    """A published article; not for mass messages."""

    msgtype = "mpnewsarticle"
    article_id: str


@dataclass(frozen=True)
class WxCard(_Message):
    """A card without custom codes; not for mass messages."""

    msgtype = "wxcard"
    card_id: str


@dataclass(frozen=True)
class MiniProgramPage(_Message):
    """A page of a linked mini program; not for mass messages."""

    msgtype = "miniprogrampage"
    title: str
    appid: str
    pagepath: str
    thumb_media_id: str

    @property
    def text_for_search(self) -> str:
        return self.title


@dataclass(frozen=True)
class MpVideo(_Message):
    """A video for mass messages; `Mass.prepare_video` returns its `media_id`."""

    msgtype = "mpvideo"
    media_id: str
    title: str = ""
    description: str = ""


@dataclass(frozen=True)
class Choice:
    id: str
    content: str


@dataclass(frozen=True)
class MsgMenu:
    """A question with choices to tap (section 7.6); not for mass messages.

    A tap arrives as a text message whose bizmsgmenuid is the choice's `id`.
    """

    head_content: str
    choices: tuple[Choice, ...]
    tail_content: str = ""

    @property
    def as_text(self) -> str:
        """The text with links for the choices, which do the same when they are tapped (section 5.6)."""
        links = (
            f'<a href="weixin://bizmsgmenu?msgmenucontent={quote(choice.content)}&msgmenuid={choice.id}">'
            f"{choice.content}</a>"
            for choice in self.choices
        )
        return "\n".join(filter(None, (self.head_content, *links, self.tail_content)))

    @property
    def text_for_search(self) -> str:
        choices = "\n".join(choice.content for choice in self.choices)
        return f"{self.head_content}\n{choices}\n{self.tail_content}".strip()

    def to_customer_message(self) -> dict[str, Any]:
        menu = {
            "head_content": self.head_content,
            "list": [asdict(choice) for choice in self.choices],
            "tail_content": self.tail_content,
        }
        return {"msgtype": "msgmenu", "msgmenu": menu}


@dataclass(frozen=True)
class Images:
    """Pictures, for mass messages."""

    media_ids: tuple[str, ...]
    recommend: str = ""
    need_open_comment: int = 0
    only_fans_can_comment: int = 0

    def to_customer_message(self) -> dict[str, Any]:
        return {"msgtype": "image", "images": asdict(self)}


@dataclass(frozen=True)
class NativeReply(Reply):
    """A message that only the API can send; in the response to a push, `otherwise` stands for it."""

    message: MsgMenu | MiniProgramPage | MpNewsArticle
    otherwise: Reply

    @property
    def passive(self) -> Reply:
        return self.otherwise

    @property
    def text_for_search(self) -> str:
        return self.message.text_for_search or self.otherwise.text_for_search

    def to_customer_message(self) -> dict[str, Any]:
        return self.message.to_customer_message()


@dataclass(frozen=True)
class _Stored:
    """The customer-service message that `to_payload` wrote."""

    payload: Mapping[str, Any]

    def to_customer_message(self) -> dict[str, Any]:
        names = ("msgtype", self.payload["msgtype"], "aimsgcontext")
        return {name: self.payload[name] for name in names if name in self.payload}


def to_payload(reply: Reply) -> dict[str, Any]:
    """Return the reply as a JSON object, for `sendable_of` and `passive_of`.

    A text made by AI has the marks of both roads, as a message may change its road.
    """
    if isinstance(reply, AITextReply):
        return {"MsgType": reply.kind, **reply.fields(), **reply.to_customer_message()}
    if isinstance(reply, NativeReply):
        message = reply.to_customer_message()
        return {"MsgType": message["msgtype"], **message, "otherwise": to_payload(reply.otherwise)}
    return {"MsgType": reply.kind, **reply.fields()}


def sendable_of(payload: Mapping[str, Any]) -> Sendable:
    """Return what the API sends of the reply that `to_payload` turned into `payload`.

    :raises InvalidReply: if it is no message that can be sent.
    """
    return _Stored(payload) if "msgtype" in payload else replies.parse(payload)


def passive_of(payload: Mapping[str, Any]) -> Reply:
    """Return what the response to a push shows of the reply that `to_payload` turned into `payload`.

    :raises InvalidReply: if the platform would not show it.
    """
    return replies.parse(payload.get("otherwise", payload))
