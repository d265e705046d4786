"""Delivery of messages to channels, over HTTP and SMTP. Nothing here raises because of the other side."""

from __future__ import annotations

import json
import smtplib
import ssl
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import httpx2

from ...models import AlertFailure
from ...settings import Settings
from ...wechat.api import NotPublic, deadline, network
from .definitions import Channel, Medium
from .messages import Message
from .robots import Failure, Request, failure_in, request_of

TIMEOUT = 5
"""Seconds for a request, and for each step of sending a mail."""
MAX_ANSWER = 64 << 10
"""Bytes of an answer that are read."""


def deliver(
    settings: Settings, channel: Channel, url: str, secret: str, message: Message, now: datetime
) -> Failure | None:
    """Send a message to a channel, and return why it did not arrive; None if it did."""
    if channel.medium is Medium.MAIL:
        return _mail(settings, channel, message)
    request = request_of(channel.medium, url, secret, message, channel.language, now)
    failure = _post(channel.medium, request, public_only=not settings.alerts_reach_private_addresses)
    return failure and Failure(failure.reason, failure.code, _masked(failure.detail, url, secret))


def _post(medium: Medium, request: Request, *, public_only: bool) -> Failure | None:
    headers = {"Content-Type": "application/json; charset=utf-8", "Accept-Encoding": "identity"}
    body = json.dumps(request.body, ensure_ascii=False).encode("utf-8", "replace")
    try:
        with (
            deadline(TIMEOUT),
            httpx2.Client(transport=network("", public_only=public_only), timeout=TIMEOUT) as client,
            client.stream("POST", request.url, content=body, headers=headers) as response,
        ):
            return failure_in(medium, response.status_code, _beginning(response))
    except httpx2.TimeoutException:
        return Failure(AlertFailure.TIMEOUT)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        private = isinstance(error.__cause__, NotPublic)
        return Failure(AlertFailure.PRIVATE if private else AlertFailure.UNREACHABLE)


def _beginning(response: httpx2.Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) >= MAX_ANSWER:
            break
    return bytes(content)


def _masked(detail: str, url: str, secret: str) -> str:
    """Return what a robot said without the parts of its address that are secret, should it repeat them."""
    parts = urlsplit(url)
    for hidden in (url, parts.path, parts.query, parts.query.rpartition("=")[2], secret):
        if len(hidden) > 3:
            detail = detail.replace(hidden, "…")
    return detail


def _mail(settings: Settings, channel: Channel, message: Message) -> Failure | None:
    if not settings.smtp_url:
        return Failure(AlertFailure.NO_MAIL_SERVER)
    mail = EmailMessage()
    mail["Subject"], mail["From"] = message.title, settings.mail_from
    mail["To"] = ", ".join(channel.recipients)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{message.text}\n")
    try:
        with _mail_server(settings.smtp_url) as server:
            server.send_message(mail)
    except TimeoutError:
        return Failure(AlertFailure.TIMEOUT)
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        return Failure(AlertFailure.REFUSED, error.smtp_code, text)
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        return Failure(AlertFailure.REFUSED, code, said.decode(errors="replace"))
    except (OSError, smtplib.SMTPException) as error:
        return Failure(AlertFailure.UNREACHABLE, 0, type(error).__name__)
    return None


def _mail_server(url: str) -> smtplib.SMTP:
    """Connect to the server of SMTP_URL. A password is sent over TLS alone."""
    parts, context = urlsplit(url), ssl.create_default_context()
    host, user = parts.hostname or "", unquote(parts.username or "")
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 587, timeout=TIMEOUT)
    try:
        server.ehlo()
        if parts.scheme == "smtp" and (user or server.has_extn("starttls")):
            server.starttls(context=context)
            server.ehlo()
        if user:
            server.login(user, unquote(parts.password or ""))
    except BaseException:
        with suppress(OSError):
            server.close()
        raise
    return server
