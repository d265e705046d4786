"""Validation, hashing and generation of operators' passwords."""

from __future__ import annotations

import secrets
import unicodedata
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH, MAX_LENGTH = 10, 256
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Characters of generated passwords, without those that are easily confused."""

DUMMY_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$38NHBTUu/Qf8hu10+DdohA$KW2Xt49Nq3JgHLGvavoy1mNU1pcX2WAnDuf6/2K16+w"
)
"""Verified for names that do not exist, so that they take as long as existing ones."""

_hasher = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1
)  # the parameters that OWASP recommends
_slots = BoundedSemaphore(2)  # one hash takes 19 MB and a whole processor


def is_acceptable(password: str) -> bool:
    return MIN_LENGTH <= len(password) <= MAX_LENGTH


def make_hash(password: str) -> str:
    with _slots:
        return _hasher.hash(_bytes(password))


def verify(password_hash: str, password: str) -> bool:
    """Whether `password` matches `password_hash`."""
    with _slots:
        try:
            return _hasher.verify(password_hash, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than those of today."""
    return _hasher.check_needs_rehash(password_hash)


def generate(groups: int = 4) -> str:
    """Return a random secret that is easy to read and type: `groups` of five characters."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(5)) for _ in range(groups))


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
