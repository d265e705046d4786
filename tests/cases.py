"""Inputs that were reported to fail, in ``tests/data/cases``."""

from __future__ import annotations

from pathlib import Path

CASES = Path(__file__).parent / "data" / "cases"
API = CASES / "api"
"""Responses of the platform's API."""
PUSHES = CASES / "pushes"
"""Bodies of pushes."""
TEXTS = CASES / "texts"
"""Texts that were sent, searched or exported."""
