"""A folder for uploads of anonymous visitors, with limits on number, size and age."""

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
from werkzeug.exceptions import BadRequest, ServiceUnavailable, TooManyRequests
from werkzeug.utils import secure_filename

RETENTION_SECONDS = 3600
MIN_RETENTION_SECONDS = 300
"""Age before which a file is not deleted to make room for a newer one."""
CAPACITY = 32 << 20
"""Maximum size of all files together, in bytes."""
OTHER = "application/octet-stream"
"""The type of what is no picture. Browsers do not show it."""
MAX_PER_MINUTE = 10
"""Number of files per minute that an address may send."""
NAME_LENGTH = 60
"""Maximum number of characters of a name. Longer names lose their beginning, not the suffix."""


@dataclass(frozen=True)
class Upload:
    """A file in the folder. `type` is determined by its first bytes: that of a picture, or `OTHER`."""

    path: Path
    type: str
    size: int
    sha256: str

    @property
    def is_picture(self) -> bool:
        return self.type != OTHER

    @property
    def name(self) -> str:
        """The visitor's name of the file, as far as it is safe."""
        return self.path.name.split("-", 2)[2] or "file"


@dataclass(frozen=True, order=True)
class _Entry:
    modified: float
    path: Path
    size: int


class UploadFolder:
    """The folder at `path`. File names are generated here, so that visitors cannot choose them."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self.key = key

    def save(self, file: FileStorage, sender: str) -> Upload:
        """Store a file. An HTTP error is raised if it is refused.

        File names begin with a keyed digest of `sender`, the visitor's address. So all processes can
        count the files of an address, and the names do not reveal it.
        """
        if not file.filename:
            raise BadRequest(_("没有选择文件。"))
        content = file.read()
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

    def clean_up(self) -> list[_Entry]:
        """Delete old files, more of them if the folder is full, and return the others, oldest first."""
        remaining = []
        entries = self._entries()
        total = sum(entry.size for entry in entries)
        for entry in entries:
            age = time.time() - entry.modified
            if age > RETENTION_SECONDS or (total > CAPACITY and age > MIN_RETENTION_SECONDS):
                entry.path.unlink(missing_ok=True)
                total -= entry.size
            else:
                remaining.append(entry)
        return remaining

    def _check(self, path: Path, owner: str) -> None:
        # After writing, so that requests at the same moment see each other's files.
        entries = self.clean_up()
        if sum(entry.size for entry in entries) > CAPACITY:
            raise ServiceUnavailable(
                _("演示的存储空间满了，请过几分钟再试。"), retry_after=MIN_RETENTION_SECONDS
            )
        since = time.time() - 60
        recent = [e.path for e in entries if e.modified > since and e.path.name.startswith(owner)]
        if path in recent[MAX_PER_MINUTE:]:
            raise TooManyRequests(_("上传得太频繁了，请过一分钟再试。"), retry_after=60)

    def _entries(self) -> list[_Entry]:
        entries = []
        for path in self.path.glob("*"):
            with suppress(FileNotFoundError):  # deleted by another request
                status = path.stat()
                entries.append(_Entry(status.st_mtime, path, status.st_size))
        return sorted(entries)


def media_type(content: bytes) -> str:
    """Return the media type of a picture by its first bytes, and `OTHER` for other files."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    signatures = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
    signatures |= {b"GIF87a": "image/gif", b"GIF89a": "image/gif"}
    return next((type_ for start, type_ in signatures.items() if content.startswith(start)), OTHER)


def _describe(path: Path, content: bytes) -> Upload:
    return Upload(path, media_type(content), len(content), hashlib.sha256(content).hexdigest())
