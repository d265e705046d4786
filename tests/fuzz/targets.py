"""What is fuzzed: functions that take any bytes and fail if the program breaks a promise.

`tests.fuzz.run` calls them with bytes that reach ever more of the code, `test_findings` with what that found.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.conftest import AES_KEY, APP_ID
from tests.wechat.pushes import enveloped, pushed, received, text, webhook
from wechat_bot.services.messages.filters import FilterError, MessageFilter
from wechat_bot.services.search.tokens import Query, highlight, tokens_of
from wechat_bot.wechat import xml
from wechat_bot.wechat.credentials import Mode
from wechat_bot.wechat.crypto import MessageCipher
from wechat_bot.wechat.errors import InvalidCiphertext, WebhookError
from wechat_bot.wechat.replies import TextReply

WEBHOOKS = {mode: webhook(mode) for mode in Mode}
CIPHER = MessageCipher(AES_KEY, APP_ID)
KEY = base64.b64decode(AES_KEY + "=")
ZONE = ZoneInfo("Asia/Shanghai")


def parse(data: bytes) -> None:
    """The body of a push becomes a message that can be answered, or is refused."""
    query, body = pushed(Mode.PLAIN, data)
    try:
        incoming = received(WEBHOOKS[Mode.PLAIN], text(query), body)
    except WebhookError:
        return
    assert len(incoming.message.dedup_key) == 32
    reply = xml.parse(WEBHOOKS[Mode.PLAIN].seal(incoming, TextReply("好的")).encode())
    assert reply["ToUserName"] == (incoming.message.openid or None)


def decrypt(data: bytes) -> None:
    """An Encrypt element of any characters, and one of any bytes below the encryption, is opened or refused.

    What is opened is what was encrypted.
    """
    query, body = enveloped(data.decode("latin-1"))
    with suppress(WebhookError):
        received(WEBHOOKS[Mode.SAFE], text(query), body)
    with suppress(InvalidCiphertext):
        CIPHER.decrypt(data.decode("latin-1"))
    with suppress(InvalidCiphertext):
        CIPHER.decrypt(_encrypted(data))
    assert CIPHER.decrypt(CIPHER.encrypt(data)) == data


def _encrypted(plain: bytes) -> str:
    """`plain` under the right key, up to its last whole block, without the platform's layout."""
    encryptor = Cipher(algorithms.AES(KEY), modes.CBC(KEY[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain)).decode()


def query(data: bytes) -> None:
    """A query string becomes a filter or is refused, and its words are found where they are, and only there.

    The bytes are the query string and, after the first NUL, a message.
    """
    sought, _, message = (part.decode(errors="surrogateescape") for part in data.partition(b"\0"))
    try:
        words = MessageFilter.parse(dict(parse_qsl(sought)), ZONE).query
    except FilterError:
        words = Query.parse(sought)
    tokens, found = tokens_of(message), words.matches(message)
    assert words.tokens <= tokens or not found
    assert found or not (words.exact and words.tokens <= tokens)
    assert "".join(piece for piece, _ in highlight(message, words, context=None)) == message


TARGETS: dict[str, Callable[[bytes], None]] = {"parse": parse, "decrypt": decrypt, "query": query}
