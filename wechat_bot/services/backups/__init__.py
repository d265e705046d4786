"""Backups of the database with its files, and moves to another database (``docs/backup.md``)."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int], object]
"""Called with the amount of work (bytes, or rows) that has been done since the last call."""


class BackupError(Exception):
    """A backup cannot be taken, read or restored. Says why, and what to do, in the terminal's language."""
