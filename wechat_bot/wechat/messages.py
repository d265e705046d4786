"""Incoming messages and events as immutable values (``wechat-platform.md`` sections 3 and 4).

Every message keeps all received elements in `Message.fields`, including unknown ones. A message of an unknown
kind is a plain `Message`, an event of an unknown name a plain `Event`. Values are text as sent, unless typed
otherwise; an empty element is equivalent to a missing one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

from .errors import MalformedMessage
from .xml import Fields


@dataclass(frozen=True, kw_only=True)
class Message:
    """A pushed message or event. An instance of `Message` itself has an unknown MsgType."""

    from_follower: ClassVar[bool] = True
    """Whether the follower `openid` caused the push; False for reports of jobs and of the platform."""
    answerable: ClassVar[bool] = True
    """Whether a passive reply is shown (section 4.1, column "Reply")."""

    account: str
    """ToUserName: the account's original id, ``gh_…``."""
    openid: str
    """FromUserName."""
    created_at: datetime
    """CreateTime, in UTC: when the follower sent the message. Retries have the same value."""
    kind: str
    """MsgType in lower case."""
    msg_id: str = ""
    """MsgId; events have none."""
    fields: Mapping[str, Any] = field(repr=False, hash=False)

    @cached_property
    def dedup_key(self) -> str:
        """32 hex digits: equal for all pushes of one message, different for different messages (section 1.6).

        A MsgId identifies a message within account and sender. An event has none and may share its second
        with another event of the same name, so all of its elements identify it.
        """
        identity = [self.account, self.openid, self.msg_id] if self.msg_id else self.fields
        text = json.dumps(identity, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class TextMessage(Message):
    content: str
    menu_id: str = ""
    """bizmsgmenuid: the id of the item that was tapped in a menu message."""


@dataclass(frozen=True, kw_only=True)
class ImageMessage(Message):
    media_id: str
    pic_url: str = ""


@dataclass(frozen=True, kw_only=True)
class VoiceMessage(Message):
    media_id: str
    format: str = ""
    media_id_16k: str = ""
    recognition: str = ""


@dataclass(frozen=True, kw_only=True)
class VideoMessage(Message):
    media_id: str
    thumb_media_id: str = ""


@dataclass(frozen=True, kw_only=True)
class ShortVideoMessage(VideoMessage):
    pass


@dataclass(frozen=True, kw_only=True)
class LocationMessage(Message):
    latitude: Decimal
    longitude: Decimal
    scale: str = ""
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class LinkMessage(Message):
    title: str = ""
    description: str = ""
    url: str


@dataclass(frozen=True, kw_only=True)
class FileMessage(Message):
    """A file. The fields are unconfirmed, and the file cannot be downloaded (section 3.9)."""

    title: str = ""
    description: str = ""
    file_key: str = ""


@dataclass(frozen=True, kw_only=True)
class MiniProgramPageMessage(Message):
    title: str = ""
    app_id: str = ""
    page_path: str = ""
    thumb_url: str = ""
    thumb_media_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Event(Message):
    """An event. An instance of `Event` itself has an unknown name."""

    from_follower = False
    answerable = False

    name: str
    """Event in lower case, since its case varies between sources."""
    key: str = ""
    """EventKey."""


@dataclass(frozen=True, kw_only=True)
class FollowerEvent(Event):
    """An action of a follower; a reply is shown unless `answerable` is False."""

    from_follower = True
    answerable = True


@dataclass(frozen=True, kw_only=True)
class SubscribeEvent(FollowerEvent):
    scene: str = ""
    """The scene of the scanned QR code, without ``qrscene_``; empty if no such code was scanned."""
    ticket: str = ""


@dataclass(frozen=True, kw_only=True)
class UnsubscribeEvent(FollowerEvent):
    answerable = False


@dataclass(frozen=True, kw_only=True)
class ScanEvent(FollowerEvent):
    """A follower scanned a QR code with parameters; `key` is its scene."""

    ticket: str = ""


@dataclass(frozen=True, kw_only=True)
class LocationEvent(FollowerEvent):
    """The automatic report of a position; the platform accepts no reply but ``success``."""

    answerable = False

    latitude: Decimal
    longitude: Decimal
    precision: Decimal


@dataclass(frozen=True, kw_only=True)
class ClickEvent(FollowerEvent):
    """A tap on a menu button; `key` is that of the button."""


@dataclass(frozen=True, kw_only=True)
class ViewEvent(FollowerEvent):
    """A tap on a menu link or mini program; `key` is the URL or the page path."""

    answerable = False

    menu_id: str = ""


@dataclass(frozen=True, kw_only=True)
class ScanCodeEvent(FollowerEvent):
    """scancode_push, scancode_waitmsg: a code was scanned by a menu button."""

    scan_type: str = ""
    scan_result: str = ""


@dataclass(frozen=True, kw_only=True)
class PhotoEvent(FollowerEvent):
    """pic_sysphoto, pic_photo_or_album, pic_weixin: the pictures follow as image messages."""

    picture_md5s: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LocationSelectEvent(FollowerEvent):
    """A position was chosen by a menu button; a location message follows."""

    latitude: str = ""
    longitude: str = ""
    scale: str = ""
    label: str = ""
    poi_name: str = ""


@dataclass(frozen=True, kw_only=True)
class TempSessionEvent(FollowerEvent):
    """user_enter_tempsession: a chat was opened from a mini program."""

    session_from: str = ""


@dataclass(frozen=True, kw_only=True)
class TemplateSentEvent(Event):
    job_id: str = ""
    status: str = ""
    """``success``, ``failed:user block`` or ``failed: system failed``."""


@dataclass(frozen=True, kw_only=True)
class MassSentEvent(Event):
    job_id: str = ""
    status: str = ""
    total_count: int = 0
    filter_count: int = 0
    sent_count: int = 0
    error_count: int = 0


@dataclass(frozen=True, kw_only=True)
class PublishedEvent(Event):
    publish_id: str = ""
    publish_status: str = ""
    article_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One subscription notice in a `NoticeEvent`."""

    template_id: str
    status: str
    """``accept`` or ``reject``; for a sent notice its ErrorStatus."""
    msg_id: str = ""


@dataclass(frozen=True, kw_only=True)
class NoticeEvent(Event):
    """subscribe_msg_popup_event, …change_event, …sent_event (section 4.9)."""

    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CustomerServiceEvent(Event):
    """kf_create_session, kf_close_session, kf_switch_session."""

    kf_account: str = ""
    from_kf_account: str = ""
    to_kf_account: str = ""


@dataclass(frozen=True, kw_only=True)
class VerificationEvent(Event):
    """The account's verification passed, failed, is due or expired (section 4.11)."""

    expired_time: int = 0
    fail_time: int = 0
    fail_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class PersonalDataEvent(Event):
    """A user changed or withdrew personal data (section 4.12); `subject` is the user's openid."""

    subject: str = ""
    revoke_info: str = ""


@dataclass(frozen=True, kw_only=True)
class CardEvent(Event):
    """Card and coupon events (section 4.16)."""

    card_id: str = ""
    user_card_code: str = ""


_IDENTIFIER = re.compile(r"[!-~]{1,64}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?")
_DIGITS = re.compile(r"[0-9]{1,20}")


def parse(fields: Fields) -> Message:
    """Return the message that `fields`, the children of ``<xml>``, describe.

    :raises MalformedMessage: if an element that the message requires is missing, repeated or invalid.
    """
    f = _Reader(fields)
    kind = f.identifier("MsgType").lower()
    head: dict[str, Any] = {
        "account": f.identifier("ToUserName"),
        "openid": f.identifier("FromUserName"),
        "created_at": _time(f.required("CreateTime")),
        "kind": kind,
        "fields": fields,
    }
    if kind == "event":
        name = f.identifier("Event")
        return _event(f, head | {"name": name.lower(), "key": f.text("EventKey")})
    message = _message(kind, f, head | {"msg_id": f.digits("MsgId")})
    if not message.msg_id and type(message) is not Message:
        raise MalformedMessage("MsgId is missing")
    return message


def _message(kind: str, f: _Reader, head: dict[str, Any]) -> Message:
    match kind:
        case "text":
            return TextMessage(**head, content=f.present("Content"), menu_id=f.text("bizmsgmenuid"))
        case "image":
            return ImageMessage(**head, media_id=f.required("MediaId"), pic_url=f.text("PicUrl"))
        case "voice":
            return VoiceMessage(
                **head,
                media_id=f.required("MediaId"),
                format=f.text("Format"),
                media_id_16k=f.text("MediaId16K"),
                recognition=f.text("Recognition"),
            )
        case "video" | "shortvideo":
            cls = VideoMessage if kind == "video" else ShortVideoMessage
            return cls(**head, media_id=f.required("MediaId"), thumb_media_id=f.text("ThumbMediaId"))
        case "location":
            return LocationMessage(
                **head,
                latitude=f.number("Location_X"),
                longitude=f.number("Location_Y"),
                scale=f.text("Scale"),
                label=f.text("Label"),
            )
        case "link":
            return LinkMessage(
                **head, title=f.text("Title"), description=f.text("Description"), url=f.required("Url")
            )
        case "file":
            return FileMessage(
                **head,
                title=f.text("Title"),
                description=f.text("Description"),
                file_key=f.text("FileKey"),
            )
        case "miniprogrampage":
            return MiniProgramPageMessage(
                **head,
                title=f.text("Title"),
                app_id=f.text("AppId"),
                page_path=f.text("PagePath"),
                thumb_url=f.text("ThumbUrl"),
                thumb_media_id=f.text("ThumbMediaId"),
            )
        case _:
            return Message(**head)


def _event(f: _Reader, head: dict[str, Any]) -> Event:
    match head["name"]:
        case "subscribe":
            scene = head["key"].removeprefix("qrscene_") if head["key"].startswith("qrscene_") else ""
            return SubscribeEvent(**head, scene=scene, ticket=f.text("Ticket"))
        case "unsubscribe":
            return UnsubscribeEvent(**head)
        case "scan":
            return ScanEvent(**head, ticket=f.text("Ticket"))
        case "location":
            return LocationEvent(
                **head,
                latitude=f.number("Latitude"),
                longitude=f.number("Longitude"),
                precision=f.number("Precision"),
            )
        case "click":
            return ClickEvent(**head)
        case "view" | "view_miniprogram":
            return ViewEvent(**head, menu_id=f.text("MenuId"))
        case "scancode_push" | "scancode_waitmsg":
            info = f.inner("ScanCodeInfo")
            return ScanCodeEvent(**head, scan_type=info.text("ScanType"), scan_result=info.text("ScanResult"))
        case "pic_sysphoto" | "pic_photo_or_album" | "pic_weixin":
            items = f.inner("SendPicsInfo").inner("PicList").each("item")
            return PhotoEvent(**head, picture_md5s=tuple(item.text("PicMd5Sum") for item in items))
        case "location_select":
            info = f.inner("SendLocationInfo")
            return LocationSelectEvent(
                **head,
                latitude=info.text("Location_X"),
                longitude=info.text("Location_Y"),
                scale=info.text("Scale"),
                label=info.text("Label"),
                poi_name=info.text("Poiname"),
            )
        case "user_enter_tempsession":
            return TempSessionEvent(**head, session_from=f.text("SessionFrom"))
        case _:
            return _other_event(f, head)


def _other_event(f: _Reader, head: dict[str, Any]) -> Event:
    """Return an event that is not an action of a follower in the chat, or of an unknown name."""
    match head["name"]:
        case "templatesendjobfinish":
            return TemplateSentEvent(**head, job_id=f.text("MsgID"), status=f.text("Status"))
        case "masssendjobfinish":
            return MassSentEvent(
                **head,
                job_id=f.text("MsgID"),
                status=f.text("Status"),
                total_count=f.integer("TotalCount"),
                filter_count=f.integer("FilterCount"),
                sent_count=f.integer("SentCount"),
                error_count=f.integer("ErrorCount"),
            )
        case "publishjobfinish" | "freepublishjobfinish":
            info = f.inner("PublishEventInfo")
            return PublishedEvent(
                **head,
                publish_id=info.text("publish_id").strip(),
                publish_status=info.text("publish_status").strip(),
                article_id=info.text("article_id").strip(),
            )
        case "subscribe_msg_popup_event" | "subscribe_msg_change_event" | "subscribe_msg_sent_event":
            return NoticeEvent(**head, notices=tuple(_notices(f)))
        case "kf_create_session" | "kf_close_session" | "kf_switch_session":
            return CustomerServiceEvent(
                **head,
                kf_account=f.text("KfAccount"),
                from_kf_account=f.text("FromKfAccount"),
                to_kf_account=f.text("ToKfAccount"),
            )
        case (
            "qualification_verify_success"
            | "qualification_verify_fail"
            | "naming_verify_success"
            | "naming_verify_fail"
            | "annual_renew"
            | "verify_expired"
        ):
            return VerificationEvent(
                **head,
                expired_time=f.integer("ExpiredTime"),
                fail_time=f.integer("FailTime"),
                fail_reason=f.text("FailReason"),
            )
        case "user_info_modified" | "user_authorization_revoke" | "user_authorization_cancellation":
            subject = f.text("OpenID") or f.text("openid")
            return PersonalDataEvent(**head, subject=subject, revoke_info=f.text("RevokeInfo"))
        case name if "card_" in name or name.endswith("_card") or name == "user_pay_from_pay_cell":
            return CardEvent(**head, card_id=f.text("CardId"), user_card_code=f.text("UserCardCode"))
        case _:
            return Event(**head)


def _notices(f: _Reader) -> Iterator[Notice]:
    for container in ("SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent"):
        for entry in f.inner(container).each("List"):
            yield Notice(
                template_id=entry.text("TemplateId"),
                status=entry.text("SubscribeStatusString") or entry.text("ErrorStatus"),
                msg_id=entry.text("MsgID"),
            )


class _Reader:
    """Reads text elements.

    :raises MalformedMessage: from its methods, if an element is repeated, nested or invalid.
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        value = self._fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise MalformedMessage(f"{name} is repeated or not text")
        return value

    def present(self, name: str) -> str:
        """Return the text, which may be empty, of an element that must be present."""
        if name not in self._fields:
            raise MalformedMessage(f"{name} is missing")
        return self.text(name)

    def required(self, name: str) -> str:
        """Return the text without surrounding blanks; it must not be empty."""
        value = self.text(name).strip()
        if not value:
            raise MalformedMessage(f"{name} is missing")
        return value

    def identifier(self, name: str) -> str:
        value = self.required(name)
        if not _IDENTIFIER.fullmatch(value):
            raise MalformedMessage(f"{name} is no identifier")
        return value

    def number(self, name: str) -> Decimal:
        value = self.required(name)
        if not _NUMBER.fullmatch(value):
            raise MalformedMessage(f"{name} is no number")
        return Decimal(value)

    def digits(self, name: str) -> str:
        """Return the text, which must be digits or empty."""
        value = self.text(name).strip()
        return _digits(name, value) if value else ""

    def integer(self, name: str) -> int:
        return int(self.digits(name) or 0)

    def inner(self, name: str) -> _Reader:
        return next(self.each(name), _Reader({}))

    def each(self, name: str) -> Iterator[_Reader]:
        """Iterate over the nested elements called `name`; there may be none."""
        value = self._fields.get(name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield _Reader(item)


def _digits(name: str, value: str) -> str:
    if not _DIGITS.fullmatch(value):
        raise MalformedMessage(f"{name} is no number")
    return value


def _time(value: str) -> datetime:
    seconds = int(_digits("CreateTime", value))
    if seconds > 0xFFFFFFFF:  # beyond 2106, so probably in milliseconds
        raise MalformedMessage("CreateTime is not in seconds")
    return datetime.fromtimestamp(seconds, UTC)
