"""The register of erasures: a file beside the database, by which they are done again after a restore.

A backup still has the followers who were erased after it was made. So the register is no part of the
database. It has a line for each erasure, with its time and a hash of the openid that nobody can compute
without SECRET_KEY.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from pathlib import Path

FILE_NAME = "erasures.txt"


class Register:
    """The register of an application. The first of the keys makes the hashes of new lines."""

    def __init__(self, folder: Path, secret_keys: Iterable[str]) -> None:
        self.path = folder / FILE_NAME
        self._keys = [key.encode() for key in secret_keys]

    def add(self, openid: str, at: datetime) -> None:
        """Append a line, durably.

        :raises OSError: if it cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="ascii") as file:
            self.path.chmod(0o600)
            file.write(f"{at.isoformat()} {_hash(self._keys[0], openid)}\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> Erased:
        """Return the followers who were erased.

        :raises FileNotFoundError: if there is no register.
        """
        lines = (line.split() for line in self.path.read_text("ascii", errors="replace").splitlines())
        return Erased(
            self._keys, {words[1]: datetime.fromisoformat(words[0]) for words in lines if len(words) == 2}
        )


class Erased:
    """The followers of a register."""

    def __init__(self, keys: Iterable[bytes], times: dict[str, datetime]) -> None:
        self._keys = keys
        self._times = times

    def when(self, openid: str) -> datetime | None:
        """Return when a follower was erased last; None if that was never."""
        hashes = (_hash(key, openid) for key in self._keys)
        return next((self._times[each] for each in hashes if each in self._times), None)


def _hash(key: bytes, openid: str) -> str:
    return hmac.new(key, b"wechat_bot erasure " + openid.encode(), sha256).hexdigest()
