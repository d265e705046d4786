"""The group robots of WeCom, Feishu and DingTalk, and plain webhooks: requests, signatures and answers.

What followers wrote must not be taken for markup or mentions, so each robot gets the kind of message that has
none: ``text`` in WeCom and DingTalk, ``post`` with elements of plain text in Feishu.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from ...models import AlertFailure
from ...wechat.texts import split
from .definitions import Language, Medium
from .messages import Line, Message

MAX_WECOM_BYTES = 2048
"""Of a text, in UTF-8."""


@dataclass(frozen=True)
class Failure:
    """Why a message did not arrive."""

    reason: AlertFailure
    code: int = 0
    """The errcode of the robot, or the status of its HTTP or mail server; 0 if it gave none."""
    detail: str = ""
    """What it said."""


@dataclass(frozen=True)
class Request:
    """A POST request of JSON."""

    url: str = field(repr=False)
    body: dict[str, Any]


def request_of(
    medium: Medium, url: str, secret: str, message: Message, language: Language, now: datetime
) -> Request:
    """Return the request that gives `message` to the robot or webhook at `url`."""
    plain = f"{message.title}\n{message.text}"
    match medium:
        case Medium.WECOM:
            return Request(url, _text(split(plain, MAX_WECOM_BYTES)[0]))
        case Medium.FEISHU:
            return Request(url, _post(message, language) | _feishu_signature(secret, now))
        case Medium.DINGTALK:
            return Request(url + _dingtalk_signature(url, secret, now), _text(plain))
        case _:
            return Request(url, {"title": message.title, "text": message.text, **message.data})


def _text(content: str) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": content}}


def _post(message: Message, language: Language) -> dict[str, Any]:
    content = {"title": message.title, "content": [_paragraph(line) for line in message.lines]}
    locale = "zh_cn" if language is Language.ZH else "en_us"
    return {"msg_type": "post", "content": {"post": {locale: content}}}


def _paragraph(line: Line) -> list[dict[str, str]]:
    if line.url:
        return [{"tag": "a", "text": line.text, "href": line.url}]
    return [{"tag": "text", "text": line.text}]


def _feishu_signature(secret: str, now: datetime) -> dict[str, str]:
    """Return the fields of a signature, whose key is what is signed elsewhere, and which signs nothing."""
    if not secret:
        return {}
    timestamp = str(int(now.timestamp()))
    return {"timestamp": timestamp, "sign": _hmac(f"{timestamp}\n{secret}", "")}


def _dingtalk_signature(url: str, secret: str, now: datetime) -> str:
    """Return the parameters of a signature, to be added to `url`."""
    if not secret:
        return ""
    timestamp = str(int(now.timestamp() * 1000))
    sign = quote_plus(_hmac(secret, f"{timestamp}\n{secret}"))
    return f"{'&' if '?' in url else '?'}timestamp={timestamp}&sign={sign}"


def _hmac(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def failure_in(medium: Medium, status: int, content: bytes) -> Failure | None:
    """Return why a robot or webhook did not take the message, by its answer; None if it did.

    Robots answer with the status 200 also when they refuse.
    """
    if 300 <= status < 400:
        return Failure(AlertFailure.REDIRECTED, status)
    if medium is Medium.WEBHOOK:
        return None if 200 <= status < 300 else Failure(AlertFailure.STATUS, status)
    try:
        answer = json.loads(content)
        code = int(answer["code" if medium is Medium.FEISHU else "errcode"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return Failure(AlertFailure.UNREADABLE if status == 200 else AlertFailure.STATUS, status)
    if code == 0:
        return None
    said = answer.get("msg" if medium is Medium.FEISHU else "errmsg")
    return Failure(AlertFailure.REFUSED, code, str(said or ""))
