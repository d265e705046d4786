"""Decides the state of a synchronisation run."""

from __future__ import annotations

from datetime import datetime

from ...models import SyncState
from ...wechat.errors import APIError
from ..decisions import Decision

RESUMED = Decision({"state": SyncState.RUNNING, "error": "", "errcode": None, "finished_at": None})
"""A run that had failed or was interrupted continues at its position."""


def failed(error: APIError, now: datetime) -> Decision:
    """Decide what a refused call does to a run, which can be resumed at its position."""
    errcode, text = error.errcode or None, str(error)[:255]
    return Decision({"state": SyncState.FAILED, "error": text, "errcode": errcode, "finished_at": now})


def finished(now: datetime) -> Decision:
    """Decide what the end of the list does to a run."""
    return Decision({"state": SyncState.DONE, "seen_at": now, "finished_at": now})
