"""API calls for mass messages (``wechat-platform.md`` section 7.11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ._http import Http
from .media import Uploaded
from .outgoing import Sendable
from .values import convert, convert_field, given

ALREADY_THERE = 45065
"""Errcode for a `clientmsgid` that was used already; the response contains the existing job."""


@dataclass(frozen=True)
class MassJob:
    """An accepted job. The event MASSSENDJOBFINISH reports its result.

    `msg_data_id` is set for articles only.
    """

    msg_id: int
    msg_data_id: int = 0


@dataclass(frozen=True)
class Speed:
    """The sending speed: `speed` is 0 (fastest) to 4, `realspeed` is in 10 000 messages per minute."""

    speed: int
    realspeed: int = 0


class Mass:
    """Sends mass messages, which are `MpNews`, `MpVideo`, `Images`, `TextReply` or `VoiceReply`.

    If a job is submitted again within 24 hours with the same `clientmsgid` (up to 32 bytes), no second job is
    created.
    """

    def __init__(self, http: Http) -> None:
        self._http = http

    def send_to_all(
        self, message: Sendable, *, clientmsgid: str = "", ignore_reprint: bool = False
    ) -> MassJob:
        """Send to all followers (section 7.11, message/mass/sendall)."""
        return self._send("sendall", {"filter": {"is_to_all": True}}, message, clientmsgid, ignore_reprint)

    def send_to_tag(
        self, tag_id: int, message: Sendable, *, clientmsgid: str = "", ignore_reprint: bool = False
    ) -> MassJob:
        """Send to the followers with a tag (section 7.11, message/mass/sendall)."""
        receivers = {"filter": {"is_to_all": False, "tag_id": tag_id}}
        return self._send("sendall", receivers, message, clientmsgid, ignore_reprint)

    def send(
        self,
        openids: Iterable[str],
        message: Sendable,
        *,
        clientmsgid: str = "",
        ignore_reprint: bool = False,
    ) -> MassJob:
        """Send to 2 to 10 000 followers; service accounts only (section 7.11, message/mass/send)."""
        return self._send("send", {"touser": list(openids)}, message, clientmsgid, ignore_reprint)

    def preview(self, message: Sendable, *, openid: str = "", towxname: str = "") -> None:
        """Send a preview to one follower; possible 100 times a day (section 7.11, message/mass/preview)."""
        body = {**given(touser=openid, towxname=towxname), **message.to_customer_message()}
        self._http.post("/cgi-bin/message/mass/preview", body)

    def delete(self, msg_id: int = 0, article_idx: int = 0, *, url: str = "") -> None:
        """Delete the page of one article, or of all with `article_idx` 0; the card in the chat remains
        (section 7.11, message/mass/delete)."""
        body = {"url": url} if url else {"msg_id": msg_id, "article_idx": article_idx}
        self._http.post("/cgi-bin/message/mass/delete", body)

    def status(self, msg_id: int) -> str:
        """Return SEND_SUCCESS, SENDING, SEND_FAIL or DELETE (section 7.11, message/mass/get)."""
        answer = self._http.post("/cgi-bin/message/mass/get", {"msg_id": str(msg_id)}, idempotent=True)
        return convert_field(str, answer, "msg_status")

    def speed(self) -> Speed:
        """Return the sending speed (section 7.11, message/mass/speed/get)."""
        return convert(Speed, self._http.post("/cgi-bin/message/mass/speed/get", {}, idempotent=True))

    def set_speed(self, speed: int) -> None:
        """Set the sending speed (section 7.11, message/mass/speed/set).

        0 to 4 mean 800 000, 600 000, 450 000, 300 000 and 100 000 messages per minute.
        """
        self._http.post("/cgi-bin/message/mass/speed/set", {"speed": speed}, idempotent=True)

    def prepare_video(self, media_id: str, title: str, description: str) -> Uploaded:
        """Return the media_id for an `MpVideo` of an uploaded video (section 7.11, media/uploadvideo)."""
        body = {"media_id": media_id, "title": title, "description": description}
        return convert(Uploaded, self._http.post("/cgi-bin/media/uploadvideo", body))

    def _send(
        self, call: str, receivers: dict[str, Any], message: Sendable, clientmsgid: str, ignore_reprint: bool
    ) -> MassJob:
        body = {
            **receivers,
            **message.to_customer_message(),
            **given(clientmsgid=clientmsgid),
            "send_ignore_reprint": int(ignore_reprint),
        }
        answer = self._http.post(f"/cgi-bin/message/mass/{call}", body, accept=(ALREADY_THERE,))
        return convert(MassJob, answer)
