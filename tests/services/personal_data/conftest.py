"""An application of a follower of whom everything is known."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.services.personal_data.people import People


@pytest.fixture
def people(app: Flask, engine: Engine) -> People:
    return People(app, engine)
