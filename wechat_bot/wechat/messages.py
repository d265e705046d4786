"""Incoming messages and events as immutable values (``wechat-platform.md`` sections 3 and 4).

Every message keeps all received elements in `Message.fields`, including unknown ones. A message of an unknown
kind is a plain `Message`, an event of an unknown name a plain `Event`. Values are text as sent, unless typed
otherwise; an empty element is equivalent to a missing one. A value that every push of the kind should have is
None where it is missing or invalid.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

KEY_LENGTH = 32
"""Characters of a dedup key."""
_IDENTITY = ("ToUserName", "FromUserName", "MsgId", "CreateTime")


@dataclass(frozen=True, kw_only=True)
class Message:
    """A pushed message or event. An instance of `Message` itself has an unknown MsgType."""

    from_follower: ClassVar[bool] = True
    """Whether the follower `openid` caused the push; False for reports of jobs and of the platform."""
    shows_reply: ClassVar[bool] = True
    """Whether the platform shows a passive reply to this kind (section 4.1, column "Reply")."""

    account: str
    """ToUserName: the account's original id, ``gh_…``."""
    openid: str
    """FromUserName; empty if it is no identifier."""
    created_at: datetime
    """CreateTime, in UTC: when the follower sent the message. Retries have the same value.

    The time at which the push was read if CreateTime is missing or invalid.
    """
    kind: str
    """MsgType in lower case, at most 64 characters."""
    msg_id: str = ""
    """MsgId; events have none."""
    invalid_fields: tuple[str, ...] = ()
    """Names of the elements that were missing or could not be understood; they are empty or None here."""
    fields: Mapping[str, Any] = field(repr=False, hash=False)

    @property
    def answerable(self) -> bool:
        """Whether a passive reply is shown to someone."""
        return self.shows_reply and self.openid != ""

    @cached_property
    def dedup_key(self) -> str:
        """Hex digits: equal for all pushes of one message, different for different messages (section 1.6).

        Account, sender, MsgId and CreateTime identify a message. What has no MsgId, as events, may share its
        second with another push of the same kind, so all of its elements identify it.
        """
        identity = [self.fields.get(name) for name in _IDENTITY] if self.msg_id else self.fields
        text = json.dumps(identity, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]

    @property
    def text_for_search(self) -> str:
        """The text that operators read and search; empty for kinds without text."""
        return ""


@dataclass(frozen=True, kw_only=True)
class TextMessage(Message):
    content: str
    menu_id: str = ""
    """bizmsgmenuid: the id of the item that was tapped in a menu message."""

    @property
    def text_for_search(self) -> str:
        return self.content


@dataclass(frozen=True, kw_only=True)
class ImageMessage(Message):
    media_id: str | None
    pic_url: str = ""


@dataclass(frozen=True, kw_only=True)
class VoiceMessage(Message):
    media_id: str | None
    format: str = ""
    media_id_16k: str = ""
    recognition: str = ""

    @property
    def text_for_search(self) -> str:
        return self.recognition


@dataclass(frozen=True, kw_only=True)
class VideoMessage(Message):
    media_id: str | None
    thumb_media_id: str = ""


@dataclass(frozen=True, kw_only=True)
class ShortVideoMessage(VideoMessage):
    pass


@dataclass(frozen=True, kw_only=True)
class LocationMessage(Message):
    latitude: Decimal | None
    longitude: Decimal | None
    scale: str = ""
    label: str = ""

    @property
    def text_for_search(self) -> str:
        return self.label


@dataclass(frozen=True, kw_only=True)
class LinkMessage(Message):
    title: str = ""
    description: str = ""
    url: str | None

    @property
    def text_for_search(self) -> str:
        return f"{self.title}\n{self.description}"


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
    shows_reply = False

    name: str
    """Event in lower case, since its case varies between sources; at most 64 characters."""
    key: str = ""
    """EventKey."""

    @property
    def text_for_search(self) -> str:
        return self.key


@dataclass(frozen=True, kw_only=True)
class FollowerEvent(Event):
    """An action of a follower; a reply is shown unless `shows_reply` is False."""

    from_follower = True
    shows_reply = True


@dataclass(frozen=True, kw_only=True)
class SubscribeEvent(FollowerEvent):
    scene: str = ""
    """The scene of the scanned QR code, without ``qrscene_``; empty if no such code was scanned."""
    ticket: str = ""


@dataclass(frozen=True, kw_only=True)
class UnsubscribeEvent(FollowerEvent):
    shows_reply = False


@dataclass(frozen=True, kw_only=True)
class ScanEvent(FollowerEvent):
    """A follower scanned a QR code with parameters; `key` is its scene."""

    ticket: str = ""


@dataclass(frozen=True, kw_only=True)
class LocationEvent(FollowerEvent):
    """The automatic report of a position; the platform accepts no reply but ``success``."""

    shows_reply = False

    latitude: Decimal | None
    longitude: Decimal | None
    precision: Decimal | None


@dataclass(frozen=True, kw_only=True)
class ClickEvent(FollowerEvent):
    """A tap on a menu button; `key` is that of the button."""


@dataclass(frozen=True, kw_only=True)
class ViewEvent(FollowerEvent):
    """A tap on a menu link or mini program; `key` is the URL or the page path."""

    shows_reply = False

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
    total_count: int | None = None
    filter_count: int | None = None
    sent_count: int | None = None
    error_count: int | None = None


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

    expired_time: int | None = None
    fail_time: int | None = None
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
