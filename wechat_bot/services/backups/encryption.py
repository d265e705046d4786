"""Encryption of a file with a pass phrase, as a stream of authenticated chunks.

scrypt derives a key of its own for each file. AES-256-GCM encrypts each chunk under a nonce that contains the
number of the chunk and whether it is the last one (the STREAM construction). Chunks that were changed, moved,
left out or cut off are noticed.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ...terminal import gettext as _
from . import BackupError

MAGIC = b"wechat_bot encrypted 1\n"
"""The beginning of an encrypted file. A salt follows, then the chunks."""
MIN_PASSPHRASE_LENGTH = 12
CHUNK_SIZE = 1 << 16
"""Size of a chunk in bytes before it is encrypted. The last one may be shorter."""
_TAG_SIZE = 16
_SALT_SIZE = 16


class EncryptingWriter:
    """Encrypts what is written to it into `file`, which is complete after `close`."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        salt = os.urandom(_SALT_SIZE)
        file.write(MAGIC + salt)
        self._file = file
        self._cipher = _Cipher(passphrase, salt)
        self._pending = bytearray()

    def write(self, data: bytes) -> int:
        self._pending += data
        while len(self._pending) > CHUNK_SIZE:  # the last chunk is written by `close`
            self._file.write(self._cipher.encrypt(bytes(self._pending[:CHUNK_SIZE]), is_last=False))
            del self._pending[:CHUNK_SIZE]
        return len(data)

    def close(self) -> None:
        self._file.write(self._cipher.encrypt(bytes(self._pending), is_last=True))


class DecryptingReader:
    """Decrypts `file`, whose beginning `MAGIC` has been read.

    :raises BackupError: when the pass phrase is wrong, or the file was changed or cut off.
    """

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        self._file = file
        self._cipher = _Cipher(passphrase, file.read(_SALT_SIZE))
        self._next = self._read_chunk()
        self._pending = bytearray()

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or fewer at the end."""
        while len(self._pending) < size and self._next:
            chunk, self._next = self._next, self._read_chunk()
            self._pending += self._cipher.decrypt(chunk, is_last=not self._next)
        data = bytes(self._pending[:size])
        del self._pending[:size]
        return data

    def _read_chunk(self) -> bytes:
        return self._file.read(CHUNK_SIZE + _TAG_SIZE)


class _Cipher:
    """Encrypts or decrypts the chunks of a file in their order."""

    def __init__(self, passphrase: str, salt: bytes) -> None:
        self._aes = AESGCM(_derive_key(passphrase, salt))
        self._number = 0

    def encrypt(self, chunk: bytes, *, is_last: bool) -> bytes:
        return self._aes.encrypt(self._nonce(is_last), chunk, None)

    def decrypt(self, chunk: bytes, *, is_last: bool) -> bytes:
        is_first = not self._number
        try:
            return self._aes.decrypt(self._nonce(is_last), chunk, None)
        except InvalidTag:
            if is_first:
                raise BackupError(_("口令不对，或者文件损坏了。")) from None
            raise BackupError(_("文件损坏了，或者不完整：用另一份备份。")) from None

    def _nonce(self, is_last: bool) -> bytes:
        self._number += 1
        return self._number.to_bytes(11, "big") + bytes([is_last])


@lru_cache(maxsize=1)
def _derive_key(passphrase: str, salt: bytes) -> bytes:
    """Derive a key, which takes 128 MB and half a second. A backup is read several times to restore it."""
    return Scrypt(salt, length=32, n=1 << 17, r=8, p=1).derive(passphrase.encode())
