"""Passive replies as immutable values (``wechat-platform.md`` section 5).

`to_xml` renders a reply as the response to a push, `Reply.to_customer_message` as a customer-service message.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

from .errors import InvalidReply
from .messages import Event, Message
from .texts import normalize_line_ends, parts
from .xml import Fields, build, strip_illegal_characters

MAX_TEXT_BYTES = 2048
MAX_ARTICLES = 8


class _LegalText:
    r"""Base of dataclasses whose texts have only characters that XML allows, and ``\n`` as line ends."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, str):
                object.__setattr__(self, name, normalize_line_ends(strip_illegal_characters(value)))


@dataclass(frozen=True)
class Reply(_LegalText):
    """Base class of replies.

    :raises InvalidReply: on creation, if the platform would refuse the reply.
    """

    kind: ClassVar[str]

    def fields(self) -> Fields:
        """Return the XML elements besides MsgType, the addresses and the time."""
        raise NotImplementedError

    @property
    def passive(self) -> Reply:
        """The reply that stands for it in the response to a push."""
        return self

    @property
    def text_for_search(self) -> str:
        """The text that operators read and search; empty for kinds without text."""
        return ""

    def to_customer_message(self) -> dict[str, Any]:
        """Return ``msgtype`` and its object for ``message/custom/send`` (section 7.4).

        :raises InvalidReply: if this kind of reply cannot be sent as a customer-service message.
        """
        raise InvalidReply(f"a {self.kind} reply cannot be sent as a customer-service message")


@dataclass(frozen=True)
class TextReply(Reply):
    """A text, which may be longer than one message: see `split_for_passive_reply`."""

    kind = "text"
    content: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.content.strip(), "the text is empty")

    @property
    def text_for_search(self) -> str:
        return self.content

    def fields(self) -> Fields:
        return {"Content": self.content}

    def to_customer_message(self) -> dict[str, Any]:
        return {"msgtype": "text", "text": {"content": self.content}}

    @property
    def max_bytes(self) -> int:
        """How many bytes of `content` one message holds."""
        return MAX_TEXT_BYTES

    def split(self, room: int = 0) -> tuple[Self, ...]:
        """Return the text in parts that each fit into one message and leave `room` bytes in it."""
        return tuple(replace(self, content=part) for part in parts(self.content, self.max_bytes - room))


@dataclass(frozen=True)
class AITextReply(TextReply):
    """A text that was made by AI and is marked so on every road.

    A passive reply ends with the line `label`; a customer-service message has the platform's own mark
    (sections 7.4 and 10.10).
    """

    label: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.label.strip(), "the mark of a text made by AI is empty")

    @property
    def max_bytes(self) -> int:
        return MAX_TEXT_BYTES - len(f"\n{self.label}".encode())

    def fields(self) -> Fields:
        return {"Content": f"{self.content}\n{self.label}"}

    def to_customer_message(self) -> dict[str, Any]:
        return {**super().to_customer_message(), "aimsgcontext": {"is_ai_msg": 1}}


@dataclass(frozen=True)
class _MediaReply(Reply):
    media_id: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.media_id, "the media id is empty")

    def fields(self) -> Fields:
        return {self.kind.capitalize(): {"MediaId": self.media_id}}

    def to_customer_message(self) -> dict[str, Any]:
        return {"msgtype": self.kind, self.kind: {"media_id": self.media_id}}


@dataclass(frozen=True)
class ImageReply(_MediaReply):
    kind = "image"


@dataclass(frozen=True)
class VoiceReply(_MediaReply):
    kind = "voice"


@dataclass(frozen=True)
class VideoReply(_MediaReply):
    kind = "video"
    title: str = ""
    description: str = ""

    @property
    def text_for_search(self) -> str:
        return f"{self.title} {self.description}".strip()

    def fields(self) -> Fields:
        return {"Video": {"MediaId": self.media_id, "Title": self.title, "Description": self.description}}

    def to_customer_message(self) -> dict[str, Any]:
        return {"msgtype": "video", "video": asdict(self)}


@dataclass(frozen=True)
class MusicReply(Reply):
    kind = "music"
    thumb_media_id: str
    title: str = ""
    description: str = ""
    music_url: str = ""
    hq_music_url: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.thumb_media_id, "the thumbnail's media id is empty")

    @property
    def text_for_search(self) -> str:
        return f"{self.title} {self.description}".strip()

    def fields(self) -> Fields:
        return {
            "Music": {
                "Title": self.title,
                "Description": self.description,
                "MusicUrl": self.music_url,
                "HQMusicUrl": self.hq_music_url,
                "ThumbMediaId": self.thumb_media_id,
            }
        }

    def to_customer_message(self) -> dict[str, Any]:
        music = {
            "title": self.title,
            "description": self.description,
            "musicurl": self.music_url,
            "hqmusicurl": self.hq_music_url,
            "thumb_media_id": self.thumb_media_id,
        }
        return {"msgtype": "music", "music": music}


@dataclass(frozen=True)
class Article(_LegalText):
    title: str
    description: str = ""
    pic_url: str = ""
    url: str = ""


@dataclass(frozen=True)
class NewsReply(Reply):
    """One to eight articles; in reply to a message, only the first is shown (section 5.3)."""

    kind = "news"
    articles: tuple[Article, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(1 <= len(self.articles) <= MAX_ARTICLES, f"news has 1 to {MAX_ARTICLES} articles")
        _require(all(article.title for article in self.articles), "an article has no title")

    @property
    def text_for_search(self) -> str:
        return "\n".join(f"{article.title} {article.description}".strip() for article in self.articles)

    def fields(self) -> Fields:
        items = [
            {"Title": a.title, "Description": a.description, "PicUrl": a.pic_url, "Url": a.url}
            for a in self.articles
        ]
        return {"ArticleCount": str(len(items)), "Articles": {"item": items}}

    def to_customer_message(self) -> dict[str, Any]:
        first = self.articles[0]  # more than one article is refused with 45008
        article = asdict(first)
        article["picurl"] = article.pop("pic_url")
        return {"msgtype": "news", "news": {"articles": [article]}}


@dataclass(frozen=True)
class TransferReply(Reply):
    """Hands the message to the platform's customer-service desk, or to the agent `kf_account`."""

    kind = "transfer_customer_service"
    kf_account: str = ""

    def fields(self) -> Fields:
        return {"TransInfo": {"KfAccount": self.kf_account}} if self.kf_account else {}


@dataclass(frozen=True)
class PlatformAIReply(Reply):
    """Hands a user's message to the platform's own AI (section 5.2, transfer_biz_ai_ivr)."""

    kind = "transfer_biz_ai_ivr"

    def fields(self) -> Fields:
        return {}


def _require(condition: object, problem: str) -> None:
    if not condition:
        raise InvalidReply(problem)


def to_xml(message: Message, reply: Reply, now: float | None = None) -> str:
    """Return the XML of `reply` to `message`. `now` is Unix time in seconds."""
    head = {
        "ToUserName": message.openid,
        "FromUserName": message.account,
        "CreateTime": str(int(time.time() if now is None else now)),
        "MsgType": reply.kind,
    }
    return build({**head, **reply.fields()})


def parse(fields: Mapping[str, Any]) -> Reply:
    """Return the reply in the elements that `to_xml` wrote.

    :raises InvalidReply: if the platform would show the follower its failure notice.
    """
    match fields.get("MsgType"):
        case "text":
            return TextReply(_text(fields, "Content"))
        case "image":
            return ImageReply(_text(_inner(fields, "Image"), "MediaId"))
        case "voice":
            return VoiceReply(_text(_inner(fields, "Voice"), "MediaId"))
        case "video":
            video = _inner(fields, "Video")
            return VideoReply(_text(video, "MediaId"), _text(video, "Title"), _text(video, "Description"))
        case "music":
            music = _inner(fields, "Music")
            names = ("ThumbMediaId", "Title", "Description", "MusicUrl", "HQMusicUrl")
            return MusicReply(*(_text(music, name) for name in names))
        case "news":
            return _parse_news(fields)
        case "transfer_customer_service":
            return TransferReply(_text(_inner(fields, "TransInfo"), "KfAccount"))
        case "transfer_biz_ai_ivr":
            return PlatformAIReply()
        case kind:
            raise InvalidReply(f"there is no reply of the kind {kind!r}")


def _parse_news(fields: Mapping[str, Any]) -> NewsReply:
    items = _inner(fields, "Articles").get("item")
    articles = tuple(
        Article(*(_text(item, name) for name in ("Title", "Description", "PicUrl", "Url")))
        for item in (items if isinstance(items, list) else [items])
        if isinstance(item, dict)
    )
    _require(_text(fields, "ArticleCount") == str(len(articles)), "ArticleCount is not the number of items")
    return NewsReply(articles)


def _inner(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def split_for_passive_reply(reply: Reply, message: Message) -> tuple[Reply, ...]:
    """Return the part of `reply` that a passive reply can carry, and the messages to be sent later."""
    if isinstance(reply, NewsReply) and not isinstance(message, Event):
        return (NewsReply(reply.articles[:1]),)
    if isinstance(passive := reply.passive, TextReply):
        texts = passive.split()
        return texts if reply is passive or len(texts) > 1 else (reply,)
    return (reply,)
