"""Encrypted files: what was changed, moved or cut off is noticed."""

from __future__ import annotations

import io

import pytest

from wechat_bot.services.backups import BackupError
from wechat_bot.services.backups.encryption import CHUNK_SIZE, MAGIC, DecryptingReader, EncryptingWriter

PASSPHRASE = "correct horse battery"
CONTENT = bytes(range(256)) * (CHUNK_SIZE // 256) * 2 + b"the end"
SEALED_CHUNK = CHUNK_SIZE + 16


@pytest.fixture(scope="module")
def encrypted() -> bytes:
    file = io.BytesIO()
    writer = EncryptingWriter(file, PASSPHRASE)
    for start in range(0, len(CONTENT), 50_000):
        writer.write(CONTENT[start : start + 50_000])
    writer.close()
    return file.getvalue()


def decrypted(data: bytes, passphrase: str = PASSPHRASE) -> bytes:
    file = io.BytesIO(data)
    assert file.read(len(MAGIC)) == MAGIC
    reader = DecryptingReader(file, passphrase)
    return b"".join(iter(lambda: reader.read(70_000), b""))


def test_the_content_comes_back(encrypted: bytes) -> None:
    assert decrypted(encrypted) == CONTENT
    assert CONTENT[:64] not in encrypted


def test_another_pass_phrase_opens_nothing(encrypted: bytes) -> None:
    with pytest.raises(BackupError, match="pass phrase"):
        decrypted(encrypted, "another horse battery")


def test_a_file_that_was_changed_is_refused(encrypted: bytes) -> None:
    head = len(MAGIC) + 16
    chunks = [encrypted[head + n * SEALED_CHUNK :][:SEALED_CHUNK] for n in range(3)]
    changes = {
        "cut off between chunks": [*chunks[:2]],
        "cut off in a chunk": [*chunks[:2], chunks[2][:-1]],
        "chunks in another order": [chunks[1], chunks[0], chunks[2]],
        "something after the end": [*chunks, b"x"],
        "one bit": [chunks[0], bytes([chunks[1][0] ^ 1]) + chunks[1][1:], chunks[2]],
    }
    for change, kept in changes.items():
        with pytest.raises(BackupError):
            pytest.fail(f"{change}: {len(decrypted(encrypted[:head] + b''.join(kept)))} bytes are read")
