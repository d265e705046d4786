"""What fuzzing has found stays mended, see `tests.fuzz.run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS
from tests.wechat.corpus import BODIES, body

FINDINGS = Path(__file__).parent / "findings"


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_fails_for_what_was_found_and_for_the_documented_bodies(target: str) -> None:
    found = [path.read_bytes() for path in FINDINGS.glob(f"{target}/*")]
    for data in [*found, *map(body, BODIES)]:
        TARGETS[target](data)
