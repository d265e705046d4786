"""Storage of the simulated platform's state: in memory, or in a folder that several processes share."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from .state import PlatformState, from_json, to_json

MAX_STATE = 4 << 20
"""Characters of a saved state. Reading more would take the server's time from pushes."""
MAX_MEDIA = 256 << 20
"""Bytes of media in a folder."""


class StoreFull(Exception):
    """The state has become larger than `MAX_STATE`; it was not saved."""


class StateStore(Protocol):
    """The state, and the contents of media by media id."""

    def opened(self) -> AbstractContextManager[PlatformState]:
        """Open the state exclusively, and save changes unless an exception is raised."""
        ...

    def write(self, media_id: str, content: bytes) -> None: ...

    def read(self, media_id: str) -> bytes: ...


class MemoryStore:
    """A store for one process. It also keeps changes that were made before an exception."""

    def __init__(self, state: PlatformState | None = None) -> None:
        self._state = state or PlatformState()
        self._contents: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @contextmanager
    def opened(self) -> Iterator[PlatformState]:
        with self._lock:
            yield self._state

    def write(self, media_id: str, content: bytes) -> None:
        self._contents[media_id] = content

    def read(self, media_id: str) -> bytes:
        return self._contents[media_id]


class FileStore:
    """A store for several processes: `folder` has ``state.json`` and a file for each medium.

    It is bounded: the oldest media, and the oldest items of each part of the state, make room for others.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "media").mkdir(parents=True, exist_ok=True)

    @contextmanager
    def opened(self) -> Iterator[PlatformState]:
        """Open the state exclusively, and save changes unless an exception is raised.

        :raises StoreFull: at the end, if it has become too large.
        """
        path = self._folder / "state.json"
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            saved = path.read_text() if path.exists() else ""
            state = from_json(saved) if saved else PlatformState()
            yield state
            state.forget_oldest()
            if (text := to_json(state)) != saved:
                if len(text) > MAX_STATE:
                    raise StoreFull
                new = path.with_suffix(".new")
                new.write_text(text)
                new.replace(path)

    def write(self, media_id: str, content: bytes) -> None:
        (self._folder / "media" / media_id).write_bytes(content)
        with suppress(FileNotFoundError):  # another process removes them
            self._remove_oldest_media()

    def _remove_oldest_media(self) -> None:
        files = [(file.stat(), file) for file in (self._folder / "media").iterdir()]
        total = 0
        for status, file in sorted(files, key=lambda each: each[0].st_mtime_ns, reverse=True):
            total += status.st_size
            if total > MAX_MEDIA:
                file.unlink(missing_ok=True)

    def read(self, media_id: str) -> bytes:
        """Return the content of a medium.

        :raises FileNotFoundError: if it has made room for others.
        """
        return (self._folder / "media" / media_id).read_bytes()
