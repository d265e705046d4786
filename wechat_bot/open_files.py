"""The limit of open files of a process, of which each connection is one."""

from __future__ import annotations

import resource
from contextlib import suppress


def raise_limit() -> None:
    """Raise the limit of this process, and of those that it starts, as far as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # macOS has another limit that no process can ask for
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
