"""A folder for files from strangers: few, small, pictures only, and not for long."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flask_babel import lazy_gettext as _
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, ServiceUnavailable, TooManyRequests, UnsupportedMediaType
from werkzeug.utils import secure_filename

KEPT_SECONDS = 3600
KEPT_WHEN_FULL_SECONDS = 300
"""For so long a file is not deleted in favour of a newer one."""
CAPACITY = 32 << 20
PER_MINUTE = 10
"""So many files may one address send."""
NAME_LENGTH = 60
"""Of a longer name the end is kept, where the suffix is."""


@dataclass(frozen=True)
class Upload:
    """A file in the folder; `type` is what its first bytes say."""

    path: Path
    type: str
    size: int
    sha256: str


@dataclass(frozen=True, order=True)
class _Entry:
    modified: float
    path: Path
    size: int


class UploadFolder:
    """Every name in it is made here, so no file gets in or out by a name that a visitor chose."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self.key = key

    def save(self, file: FileStorage, sender: str) -> Upload:
        """Keep `file` for a while, or say why not with the HTTP error that fits.

        `sender` is the visitor's address. Names begin with a keyed digest of it, so that the folder
        itself counts, for all processes, what each sent, and tells nobody who that was.
        """
        if not file.filename:
            raise BadRequest(_("没有选择文件。"))
        content = file.read()
        if not media_type(content):
            raise UnsupportedMediaType(_("只接受 PNG、JPEG、GIF 和 WebP 图片；看内容，不看文件名。"))
        owner = hmac.digest(self.key, sender.encode(), "sha256").hex()[:12]
        name = secure_filename(file.filename)[-NAME_LENGTH:]
        path = self.path / f"{owner}-{secrets.token_hex(8)}-{name}"
        self.path.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        try:
            self._check(path, owner)
        except (ServiceUnavailable, TooManyRequests):
            path.unlink(missing_ok=True)
            raise
        return _describe(path, content)

    def find(self, name: str) -> Upload | None:
        path = self.path / name
        try:
            return _describe(path, path.read_bytes())
        except FileNotFoundError:
            return None

    def tidy(self) -> list[_Entry]:
        """Delete what is too old, and while space is short also what is not new; the rest, oldest first."""
        left = []
        entries = self._entries()
        total = sum(entry.size for entry in entries)
        for entry in entries:
            age = time.time() - entry.modified
            if age > KEPT_SECONDS or (total > CAPACITY and age > KEPT_WHEN_FULL_SECONDS):
                entry.path.unlink(missing_ok=True)
                total -= entry.size
            else:
                left.append(entry)
        return left

    def _check(self, path: Path, owner: str) -> None:
        # After writing, so that files which arrive at the same moment see each other.
        entries = self.tidy()
        if sum(entry.size for entry in entries) > CAPACITY:
            raise ServiceUnavailable(
                _("演示的存储空间满了，请过几分钟再试。"), retry_after=KEPT_WHEN_FULL_SECONDS
            )
        recent = time.time() - 60
        earlier = [e.path for e in entries if e.modified > recent and e.path.name.startswith(owner)]
        if path in earlier[PER_MINUTE:]:
            raise TooManyRequests(_("上传得太频繁了，请过一分钟再试。"), retry_after=60)

    def _entries(self) -> list[_Entry]:
        entries = []
        for path in self.path.glob("*"):
            with suppress(FileNotFoundError):  # another request tidies too
                status = path.stat()
                entries.append(_Entry(status.st_mtime, path, status.st_size))
        return sorted(entries)


def media_type(content: bytes) -> str | None:
    """The type of a picture, from its first bytes; None for all else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    signatures = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
    signatures |= {b"GIF87a": "image/gif", b"GIF89a": "image/gif"}
    return next((type_ for start, type_ in signatures.items() if content.startswith(start)), None)


def _describe(path: Path, content: bytes) -> Upload:
    return Upload(path, media_type(content) or "", len(content), hashlib.sha256(content).hexdigest())
