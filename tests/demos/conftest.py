from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import MakeApp


@pytest.fixture
def app(make_app: MakeApp, tmp_path: Path) -> Flask:
    """An application that keeps uploads in the folder of the test."""
    app = make_app()
    app.instance_path = str(tmp_path / "instance")
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Where uploads are kept."""
    return tmp_path / "instance" / "uploads" / "demo"
