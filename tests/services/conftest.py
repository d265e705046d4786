"""A history to read."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.services.messages.journal import Journal


@pytest.fixture
def journal(engine: Engine) -> Journal:
    return Journal(engine)
