"""Encryption of secrets that the database keeps, with keys that are derived from SECRET_KEY."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Sealer:
    """Seals with the first of the secret keys, and opens what was sealed with any of them."""

    def __init__(self, *secret_keys: str) -> None:
        self._fernet = MultiFernet([Fernet(_derive(key)) for key in secret_keys])

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str | None:
        """Return the secret, or None if it was sealed with none of the keys."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            return None


def _derive(secret_key: str) -> bytes:
    derived = HKDF(SHA256(), length=32, salt=None, info=b"wechat_bot sealing").derive(secret_key.encode())
    return base64.urlsafe_b64encode(derived)
