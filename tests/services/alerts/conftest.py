"""Channels with robots that are played on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import MakeApp
from tests.services.alerts.played import MailServer, Robot, Shop, playing_mail_server, playing_robot
from wechat_bot.settings import Switch

PUBLIC_URL = "https://bot.example.com"


@pytest.fixture
def robot() -> Iterator[Robot]:
    with playing_robot() as robot:
        yield robot


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with playing_mail_server() as mail:
        yield mail


@pytest.fixture
def shop(make_app: MakeApp, mail_server: MailServer) -> Shop:
    mail = {"smtp_url": mail_server.url, "mail_from": "bot@example.com"}
    return Shop(make_app(public_url=PUBLIC_URL, alerts_private_addresses=Switch.YES, **mail))
