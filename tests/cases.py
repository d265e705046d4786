"""Inputs that were reported to fail, in ``tests/data/cases``."""

from __future__ import annotations

from pathlib import Path

TEXTS = Path(__file__).parent / "data" / "cases" / "texts"
