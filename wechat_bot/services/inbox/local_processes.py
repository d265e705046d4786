"""Tells at once which processes of this host have died.

Each keeps a file locked, and the system unlocks it when the process ends, however it ends. Of processes of
other hosts, and where no such file can be made, only the heartbeats tell.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def shown_alive(name: str) -> Iterator[None]:
    """Show the other processes of this host that the process `name` is alive."""
    file = _lock(_path(name))
    try:
        yield
    finally:
        if file:
            _path(name).unlink(missing_ok=True)
            file.close()


def has_died(name: str) -> bool:
    """Whether the process `name` was one of this host and is dead. False if that is unknown."""
    try:
        with _path(name).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # it is locked, or not there
        return False
    return True


def _lock(path: Path) -> TextIO | None:
    """Create the file at `path` and lock it; return None if that is impossible."""
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.parent.stat().st_uid != os.getuid():  # another user could make living processes look dead
            return None
        file = path.with_name(f"{path.name}.new").open("w")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        Path(file.name).rename(path)  # nobody finds it before it is locked
    except OSError:
        file.close()
        return None
    return file


def _path(name: str) -> Path:
    return Path(tempfile.gettempdir(), f"wechat_bot-processes-{os.getuid()}", name)
