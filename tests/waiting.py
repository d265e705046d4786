"""Waiting for what must happen, on a machine that may do much else."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 120
"""Seconds after which it is not expected any more."""


def wait_until(condition: Callable[[], object], explain: Callable[[], object] = str) -> None:
    """Wait until `condition` is true; what `explain` returns is the message if it never is."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, explain() or "it did not happen"
        time.sleep(0.02)
