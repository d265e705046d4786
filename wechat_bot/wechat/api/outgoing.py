"""Customer-service and mass messages that are not passive replies (``wechat-platform.md`` sections 7.4
and 7.11)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from .. import replies
from ..replies import Reply


class Sendable(Protocol):
    """A message that can be sent by the API: most kinds of `Reply`, and the classes of this module."""

    def to_customer_message(self) -> dict[str, Any]:
        """Return ``msgtype`` and its object."""


class _Message:
    """Base of dataclasses that have the fields of their msgtype's object."""

    msgtype: ClassVar[str]

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


def to_payload(message: Reply | MsgMenu) -> dict[str, Any]:
    """Return the message as a JSON object, from which `from_payload` makes it again."""
    if isinstance(message, MsgMenu):
        return {"MsgType": "msgmenu", **message.to_customer_message()}
    return {"MsgType": message.kind, **message.fields()}


def from_payload(payload: dict[str, Any]) -> Sendable:
    """Return the message that `to_payload` turned into `payload`.

    :raises InvalidReply: if it is no message that can be sent.
    """
    if payload.get("MsgType") != "msgmenu":
        return replies.parse(payload)
    menu = payload["msgmenu"]
    choices = tuple(Choice(choice["id"], choice["content"]) for choice in menu["list"])
    return MsgMenu(menu["head_content"], choices, menu["tail_content"])
