"""Where the state of the played platform is kept: in memory, or in a folder that processes share."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from .state import PlatformState, from_json, to_json


class StateStore(Protocol):
    """One at a time has the state open; what he changes is kept unless he fails."""

    def opened(self) -> AbstractContextManager[PlatformState]: ...

    def write(self, media_id: str, content: bytes) -> None: ...

    def read(self, media_id: str) -> bytes: ...


class MemoryStore:
    """For one process; changes before a failure are kept."""

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
    """For several processes: `folder` holds ``state.json`` and a file for the content of each medium."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "media").mkdir(parents=True, exist_ok=True)

    @contextmanager
    def opened(self) -> Iterator[PlatformState]:
        path = self._folder / "state.json"
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = path.read_text() if path.exists() else ""
            state = from_json(before) if before else PlatformState()
            yield state
            if (after := to_json(state)) != before:
                written = path.with_suffix(".new")
                written.write_text(after)
                written.replace(path)

    def write(self, media_id: str, content: bytes) -> None:
        (self._folder / "media" / media_id).write_bytes(content)

    def read(self, media_id: str) -> bytes:
        return (self._folder / "media" / media_id).read_bytes()
