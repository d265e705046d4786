"""What tests need beside Python: servers and programs of the machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

NEEDS = ("postgresql", "mariadb", "redis", "chromium", "ffmpeg", "nginx")
"""The fixtures, and the parameters of tests, that stand for these."""

AGAIN = pytest.mark.flaky(reruns=1)
"""Of tests that use other programs: one that fails runs once more, and the summary names it."""


def lacking(reason: str) -> NoReturn:
    """Skip a test, or fail it with ``CI=true``, where everything must run."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
