"""Verification and decryption of the platform's requests to the callback, and encryption of replies.

See ``wechat-platform.md`` sections 1 and 2. A `Message` is created only from a verified request.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote_plus

from . import parsing, repair, replies, xml
from .credentials import Credentials, Mode
from .crypto import MessageCipher, sign, verify
from .errors import InvalidCiphertext, InvalidSignature, Refusal
from .messages import Message

MAX_SKEW = 300
"""Largest accepted difference in seconds between a request's ``timestamp`` and the local clock."""


@dataclass(frozen=True)
class SignedQuery:
    """The parameters of a request that the platform signed."""

    parameters: _Query
    token: str
    """The token that signed it."""
    timestamp: str
    nonce: str


@dataclass(frozen=True)
class Incoming:
    """A verified push, and what is needed to encrypt and sign its passive reply."""

    message: Message
    query: SignedQuery
    cipher: MessageCipher | None
    """The cipher that decrypted the push, or None for a push in plain text."""


class Webhook:
    """Verifies and decrypts the platform's requests for one account, and builds the response bodies.

    `clock` returns Unix time in seconds.
    """

    def __init__(self, credentials: Credentials, clock: Callable[[], float] = time.time) -> None:
        self._tokens = credentials.tokens
        self._mode = credentials.mode
        self._ciphers = [MessageCipher(key, credentials.app_id) for key in credentials.aes_keys]
        self._clock = clock

    def handshake(self, query: str) -> str:
        """Return the ``echostr`` that completes the URL verification (section 1.2).

        :raises InvalidSignature: if the request is not from the platform.
        """
        return self.authenticate(query).parameters.single("echostr")

    def authenticate(self, query: str) -> SignedQuery:
        """Return the query of a request, which must be signed and recent.

        A repeated nonce is accepted, since retries have the same `timestamp` and `nonce` (section 1.6).

        :raises InvalidSignature: if the signature is wrong or the time stamp is outside of `MAX_SKEW`.
        """
        parameters = _Query(query)
        timestamp, nonce = parameters.single("timestamp"), parameters.single("nonce")
        signature = parameters.single("signature")
        for token in self._tokens:
            if verify(signature, token, timestamp, nonce):
                break
        else:
            raise InvalidSignature("wrong signature: does WECHAT_TOKEN equal the platform's Token?")
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 12):
            raise InvalidSignature("the time stamp is no number")
        skew = int(timestamp) - self._clock()
        if abs(skew) > MAX_SKEW:
            words = f"the time stamp differs by {skew:.0f} s from this machine's clock"
            raise InvalidSignature(words, Refusal.OLD_TIMESTAMP, detail=f"{skew:.0f}")
        return SignedQuery(parameters, token, timestamp, nonce)

    def open(self, query: SignedQuery, body: bytes) -> Incoming:
        """Return the message of a push, given its query and its body as received.

        :raises InvalidSignature: if the signature of the encrypted body is wrong.
        :raises InvalidCiphertext: if the body is not encrypted as the mode requires, or cannot be decrypted.
        :raises MalformedMessage: if the request is genuine but its body is not a message.
        """
        if query.parameters.get("encrypt_type", "raw") != "raw":
            cipher, body = self._decrypt(query, body)
        elif self._mode is Mode.SAFE:
            # `signature` does not cover the body: accepting plain text here would allow forged messages.
            raise InvalidCiphertext("plain text in safe mode", Refusal.PLAIN_IN_SAFE_MODE)
        else:
            cipher = None
        return Incoming(parsing.parse(repair.read(body), self._clock), query, cipher)

    def has_valid_signature(self, query: str) -> bool:
        """Whether `query` has a valid signature. The path of the request is not considered."""
        try:
            self.authenticate(query)
        except InvalidSignature:
            return False
        return True

    def seal(self, incoming: Incoming, reply: replies.Reply) -> str:
        """Return the response body that sends `reply` to `incoming`, encrypted if the push was."""
        now = self._clock()
        plain = replies.to_xml(incoming.message, reply, now)
        if incoming.cipher is None:
            return plain
        timestamp, nonce = str(int(now)), incoming.query.nonce
        encrypted = incoming.cipher.encrypt(plain.encode())
        envelope = {
            "Encrypt": encrypted,
            "MsgSignature": sign(incoming.query.token, timestamp, nonce, encrypted),
            "TimeStamp": timestamp,
            "Nonce": nonce,
        }
        return xml.build(envelope)

    def _decrypt(self, query: SignedQuery, body: bytes) -> tuple[MessageCipher, bytes]:
        encrypted = _encrypted(body)
        signature = query.parameters.single("msg_signature")
        if not verify(signature, query.token, query.timestamp, query.nonce, encrypted):
            raise InvalidSignature("wrong msg_signature", Refusal.MALFORMED)  # the token was verified above
        problem = InvalidCiphertext("WECHAT_ENCODING_AES_KEY is not set", Refusal.ENCRYPTED_WITHOUT_KEY)
        for cipher in self._ciphers:
            try:
                return cipher, cipher.decrypt(encrypted)
            except InvalidCiphertext as error:
                problem = error
        raise problem


_ENCRYPT = re.compile(rb"<Encrypt>\s*(?:<!\[CDATA\[)?([A-Za-z0-9+/=]+)(?:\]\]>)?\s*</Encrypt>")


def _encrypted(body: bytes) -> str:
    """Return the text of the only ``Encrypt`` element.

    The body is not authenticated yet, so it is not passed to the XML parser.
    """
    found = _ENCRYPT.findall(body)
    if len(found) != 1:
        raise InvalidCiphertext("no Encrypt, or more than one", Refusal.MALFORMED)
    return str(found[0], "ascii")


class _Query:
    """The parameters of a query string."""

    def __init__(self, query: str) -> None:
        self._values: dict[str, str] = {}
        self._repeated: set[str] = set()
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            if name in self._values:
                self._repeated.add(name)
            self._values[name] = unquote_plus(value) if "%" in value or "+" in value else value

    def get(self, name: str, default: str) -> str:
        return self._values.get(name, default)

    def single(self, name: str) -> str:
        """Return a parameter that must occur exactly once.

        :raises InvalidSignature: if it is missing or repeated.
        """
        if name not in self._values or name in self._repeated:
            problem = "repeated" if name in self._values else "missing"
            raise InvalidSignature(f"{name} is {problem}", Refusal.NOT_SIGNED)
        return self._values[name]
