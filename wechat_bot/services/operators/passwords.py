"""Validation, hashing and generation of operators' passwords."""

from __future__ import annotations

import secrets
import unicodedata
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH, MAX_LENGTH = 10, 256
MIN_GUESSES = 10**8
"""Attempts that finding a password must take; throttling allows about thirty a day from an address."""
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


def has_valid_length(password: str) -> bool:
    return MIN_LENGTH <= len(password) <= MAX_LENGTH


def is_guessable(password: str, name: str) -> bool:
    """Whether fewer than `MIN_GUESSES` find the password of the operator `name`, such as a common one."""
    from zxcvbn import zxcvbn  # imported here, because its lists of common passwords take 15 MB

    beginning = _normalize(password)[:72]  # the time grows faster than the length
    return bool(zxcvbn(beginning, [name, "wechat_bot"])["guesses"] < MIN_GUESSES)


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
    return _normalize(password).encode("utf-8", "surrogatepass")


def _normalize(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
