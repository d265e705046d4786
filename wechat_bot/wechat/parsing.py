"""Parses the XML elements of a push into a message (``wechat-platform.md`` sections 3 and 4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from . import messages
from .errors import MalformedMessage
from .messages import Event, Message
from .xml import Fields

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
