"""Signing and encryption of pushes and passive replies (``wechat-platform.md`` section 2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .errors import InvalidCiphertext, Refusal

_BLOCK = 32  # in bytes: the platform pads to its key length, not to AES's block of 16


def sign(*parts: str) -> str:
    """Return the hex SHA-1 of the parts, sorted by code point and joined (sections 1.2 and 2.3)."""
    return hashlib.sha1("".join(sorted(parts)).encode(errors="replace")).hexdigest()


def verify(signature: str, *parts: str) -> bool:
    """Whether `signature` is that of `parts`, compared in constant time. Arbitrary text is accepted."""
    return hmac.compare_digest(sign(*parts).encode(), signature.encode(errors="replace"))


def is_key(text: str) -> bool:
    """Whether `text` has the form of an EncodingAESKey: 43 letters and digits (section 2.1)."""
    return re.fullmatch(r"[A-Za-z0-9]{43}", text) is not None


class MessageCipher:
    """AES-256-CBC in the platform's layout: random bytes, length, message, AppID, padding (section 2.2)."""

    def __init__(self, encoding_aes_key: str, app_id: str) -> None:
        key = base64.b64decode(encoding_aes_key + "=")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16]))
        self._app_id = app_id.encode()

    def encrypt(self, message: bytes, prefix: bytes | None = None) -> str:
        """Return the Base64 text of an ``Encrypt`` element. Tests set the 16 random bytes, `prefix`."""
        prefix = prefix or secrets.token_bytes(16)
        plain = prefix + len(message).to_bytes(4, "big") + message + self._app_id
        padding = _BLOCK - len(plain) % _BLOCK
        encryptor = self._cipher.encryptor()
        encrypted = encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()
        return base64.b64encode(encrypted).decode()

    def decrypt(self, encrypted: str) -> bytes:
        """Return the message inside an ``Encrypt`` element.

        :raises InvalidCiphertext: if it was not encrypted with this key for this AppID.
        """
        try:
            data = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidCiphertext("Encrypt is not Base64") from error
        if not data or len(data) % 16:
            raise InvalidCiphertext("the length of Encrypt is no multiple of 16")
        decryptor = self._cipher.decryptor()
        plain = _unpad(decryptor.update(data) + decryptor.finalize())
        end = 20 + int.from_bytes(plain[16:20], "big")
        if len(plain) < 20 or len(plain) < end:
            raise InvalidCiphertext("wrong key: the length field exceeds the data")
        if not hmac.compare_digest(plain[end:], self._app_id):
            raise InvalidCiphertext("wrong app id", Refusal.WRONG_APP_ID)
        return plain[20:end]


def _unpad(plain: bytes) -> bytes:
    padding = plain[-1]
    if not 1 <= padding <= _BLOCK or plain[-padding:] != bytes([padding]) * padding:
        raise InvalidCiphertext("wrong key: the padding is wrong")
    return plain[:-padding]
