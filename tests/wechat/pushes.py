"""Pushes made by hand, so that any part of them can be wrong."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from tests.conftest import AES_KEY, APP_ID, TOKEN
from wechat_bot.wechat.credentials import Credentials, Mode
from wechat_bot.wechat.crypto import MessageCipher, sign
from wechat_bot.wechat.webhook import Incoming, Webhook
from wechat_bot.wechat.xml import build

NOW = 1767225600
NONCE = "736251849"

Query = dict[str, Any]


def credentials(mode: Mode = Mode.PLAIN, **changes: Any) -> Credentials:
    values = {"tokens": (TOKEN,), "mode": mode, "app_id": APP_ID, "aes_keys": (AES_KEY,), **changes}
    return Credentials(**values)


def webhook(mode: Mode = Mode.PLAIN, now: float = NOW, **changes: Any) -> Webhook:
    return Webhook(credentials(mode, **changes), clock=lambda: now)


def signed(*, token: str = TOKEN, timestamp: str = str(NOW), nonce: str = NONCE, **more: Any) -> Query:
    """The parameters of a plain push."""
    return {"signature": sign(token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce, **more}


def enveloped(encrypt: str, token: str = TOKEN, **plain: Any) -> tuple[Query, bytes]:
    """A push with this Encrypt, whatever it is, and the `plain` fields beside it."""
    signature = sign(token, str(NOW), NONCE, encrypt)
    query = signed(token=token, encrypt_type="aes", msg_signature=signature)
    return query, build({"ToUserName": "gh_1a2b3c4d5e6f", **plain, "Encrypt": encrypt}).encode()


def encrypted(
    body: bytes, *, token: str = TOKEN, key: str = AES_KEY, app_id: str = APP_ID, **plain: Any
) -> tuple[Query, bytes]:
    """An encrypted push of `body`."""
    return enveloped(MessageCipher(key, app_id).encrypt(body), token, **plain)


def pushed(mode: Mode, body: bytes) -> tuple[Query, bytes]:
    """A push of `body` in `mode`."""
    return (signed(), body) if mode is Mode.PLAIN else encrypted(body)


def text(query: Query) -> str:
    """`query` as it stands in the URL; a list is a repeated parameter."""
    return urlencode(query, doseq=True)


def received(server: Webhook, query: str, body: bytes) -> Incoming:
    """What `server` makes of a push."""
    return server.open(server.authenticate(query), body)
