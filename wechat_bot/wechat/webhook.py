"""The callback (``wechat-platform.md`` sections 1 and 2): a message exists only if it was verified."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote_plus

from . import messages, replies, xml
from .credentials import Credentials, Mode
from .crypto import MessageCipher, sign, verify
from .errors import InvalidCiphertext, InvalidSignature, Refusal
from .messages import Message

MAX_SKEW = 300
"""Seconds by which a signature's time stamp may differ from our clock."""


@dataclass(frozen=True)
class Incoming:
    """A verified push, and what its answer must be sealed with."""

    message: Message
    token: str
    nonce: str
    cipher: MessageCipher | None
    """The key that opened it, or None when it came in plain text."""


class Webhook:
    """Opens the platform's requests and seals the answers to them, for one account.

    `clock` returns Unix time in seconds.
    """

    def __init__(self, credentials: Credentials, clock: Callable[[], float] = time.time) -> None:
        self._tokens = credentials.tokens
        self._mode = credentials.mode
        self._ciphers = [MessageCipher(key, credentials.app_id) for key in credentials.aes_keys]
        self._clock = clock

    def handshake(self, query: str) -> str:
        """The echostr that answers the verification of the URL (section 1.2); InvalidSignature."""
        parameters = _Query(query)
        self._authenticate(parameters)
        return parameters.once("echostr")

    def open(self, query: str, body: bytes) -> Incoming:
        """The message in a push, its query string and body as received.

        InvalidSignature and InvalidCiphertext when it does not come from the platform, MalformedMessage
        when it does and is no message.
        """
        parameters = _Query(query)
        token = self._authenticate(parameters)
        if parameters.get("encrypt_type", "raw") != "raw":
            cipher, body = self._decrypt(parameters, token, body)
        elif self._mode is Mode.SAFE:
            # The plain signature does not cover the body, so the body must not choose the mode.
            raise InvalidCiphertext("plain text in safe mode", Refusal.PLAIN_IN_SAFE_MODE)
        else:
            cipher = None
        return Incoming(messages.parse(xml.parse(body)), token, parameters.once("nonce"), cipher)

    def has_signed(self, query: str) -> bool:
        """Whether `query` is the platform's, whatever the path that it was sent to."""
        try:
            self._authenticate(_Query(query))
        except InvalidSignature:
            return False
        return True

    def seal(self, incoming: Incoming, reply: replies.Reply) -> str:
        """The body that answers `incoming` with `reply`, encrypted if the push was."""
        now = self._clock()
        plain = replies.to_xml(incoming.message, reply, now)
        if incoming.cipher is None:
            return plain
        timestamp, nonce = str(int(now)), incoming.nonce
        encrypted = incoming.cipher.encrypt(plain.encode())
        envelope = {
            "Encrypt": encrypted,
            "MsgSignature": sign(incoming.token, timestamp, nonce, encrypted),
            "TimeStamp": timestamp,
            "Nonce": nonce,
        }
        return xml.build(envelope)

    def _authenticate(self, parameters: _Query) -> str:
        """The token that signed the request, if it is recent; retries repeat timestamp and nonce."""
        timestamp, nonce = parameters.once("timestamp"), parameters.once("nonce")
        signature = parameters.once("signature")
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
        return token

    def _decrypt(self, parameters: _Query, token: str, body: bytes) -> tuple[MessageCipher, bytes]:
        encrypted = _encrypted(body)
        signed = (token, parameters.once("timestamp"), parameters.once("nonce"), encrypted)
        if not verify(parameters.once("msg_signature"), *signed):
            raise InvalidSignature("wrong msg_signature", Refusal.MALFORMED)  # the token is right
        problem = InvalidCiphertext("WECHAT_ENCODING_AES_KEY is not set", Refusal.ENCRYPTED_WITHOUT_KEY)
        for cipher in self._ciphers:
            try:
                return cipher, cipher.decrypt(encrypted)
            except InvalidCiphertext as error:
                problem = error
        raise problem


_ENCRYPT = re.compile(rb"<Encrypt>\s*(?:<!\[CDATA\[)?([A-Za-z0-9+/=]+)(?:\]\]>)?\s*</Encrypt>")


def _encrypted(body: bytes) -> str:
    """The text of the one ``Encrypt`` element; not parsed as XML, since nobody has vouched for it yet."""
    found = _ENCRYPT.findall(body)
    if len(found) != 1:
        raise InvalidCiphertext("no Encrypt, or more than one", Refusal.MALFORMED)
    encrypted: bytes = found[0]
    return encrypted.decode()


class _Query:
    """The parameters of a query string, of which no signed one may be repeated."""

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

    def once(self, name: str) -> str:
        if name not in self._values or name in self._repeated:
            problem = "repeated" if name in self._values else "missing"
            raise InvalidSignature(f"{name} is {problem}", Refusal.NOT_SIGNED)
        return self._values[name]
