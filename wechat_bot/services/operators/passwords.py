"""Operators' passwords: which are accepted, and how they are kept."""

from __future__ import annotations

import secrets
import unicodedata
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH, MAX_LENGTH = 10, 256
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""None that are taken for another."""

DUMMY_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$38NHBTUu/Qf8hu10+DdohA$KW2Xt49Nq3JgHLGvavoy1mNU1pcX2WAnDuf6/2K16+w"
)
"""Verified for names that do not exist, so that they take as long as those that do."""

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's, for small servers
_turns = BoundedSemaphore(2)  # one hash takes 19 MB and a whole processor


def is_acceptable(password: str) -> bool:
    return MIN_LENGTH <= len(password) <= MAX_LENGTH


def make_hash(password: str) -> str:
    with _turns:
        return _hasher.hash(_bytes(password))


def verify(kept: str, password: str) -> bool:
    """Whether `password` is the one of the hash `kept`."""
    with _turns:
        try:
            return _hasher.verify(kept, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(kept: str) -> bool:
    """Whether hashes are made with other parameters by now."""
    return _hasher.check_needs_rehash(kept)


def generate(groups: int = 4) -> str:
    """Something secret that can be read and typed: groups of five letters."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(groups))


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
