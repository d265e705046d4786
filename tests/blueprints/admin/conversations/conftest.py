"""An operator and the conversation that they work on."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browser, SignIn, newest
from wechat_bot.models import Follower, Role
from wechat_bot.testing import FakePlatform


class Operator(Browser):
    """The browser of an operator; `here` is the path of the follower's conversation."""

    def __init__(self, client: FlaskClient, follower_id: int) -> None:
        super().__init__(client)
        self.follower_id = follower_id
        self.here = f"/admin/conversations/{follower_id}"


@pytest.fixture
def operator(signed_in: SignIn, platform: FakePlatform, engine: Engine) -> Operator:
    """Signed in; one follower has just written."""
    platform.text("在吗")
    return Operator(signed_in(Role.OPERATOR).client, newest(engine, Follower.id))
