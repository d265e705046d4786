from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Where uploads are kept."""
    return tmp_path / "instance" / "uploads" / "demo"
