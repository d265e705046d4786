"""Parses the XML elements of a push into a message (``wechat-platform.md`` sections 3 and 4)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from . import messages
from .errors import MalformedMessage
from .messages import Event, Message
from .xml import Fields, strip_illegal_characters

_IDENTIFIER = re.compile(r"[!-~]{1,64}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?")
_DIGITS = re.compile(r"[0-9]{1,20}")

MAX_NAME = 64
"""Maximum length of the name of a kind; what is longer is cut."""
MAX_TIME = 0xFFFFFFFF
"""The latest time in seconds, which is in 2106."""


def parse(fields: Fields, clock: Callable[[], float] = time.time) -> Message:
    """Return the message that `fields`, the children of ``<xml>``, describe, as far as it can be understood.

    What cannot is named in `Message.invalid_fields`. `clock`, Unix time in seconds, tells when a message
    without a valid CreateTime was sent.

    :raises MalformedMessage: if there is neither FromUserName nor Event, so that it is no message.
    """
    f = _Reader(fields, [])
    kind, openid = f.name("MsgType"), f.identifier("FromUserName")
    if not (openid or f.has("FromUserName") or f.has("Event")):
        raise MalformedMessage("neither FromUserName nor Event")
    head: dict[str, Any] = {
        "account": f.required("ToUserName") or "",
        "openid": openid or "",
        "created_at": f.time("CreateTime", clock),
        "kind": kind,
        "fields": fields,
    }
    if kind == "event":
        message: Message = _event(f, head | {"name": f.name("Event"), "key": f.text("EventKey")})
    else:
        message = _message(kind, f, head | {"msg_id": f.msg_id()})
        if not message.msg_id and type(message) is not Message:
            f.invalid.append("MsgId")
    return replace(message, invalid_fields=tuple(dict.fromkeys(f.invalid))) if f.invalid else message


def _message(kind: str, f: _Reader, head: dict[str, Any]) -> Message:
    match kind:
        case "text":
            return messages.TextMessage(**head, content=f.present("Content"), menu_id=f.text("bizmsgmenuid"))
        case "image":
            return messages.ImageMessage(**head, media_id=f.required("MediaId"), pic_url=f.text("PicUrl"))
        case "voice":
            texts = _values(f.text, format="Format", media_id_16k="MediaId16K", recognition="Recognition")
            return messages.VoiceMessage(**head, **texts, media_id=f.required("MediaId"))
        case "video" | "shortvideo":
            cls = messages.VideoMessage if kind == "video" else messages.ShortVideoMessage
            return cls(**head, media_id=f.required("MediaId"), thumb_media_id=f.text("ThumbMediaId"))
        case "location":
            position = _values(f.number, latitude="Location_X", longitude="Location_Y")
            return messages.LocationMessage(
                **head, **position, **_values(f.text, scale="Scale", label="Label")
            )
        case "link":
            texts = _values(f.text, title="Title", description="Description")
            return messages.LinkMessage(**head, **texts, url=f.required("Url"))
        case "file":
            texts = _values(f.text, title="Title", description="Description", file_key="FileKey")
            return messages.FileMessage(**head, **texts)
        case "miniprogrampage":
            return messages.MiniProgramPageMessage(
                **head,
                **_values(f.text, title="Title", app_id="AppId", page_path="PagePath"),
                **_values(f.text, thumb_url="ThumbUrl", thumb_media_id="ThumbMediaId"),
            )
        case _:
            return Message(**head)


def _event(f: _Reader, head: dict[str, Any]) -> Event:
    match head["name"]:
        case "subscribe":
            scene = head["key"].removeprefix("qrscene_") if head["key"].startswith("qrscene_") else ""
            return messages.SubscribeEvent(**head, scene=scene, ticket=f.text("Ticket"))
        case "unsubscribe":
            return messages.UnsubscribeEvent(**head)
        case "scan":
            return messages.ScanEvent(**head, ticket=f.text("Ticket"))
        case "location":
            numbers = _values(f.number, latitude="Latitude", longitude="Longitude", precision="Precision")
            return messages.LocationEvent(**head, **numbers)
        case "click":
            return messages.ClickEvent(**head)
        case "view" | "view_miniprogram":
            return messages.ViewEvent(**head, menu_id=f.text("MenuId"))
        case "scancode_push" | "scancode_waitmsg":
            info = f.inner("ScanCodeInfo")
            texts = _values(info.text, scan_type="ScanType", scan_result="ScanResult")
            return messages.ScanCodeEvent(**head, **texts)
        case "pic_sysphoto" | "pic_photo_or_album" | "pic_weixin":
            items = f.inner("SendPicsInfo").inner("PicList").each("item")
            return messages.PhotoEvent(**head, picture_md5s=tuple(item.text("PicMd5Sum") for item in items))
        case "location_select":
            info = f.inner("SendLocationInfo")
            return messages.LocationSelectEvent(
                **head,
                **_values(info.text, latitude="Location_X", longitude="Location_Y", scale="Scale"),
                **_values(info.text, label="Label", poi_name="Poiname"),
            )
        case "user_enter_tempsession":
            return messages.TempSessionEvent(**head, session_from=f.text("SessionFrom"))
        case _:
            return _other_event(f, head)


def _other_event(f: _Reader, head: dict[str, Any]) -> Event:
    """Return an event that is not an action of a follower in the chat, or of an unknown name."""
    match head["name"]:
        case "templatesendjobfinish":
            return messages.TemplateSentEvent(**head, **_values(f.text, job_id="MsgID", status="Status"))
        case "masssendjobfinish":
            return messages.MassSentEvent(
                **head,
                **_values(f.text, job_id="MsgID", status="Status"),
                **_values(f.integer, total_count="TotalCount", filter_count="FilterCount"),
                **_values(f.integer, sent_count="SentCount", error_count="ErrorCount"),
            )
        case "publishjobfinish" | "freepublishjobfinish":
            info = f.inner("PublishEventInfo")
            return messages.PublishedEvent(
                **head,
                publish_id=info.text("publish_id").strip(),
                publish_status=info.text("publish_status").strip(),
                article_id=info.text("article_id").strip(),
            )
        case "subscribe_msg_popup_event" | "subscribe_msg_change_event" | "subscribe_msg_sent_event":
            return messages.NoticeEvent(**head, notices=tuple(_notices(f)))
        case "kf_create_session" | "kf_close_session" | "kf_switch_session":
            texts = _values(
                f.text, kf_account="KfAccount", from_kf_account="FromKfAccount", to_kf_account="ToKfAccount"
            )
            return messages.CustomerServiceEvent(**head, **texts)
        case (
            "qualification_verify_success"
            | "qualification_verify_fail"
            | "naming_verify_success"
            | "naming_verify_fail"
            | "annual_renew"
            | "verify_expired"
        ):
            times = _values(f.integer, expired_time="ExpiredTime", fail_time="FailTime")
            return messages.VerificationEvent(**head, **times, fail_reason=f.text("FailReason"))
        case "user_info_modified" | "user_authorization_revoke" | "user_authorization_cancellation":
            subject = f.text("OpenID") or f.text("openid")
            return messages.PersonalDataEvent(**head, subject=subject, revoke_info=f.text("RevokeInfo"))
        case name if "card_" in name or name.endswith("_card") or name == "user_pay_from_pay_cell":
            return messages.CardEvent(
                **head, **_values(f.text, card_id="CardId", user_card_code="UserCardCode")
            )
        case _:
            return Event(**head)


def _notices(f: _Reader) -> Iterator[messages.Notice]:
    for container in ("SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent"):
        for entry in f.inner(container).each("List"):
            yield messages.Notice(
                template_id=entry.text("TemplateId"),
                status=entry.text("SubscribeStatusString") or entry.text("ErrorStatus"),
                msg_id=entry.text("MsgID"),
            )


def _values(read: Callable[[str], Any], **names: str) -> dict[str, Any]:
    """Return the values that `read` returns for several elements, under the given keywords."""
    return {field: read(name) for field, name in names.items()}


class _Reader:
    """Reads elements, and collects in `invalid` the names of those that are not what they should be."""

    def __init__(self, fields: Fields, invalid: list[str]) -> None:
        self._fields = fields
        self.invalid = invalid

    def has(self, name: str) -> bool:
        """Whether there is such an element with anything in it."""
        value = self._fields.get(name)
        return bool(value.strip() if isinstance(value, str) else value)

    def text(self, name: str) -> str:
        value = self._fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):  # repeated or nested
            self.invalid.append(name)
            return ""
        return value

    def present(self, name: str) -> str:
        """Return the text, which may be empty, of an element that must be present."""
        if name not in self._fields:
            self.invalid.append(name)
        return self.text(name)

    def required(self, name: str) -> str | None:
        """Return the text without surrounding blanks, or None if there is none."""
        value = self.text(name).strip()
        if not value:
            self.invalid.append(name)
        return value or None

    def identifier(self, name: str) -> str | None:
        return self._matching(_IDENTIFIER, name)

    def name(self, element: str) -> str:
        """Return the name of a kind in lower case; ``unknown`` if there is none."""
        if value := self._matching(_IDENTIFIER, element):
            return value.lower()
        return strip_illegal_characters(self.text(element).strip()).lower()[:MAX_NAME] or "unknown"

    def number(self, name: str) -> Decimal | None:
        value = self._matching(_NUMBER, name)
        return None if value is None else Decimal(value)

    def integer(self, name: str) -> int | None:
        """Return a number that may be missing."""
        value = self._matching(_DIGITS, name) if self.has(name) else None
        return None if value is None else int(value)

    def msg_id(self) -> str:
        """Return the MsgId, or an empty text. The platform's debug tool writes 0 for none."""
        value = self._matching(_DIGITS, "MsgId") if "MsgId" in self._fields else None
        return value if value and value.strip("0") else ""

    def time(self, name: str, clock: Callable[[], float]) -> datetime:
        value = self._matching(_DIGITS, name)
        if value is not None and (seconds := int(value)) <= MAX_TIME:
            return datetime.fromtimestamp(seconds, UTC)
        self.invalid.append(name)  # the platform's debug tool writes milliseconds
        return datetime.fromtimestamp(clock(), UTC)

    def inner(self, name: str) -> _Reader:
        return next(self.each(name), _Reader({}, self.invalid))

    def each(self, name: str) -> Iterator[_Reader]:
        """Iterate over the nested elements called `name`; there may be none."""
        value = self._fields.get(name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield _Reader(item, self.invalid)

    def _matching(self, pattern: re.Pattern[str], name: str) -> str | None:
        """Return the text without surrounding blanks if it matches `pattern`."""
        value = self._fields.get(name)
        if isinstance(value, str) and pattern.fullmatch(value := value.strip()):
            return value
        self.invalid.append(name)
        return None
